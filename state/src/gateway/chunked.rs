//! `aws-chunked`: a content in pieces, with checksums behind them.

use bytes::{Bytes, BytesMut};

/// A content in its pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Each piece with its signature, the last and empty one, too.
    pub(super) all: Vec<(Bytes, Option<String>)>,
    /// What came behind: names in lower case.
    pub(super) trailers: Vec<(String, String)>,
}

impl Chunks {
    /// The pieces put together.
    pub(super) fn content(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.all.iter().map(|(piece, _)| piece.len()).sum());
        self.all.iter().for_each(|(piece, _)| whole.extend_from_slice(piece));
        whole.freeze()
    }
}

/// Takes a content apart: `length[;chunk-signature=…] CRLF piece CRLF …  0[;…] CRLF trailers CRLF`.
pub(super) fn read(body: &Bytes) -> Result<Chunks, String> {
    let mut chunks = Chunks::default();
    let mut at = 0;
    let line = |at: &mut usize| -> Result<&str, String> {
        let rest = &body[*at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or("a line of it has no end")?;
        *at += end + 2;
        std::str::from_utf8(&rest[..end]).map_err(|_| "a line of it is no text".to_owned())
    };
    loop {
        let head = line(&mut at)?;
        let (length, extension) = head.split_once(';').unwrap_or((head, ""));
        let length = usize::from_str_radix(length.trim(), 16).map_err(|_| "a piece of it has no length")?;
        let signature = extension.trim().strip_prefix("chunk-signature=").map(str::to_owned);
        if length == 0 {
            chunks.all.push((Bytes::new(), signature));
            break;
        }
        // The piece and its line's end.
        let whole = length.checked_add(2).filter(|whole| *whole <= body.len() - at).ok_or("its end is missing")?;
        let end = at + whole - 2;
        chunks.all.push((body.slice(at..end), signature));
        if &body[end..end + 2] != b"\r\n" {
            return Err("a piece of it is longer than announced".to_owned());
        }
        at = end + 2;
    }
    while at < body.len() {
        let text = line(&mut at)?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or("a trailer of it is none")?;
        // Some SDKs end a trailer's line with a bare newline.
        chunks.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn pieces_are_put_together_and_trailers_told() {
        let body = Bytes::from_static(b"5\r\nhello\r\n7\r\n, world\r\n0\r\nx-amz-checksum-crc32:AAAA==\r\n\r\n");
        let chunks = read(&body).unwrap();
        assert_eq!(chunks.content(), "hello, world");
        assert_eq!(chunks.trailers, [("x-amz-checksum-crc32".to_owned(), "AAAA==".to_owned())]);
    }

    #[test]
    fn each_piece_keeps_its_signature() {
        let body = Bytes::from_static(b"2;chunk-signature=ab\r\nhi\r\n0;chunk-signature=cd\r\n\r\n");
        let signatures: Vec<_> =
            read(&body).unwrap().all.into_iter().map(|(_, signature)| signature.unwrap()).collect();
        assert_eq!(signatures, ["ab", "cd"]);
    }

    #[rstest]
    #[case::empty(b"")]
    #[case::no_length(b"zz\r\nhello\r\n0\r\n\r\n")]
    #[case::short(b"9\r\nhello\r\n0\r\n\r\n")]
    #[case::long(b"2\r\nhello\r\n0\r\n\r\n")]
    #[case::huge(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n")]
    #[case::no_end(b"5\r\nhello\r\n")]
    #[case::trailer(b"0\r\nnonsense\r\n\r\n")]
    fn what_is_not_in_this_form_is_refused(#[case] body: &'static [u8]) {
        assert!(read(&Bytes::from_static(body)).is_err());
    }
}
