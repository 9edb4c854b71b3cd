//! The message, after DATA and in BDAT chunks.
//!
//! Contract: the two give the same bytes: canonical CRLF lines, the last one complete.
//! Failures: a message with a NUL, or one that is too large, is read to its end and refused. A BDAT
//! that does not say how long its chunk is ends the session.
//! RFC 5321 §4.1.1.4; RFC 3030 §2 (after an error the chunk is still read).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{
    command::TOO_LARGE,
    interface::Question,
    machine::{BARE_LINE_END, Session},
    state::{Asked, Mode, OpenChunk},
};
use crate::{
    command::{self, CommandError},
    data::Decoded,
    reply::Reply,
};
use mail::limits;

/// RFC 5321 §2.3.7, §4.5.2; what the next host would make of it nobody knows.
const NUL: &str = "554 5.6.0 Error: NUL in the message (RFC 5321 section 2.3.7)";
const END_OF_MESSAGE: &str = "END-OF-MESSAGE";

impl Session {
    pub(super) fn read_data(&mut self, rest: &mut &[u8]) -> bool {
        let Mode::Data(decoder) = &mut self.mode else {
            return false;
        };
        if rest.is_empty() {
            return false;
        }
        let piece = rest.get(..limits::PIECE).unwrap_or(rest);
        let mut content = Vec::with_capacity(piece.len());
        match decoder.decode(piece, &mut content) {
            Ok(Decoded::More) => {
                *rest = rest.get(piece.len()..).unwrap_or_default();
                self.keep(content);
            }
            Ok(Decoded::End { consumed }) => {
                *rest = rest.get(consumed..).unwrap_or_default();
                self.keep(content);
                self.complete();
            }
            Err(_) => self.finish(BARE_LINE_END),
        }
        true
    }

    pub(super) fn bdat(&mut self, arguments: &str) {
        let chunk = match command::chunk(arguments) {
            Ok(chunk) => chunk,
            Err(error) => return self.lose_chunk(&error),
        };
        let size = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.size);
        let too_large = (size.saturating_add(chunk.size) > self.max_size()).then_some(TOO_LARGE);
        if let Some(reply) = self.not_ready().or(too_large) {
            self.reset();
            self.open_chunk(chunk, Some(Reply::literal(reply)));
        } else if self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.chunks.is_some())
        {
            self.open_chunk(chunk, None);
        } else {
            self.ask(Question::Data, Asked::Chunk(chunk));
        }
    }

    /// Nobody knows where a chunk ends, or whether one comes.
    pub(super) fn lose_chunk(&mut self, error: &CommandError) {
        self.finish(&format!("{error}; the chunk cannot be told from commands"));
    }

    pub(super) fn read_chunk(&mut self, rest: &mut &[u8]) -> bool {
        let Mode::Chunk(open) = &mut self.mode else {
            return false;
        };
        if open.left == 0 {
            self.end_chunk();
            return true;
        }
        if rest.is_empty() {
            return false;
        }
        let length = rest
            .len()
            .min(limits::PIECE)
            .min(usize::try_from(open.left).unwrap_or(usize::MAX));
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        open.left = open
            .left
            .saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        *rest = after;
        if open.refusal.is_none() {
            let checker = self
                .transaction
                .as_mut()
                .and_then(|transaction| transaction.chunks.as_mut());
            if checker.is_some_and(|checker| checker.check(piece).is_err()) {
                self.finish(BARE_LINE_END);
            } else {
                self.keep(piece.to_vec());
            }
        }
        true
    }

    fn end_chunk(&mut self) {
        let Mode::Chunk(OpenChunk { chunk, refusal, .. }) =
            std::mem::replace(&mut self.mode, Mode::Command)
        else {
            return;
        };
        if let Some(reply) = refusal {
            return self.refuse_with(&reply);
        }
        if let Some(reply) = self.spoilt.take() {
            return self.refuse(reply);
        }
        if !chunk.last {
            return self.say(&format!("250 2.0.0 Ok: {} bytes", chunk.size));
        }
        let checker = self
            .transaction
            .as_ref()
            .and_then(|transaction| transaction.chunks);
        match checker.unwrap_or_default().finish() {
            Ok(open_line) => {
                if open_line {
                    self.keep(b"\r\n".to_vec());
                }
                self.complete();
            }
            Err(_) => self.finish(BARE_LINE_END),
        }
    }

    /// Counts a piece and hands it over; beyond the limit the transaction ends, and what follows is
    /// skipped.
    fn keep(&mut self, piece: Vec<u8>) {
        let most = self.max_size();
        let Some(transaction) = self.transaction.as_mut() else {
            return;
        };
        transaction.size = transaction
            .size
            .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if transaction.size > most {
            self.spoilt = Some(TOO_LARGE);
            self.reset();
        } else if memchr::memchr(0, &piece).is_some() {
            self.spoilt = Some(NUL);
            self.reset();
        } else if !piece.is_empty() {
            self.hand_over(piece);
        }
    }

    fn complete(&mut self) {
        self.mode = Mode::Command;
        self.verb = END_OF_MESSAGE;
        if let Some(transaction) = &self.transaction {
            let size = transaction.size;
            self.ask(Question::Message { size }, Asked::Message);
        } else {
            let reply = self.spoilt.take().unwrap_or(TOO_LARGE);
            self.refuse(reply);
        }
    }
}
