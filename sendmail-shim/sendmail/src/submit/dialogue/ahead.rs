//! Commands that no agent has answered, of which none is part of a transaction that one has begun:
//! an agent that takes the place of one that goes away is told them again.
//!
//! Contract: pure and bounded. Chunks (BDAT) are not kept, nor what comes behind them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::VecDeque;

use mail::limits::COMMAND_LINE;
use smtp::command::{self, Verb};

/// They are kept up to so many bytes;
const MOST: usize = 64 * 1024;
/// and are said again so often, unless something was answered meanwhile.
const AGAIN: u8 = 5;

#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Without their line ends.
    commands: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whatever is said next belongs to them.
    goes_on: bool,
    again: u8,
}

impl Ahead {
    /// A command was said, within a transaction or not.
    pub(super) fn say(&mut self, line: &[u8], in_transaction: bool) {
        if !self.goes_on && !in_transaction {
            self.forget();
            self.goes_on = true;
        }
        let is_chunk = matches!(command::split(line), Ok((Verb::Bdat, _)));
        let bytes = self.bytes.saturating_add(line.len());
        if is_chunk || line.len() >= COMMAND_LINE || bytes > MOST {
            self.forget();
        }
        if self.goes_on {
            self.commands.push_back(line.to_vec());
            self.bytes = bytes;
        }
    }

    /// A reply came while so many were owed.
    pub(super) fn answered(&mut self, owed: usize) {
        self.again = 0;
        if owed > self.commands.len() {
            return;
        }
        let first = self.commands.pop_front().unwrap_or_default();
        let verb = command::split(&first).map(|(verb, _)| verb);
        if matches!(verb, Ok(Verb::Mail | Verb::Rcpt | Verb::Data)) || self.commands.is_empty() {
            self.forget();
        }
    }

    /// Whether these are all that so many replies are owed for, and may be said again.
    pub(super) fn is_all_of(&self, owed: usize) -> bool {
        !self.commands.is_empty() && self.commands.len() == owed && self.again < AGAIN
    }

    /// Says them again; how many they are.
    pub(super) fn say_again(&mut self, out: &mut Vec<u8>) -> usize {
        self.again = self.again.saturating_add(1);
        for command in &self.commands {
            out.extend_from_slice(command);
            out.extend_from_slice(b"\r\n");
        }
        self.commands.len()
    }

    fn forget(&mut self) {
        self.commands.clear();
        self.bytes = 0;
        self.goes_on = false;
    }
}
