//! Encrypted files: their first line, their lines, their chunks.
//!
//! The first line of each is `stackproof 1`, a blank, and the file's salt in hexadecimal. What follows is
//! encrypted with the key that the data key and the salt give. Files that grow have lines: base64 of a random
//! nonce, ciphertext and tag, each bound to its number. Files that are written once have chunks of 64 KiB: nonces
//! count them, and mark the last one, so that none can be missing, and any can be read alone (STREAM, as in
//! "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance").

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::key::{DataKey, KeyError, LENGTH, random};

const MAGIC: &str = "stackproof 1 ";

/// How long the first line is.
pub(super) const HEAD: usize = MAGIC.len() + 2 * LENGTH + 1;

/// Plaintext bytes of a chunk.
pub(super) const CHUNK: usize = 64 * 1024;

fn refused(_: ring::error::Unspecified) -> io::Error {
    io::Error::other("the cryptography library refused to encrypt")
}

fn tag() -> usize {
    AES_256_GCM.tag_len()
}

/// The cipher of one file.
pub(super) struct Cipher {
    key: LessSafeKey,
}

impl Cipher {
    /// A new file's cipher and first line.
    pub(super) fn begin(data: &DataKey) -> Result<(Self, Vec<u8>), KeyError> {
        let salt = random()?;
        let head = format!("{MAGIC}{}\n", hex::encode(salt)).into_bytes();
        Ok((Self { key: data.of_file(&salt)? }, head))
    }

    /// The cipher of a file with this first line; none when it is no such line.
    pub(super) fn resume(data: &DataKey, head: &[u8]) -> Option<Self> {
        let salt = head.strip_prefix(MAGIC.as_bytes())?.strip_suffix(b"\n")?;
        let salt = hex::decode(salt).ok()?.try_into().ok()?;
        Some(Self { key: data.of_file(&salt).ok()? })
    }

    /// A line, with its end.
    pub(super) fn line(&self, number: u64, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<Vec<u8>> {
        // A generator for cryptography, seeded by the system; a call of the system's with each line would be slower.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = nonce.to_vec();
        write(&mut sealed)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(number.to_be_bytes()),
                &mut sealed[NONCE_LEN..],
            )
            .map_err(refused)?;
        sealed.extend_from_slice(tag.as_ref());
        let mut line = STANDARD.encode(sealed).into_bytes();
        line.push(b'\n');
        Ok(line)
    }

    /// What a line without its end says; none when it is damaged, of another file, or not the line of this number.
    pub(super) fn open_line(&self, number: u64, line: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = STANDARD.decode(line).ok()?;
        let nonce = Nonce::try_assume_unique_for_key(sealed.get(..NONCE_LEN)?).ok()?;
        let length =
            self.key.open_in_place(nonce, Aad::from(number.to_be_bytes()), &mut sealed[NONCE_LEN..]).ok()?.len();
        sealed.truncate(NONCE_LEN + length);
        sealed.drain(..NONCE_LEN);
        Some(sealed)
    }

    fn seal_chunk(&self, number: u64, last: bool, chunk: &mut Vec<u8>) -> io::Result<()> {
        self.key.seal_in_place_append_tag(nonce(number, last), Aad::empty(), chunk).map_err(refused)
    }

    fn open_chunk(&self, number: u64, last: bool, mut chunk: Vec<u8>) -> io::Result<Bytes> {
        let damaged = |_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk {number} is damaged"));
        let length = self.key.open_in_place(nonce(number, last), Aad::empty(), &mut chunk).map_err(damaged)?.len();
        chunk.truncate(length);
        Ok(chunk.into())
    }
}

/// The chunk's number, and whether it is the last one.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[3..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Writes a file of chunks.
pub(super) struct ChunkWriter<W> {
    to: W,
    cipher: Cipher,
    number: u64,
    pending: Vec<u8>,
}

impl<W: Write> ChunkWriter<W> {
    /// Begins a file.
    pub(super) fn begin(mut to: W, data: &DataKey) -> io::Result<Self> {
        let (cipher, head) = Cipher::begin(data).map_err(io::Error::other)?;
        to.write_all(&head)?;
        Ok(Self { to, cipher, number: 0, pending: Vec::new() })
    }

    /// Adds bytes. A chunk is written once it is known not to be the last.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.pending.len() == CHUNK {
                self.put(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk and gives the file back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        Ok(self.to)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        self.cipher.seal_chunk(self.number, last, &mut self.pending)?;
        self.to.write_all(&self.pending)?;
        self.pending.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for ChunkWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map(|()| bytes.len())
    }

    /// What is pending waits for its chunk to be full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file of chunks, from anywhere.
pub(super) struct ChunkReader<R> {
    from: R,
    cipher: Cipher,
    /// How many chunks there are.
    chunks: u64,
    length: u64,
}

impl<R: Read + Seek> ChunkReader<R> {
    /// Opens a file.
    pub(super) fn open(mut from: R, data: &DataKey) -> io::Result<Self> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its first line is damaged");
        let end = from.seek(SeekFrom::End(0))?;
        from.rewind()?;
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let cipher = Cipher::resume(data, &head).ok_or_else(damaged)?;
        let body = end - HEAD as u64;
        let whole = (CHUNK + tag()) as u64;
        let chunks = body.div_ceil(whole).max(1);
        let length = body.saturating_sub(chunks * tag() as u64);
        Ok(Self { from, cipher, chunks, length })
    }

    /// How many bytes of plaintext there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes from the beginning of the range on: as many as its first chunk has. Empty where the range is.
    pub(super) fn next(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(self.length);
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let number = range.start / CHUNK as u64;
        let chunk = self.chunk(number)?;
        let begins = number * CHUNK as u64;
        let within = |at: u64| usize::try_from(at - begins).unwrap_or(usize::MAX).min(chunk.len());
        Ok(chunk.slice(within(range.start)..within(end)))
    }

    /// The whole file, whose last chunk says that it is whole.
    pub(super) fn all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or_default());
        for number in 0..self.chunks {
            bytes.extend_from_slice(&self.chunk(number)?);
        }
        Ok(bytes)
    }

    fn chunk(&mut self, number: u64) -> io::Result<Bytes> {
        let whole = (CHUNK + tag()) as u64;
        self.from.seek(SeekFrom::Start(HEAD as u64 + number * whole))?;
        let mut sealed = Vec::with_capacity(CHUNK + tag());
        self.from.by_ref().take(whole).read_to_end(&mut sealed)?;
        self.cipher.open_chunk(number, number + 1 == self.chunks, sealed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn sealed(key: &DataKey, plaintext: &[u8]) -> Vec<u8> {
        let mut writer = ChunkWriter::begin(Vec::new(), key).unwrap();
        for piece in plaintext.chunks(10_007) {
            writer.add(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn plaintext(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    #[test]
    fn what_was_written_is_read_whole_and_from_anywhere() {
        let key = DataKey::random().unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5] {
            let plain = plaintext(length);
            let mut reader = ChunkReader::open(Cursor::new(sealed(&key, &plain)), &key).unwrap();
            assert_eq!(reader.length(), length as u64);
            assert_eq!(reader.all().unwrap(), plain);
            for start in [0, 5, CHUNK as u64 - 1, CHUNK as u64, length as u64] {
                let got = reader.next(start..u64::MAX).unwrap();
                let from = usize::try_from(start).unwrap().min(length);
                assert!(plain[from..].starts_with(&got) && got.is_empty() == (from >= length), "{length} {start}");
            }
        }
    }

    #[test]
    fn a_changed_shortened_or_foreign_file_is_refused() {
        let key = DataKey::random().unwrap();
        let file = sealed(&key, &plaintext(2 * CHUNK + 9));
        let read = |file: Vec<u8>, key: &DataKey| ChunkReader::open(Cursor::new(file), key).and_then(|mut it| it.all());
        assert!(read(file.clone(), &DataKey::random().unwrap()).is_err());
        for at in [0, HEAD - 3, HEAD, HEAD + CHUNK + 40, file.len() - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(read(changed, &key).is_err(), "byte {at}");
        }
        for length in [0, HEAD, HEAD + CHUNK + 16, HEAD + 2 * (CHUNK + 16), file.len() - 1] {
            assert!(read(file[..length].to_vec(), &key).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_line_says_what_it_is_only_in_its_place() {
        let key = DataKey::random().unwrap();
        let (cipher, head) = Cipher::begin(&key).unwrap();
        let line = cipher.line(3, |to| to.write_all(b"a change")).unwrap();
        let line = line.strip_suffix(b"\n").unwrap();
        let again = Cipher::resume(&key, &head).unwrap();
        assert_eq!(again.open_line(3, line).unwrap(), b"a change");
        assert!(again.open_line(4, line).is_none());
        assert!(again.open_line(3, &line[..line.len() - 4]).is_none());
        assert!(Cipher::begin(&key).unwrap().0.open_line(3, line).is_none(), "another file's");
    }
}
