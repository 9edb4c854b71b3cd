//! A message while it comes in, at every door: cut into header and body, and made what it was meant
//! to be.
//!
//! Contract: what people of ours write goes through [`Intake`], whatever way it comes, so that one
//! rule says where the header ends and which recipients are blind. What others have written stays
//! as it is ([`Splitter::arriving`]).
//! Failures: [`HeaderTooLong`].
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Header, HeaderTooLong, Misplaced, Splitter, intake::Intake};
use crate::envelope::Content;

/// A message as it comes.
#[derive(Debug)]
pub struct Incoming {
    intake: Option<Intake>,
    splitter: Splitter,
    /// What the intake makes of a piece.
    canonical: Vec<u8>,
}

/// What has come, beside the body.
#[derive(Debug)]
pub struct Arrived {
    pub header: Header,
    pub content: Content,
    /// What the body's text is to be called, if it has 8 bits.
    pub charset: &'static str,
    /// Recipients where no field can be.
    pub misplaced: Vec<Misplaced>,
}

impl Incoming {
    /// What a program pipes in: any bytes.
    pub fn piped() -> Self {
        Self::through(Intake::default())
    }

    /// What a client of ours sends by SMTP: lines that end in CRLF; the body stays byte for byte.
    pub fn of_ours() -> Self {
        Self::through(Intake::of_lines())
    }

    /// What a stranger sends by SMTP.
    pub fn of_strangers() -> Self {
        Self {
            intake: None,
            splitter: Splitter::arriving(),
            canonical: Vec::new(),
        }
    }

    fn through(intake: Intake) -> Self {
        Self {
            intake: Some(intake),
            splitter: Splitter::default(),
            canonical: Vec::new(),
        }
    }

    /// Takes the next piece; gives back what is known to belong to the body by now (may be empty).
    pub fn feed<'a>(&'a mut self, piece: &'a [u8]) -> Result<&'a [u8], HeaderTooLong> {
        match &mut self.intake {
            Some(intake) if !intake.changes_nothing_more() => {
                self.canonical.clear();
                intake.feed(piece, &mut self.canonical);
                self.splitter.split(&self.canonical)
            }
            _ => self.splitter.split(piece),
        }
    }

    /// No piece follows: the rest of the body.
    pub fn end(&mut self) -> Result<&[u8], HeaderTooLong> {
        self.canonical.clear();
        if let Some(intake) = &mut self.intake {
            intake.finish(&mut self.canonical);
        }
        self.splitter.split(&self.canonical)
    }

    /// What it is, after its end.
    pub fn finish(self) -> Arrived {
        let charset = self.splitter.charset();
        let (header, content) = self.splitter.finish();
        let misplaced = self.intake.map(Intake::into_misplaced);
        Arrived {
            header,
            content,
            charset,
            misplaced: misplaced.unwrap_or_default(),
        }
    }
}
