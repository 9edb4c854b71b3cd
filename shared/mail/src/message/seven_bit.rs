//! A message made ready for a peer without 8BITMIME, while it is read.
//!
//! Contract: where the body is text in one part, it becomes quoted-printable and its header says so; where it is not (multipart,
//! attachments, signed messages), all of it stays as it is, and [`SevenBit::is_encoded`] tells. Nothing of the text is lost.
//! Memory: one header section and one piece.
//! Failures: those of the reader; a header section over [`limits::HEADER`] is `InvalidData`.
//! RFC 6152 §3 (a client without 8BITMIME must not send 8-bit content), RFC 2045 §6.7.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{self, Read};

use crate::{
    limits,
    message::{
        Splitter,
        long_lines::{Encoder, Treatment, treatment},
    },
};

/// Reads the message `inner` in its 7-bit form.
#[derive(Debug)]
pub struct SevenBit<R> {
    inner: R,
    treatment: Treatment,
    /// `None` after the end.
    encoder: Option<Encoder>,
    /// Ready bytes, and how many of them are read.
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> SevenBit<R> {
    /// Reads the header section and decides.
    pub fn new(mut inner: R) -> io::Result<Self> {
        let mut splitter = Splitter::default();
        let mut piece = vec![0; limits::PIECE];
        let mut read = Vec::new();
        let mut begun = Vec::new();
        loop {
            let count = match inner.read(&mut piece) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = piece.get(..count).unwrap_or_default();
            read.extend_from_slice(bytes);
            let body = splitter
                .split(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            begun.extend_from_slice(body);
            if !begun.is_empty() || count == 0 {
                break;
            }
        }
        let (mut header, _) = splitter.finish();
        let treatment = match treatment(&mut header) {
            Treatment::Quote => Treatment::Quote,
            Treatment::Keep | Treatment::Fold => Treatment::Keep,
        };
        let mut encoder = Encoder::new(treatment);
        let ready = if treatment == Treatment::Quote {
            let mut ready = header.to_bytes();
            ready.extend_from_slice(b"\r\n");
            encoder.feed(&begun, &mut ready);
            ready
        } else {
            read
        };
        Ok(Self {
            inner,
            treatment,
            encoder: Some(encoder),
            ready,
            at: 0,
        })
    }

    /// Whether the body is encoded; otherwise the message is as it was.
    pub fn is_encoded(&self) -> bool {
        self.treatment == Treatment::Quote
    }

    /// Encodes the next piece.
    fn refill(&mut self) -> io::Result<()> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(());
        };
        self.ready.clear();
        self.at = 0;
        let mut piece = vec![0; limits::PIECE];
        let count = self.inner.read(&mut piece)?;
        encoder.feed(piece.get(..count).unwrap_or_default(), &mut self.ready);
        if count == 0
            && let Some(encoder) = self.encoder.take()
        {
            encoder.finish(&mut self.ready);
        }
        Ok(())
    }
}

impl<R: Read> Read for SevenBit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.ready.len() && self.encoder.is_some() {
            self.refill()?;
        }
        let mut rest = self.ready.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(message: &str) -> (String, bool) {
        let mut reader = SevenBit::new(message.as_bytes()).unwrap();
        let mut out = String::new();
        reader.read_to_string(&mut out).unwrap();
        (out, reader.is_encoded())
    }

    #[test]
    fn text_in_one_part_is_quoted_and_declared() {
        let (text, encoded) = sent(
            "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}n = x\r\nend\r\n",
        );
        assert!(encoded);
        assert_eq!(
            text,
            "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BCn =3D x\r\nend\r\n"
        );
        let (text, _) = sent("Subject: s\r\n\r\n\u{fc}\r\n");
        assert!(
            text.contains("charset=utf-8") && text.ends_with("\r\n\r\n=C3=BC\r\n"),
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_encoded_as_a_whole_stays_as_it_is() {
        for header in [
            "Content-Type: multipart/mixed; boundary=x\r\n",
            "Content-Type: application/octet-stream\r\n",
            "Content-Transfer-Encoding: base64\r\n",
            "DKIM-Signature: v=1\r\n",
        ] {
            let message = format!("{header}\r\n\u{fc}\r\n");
            assert_eq!(sent(&message), (message.clone(), false));
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_as_quoted_text_is_ascii_in_short_lines(body in "[ a-zü=\t]{0,300}", lines in 0usize..400) {
            let body = format!("{body}\r\n").repeat(lines);
            let (text, encoded) = sent(&format!("Subject: s\r\n\r\n{body}"));
            prop_assert!(encoded && text.is_ascii());
            prop_assert!(text.lines().all(|line| line.len() <= 76));
            let (_, sent) = text.split_once("\r\n\r\n").unwrap();
            prop_assert_eq!(sent.replace("=\r\n", "").replace("=3D", "\0").replace("=C3=BC", "ü").replace("=20", " ").replace("=09", "\t").replace('\0', "="), body);
        }
    }
}
