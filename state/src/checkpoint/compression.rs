//! The forms in which Pulumi writes a checkpoint, and the whitespace that makes one new.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression as Level, read::MultiGzDecoder, write::GzEncoder};
use ruzstd::{decoding::StreamingDecoder, encoding};
use serde::Serialize;

/// More than any state; what grows beyond it is not unpacked.
const MOST: u64 = 512 << 20;

/// How a checkpoint is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// `.json`
    None,
    /// `.json.gz`
    Gzip,
    /// `.json.zst`
    Zstd,
}

impl Compression {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// What a key has behind `.json`.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The form that a key tells.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let named = |form: &&Self| !form.suffix().is_empty() && key.ends_with(form.suffix());
        Self::ALL.iter().find(named).copied().unwrap_or(Self::None)
    }

    /// Unpacks.
    ///
    /// # Errors
    /// When the content is damaged, or larger than 512 MiB unpacked.
    pub fn unpack(self, content: &[u8]) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        let read = match self {
            Self::None => (&mut &*content).take(MOST + 1).read_to_end(&mut plain),
            Self::Gzip => MultiGzDecoder::new(content).take(MOST + 1).read_to_end(&mut plain),
            Self::Zstd => StreamingDecoder::new(content)
                .map_err(|error| format!("it is no zstd: {error}"))?
                .take(MOST + 1)
                .read_to_end(&mut plain),
        };
        read.map_err(|error| format!("it cannot be unpacked: {error}"))?;
        if plain.len() as u64 > MOST {
            return Err(format!("it is larger than {} MiB", MOST >> 20));
        }
        Ok(plain)
    }

    /// Packs.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn pack(self, plain: &[u8]) -> Result<Bytes, String> {
        match self {
            Self::None => Ok(Bytes::copy_from_slice(plain)),
            Self::Gzip => {
                let mut packer = GzEncoder::new(Vec::new(), Level::default());
                let packed = packer.write_all(plain).and_then(|()| packer.finish());
                packed.map(Bytes::from).map_err(|error| format!("it cannot be packed: {error}"))
            }
            Self::Zstd => Ok(encoding::compress_to_vec(plain, encoding::CompressionLevel::Fastest).into()),
        }
    }
}

/// The same JSON with other whitespace at its end: `mark` in spaces and tabs.
///
/// A content's ETag is its digest, so a checkpoint that came back to what it once was would have its old
/// ETag, and a writer that remembers that one could write again. A mark that nobody has used makes it new.
pub(crate) fn marked(plain: &[u8], mark: u64) -> Vec<u8> {
    let mut content = plain.trim_ascii_end().to_vec();
    content.push(b'\n');
    content.extend((0..u64::BITS).map(|bit| if mark >> bit & 1 == 1 { b'\t' } else { b' ' }));
    content
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    fn what_is_packed_can_be_unpacked(
        #[values(Compression::None, Compression::Gzip, Compression::Zstd)] form: Compression,
        #[values(0, 1, 70_000, 3_000_000)] length: usize,
    ) {
        let plain: Vec<u8> = (0..length).map(|i| (i * i % 251) as u8).collect();
        assert_eq!(form.unpack(&form.pack(&plain).unwrap()).unwrap(), plain);
    }

    #[rstest]
    #[case(Compression::Gzip)]
    #[case(Compression::Zstd)]
    fn damage_is_found(#[case] form: Compression) {
        let packed = form.pack(br#"{"version":3}"#).unwrap();
        assert!(form.unpack(&packed[..packed.len() / 2]).is_err());
        assert!(form.unpack(b"{}").is_err());
    }

    #[test]
    fn a_mark_changes_bytes_and_not_meaning() {
        let plain = br#"{"version": 3}"#;
        let (one, two) = (marked(plain, 1), marked(plain, 2));
        assert_ne!(one, two);
        assert_eq!(marked(&one, 2), two, "a mark takes the place of an earlier one");
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&one), read(plain));
    }
}
