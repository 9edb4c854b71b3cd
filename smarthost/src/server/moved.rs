//! What comes with XMOVE: a line that tells of a message, and the message behind it.
//!
//! Contract: total and bounded; nothing is promised by it. The message is as long as was told, and
//! its header section is kept byte for byte.
//! Failures: remembered, and answered at the end.
//! See also: [`crate::drain::told`].

use std::net::IpAddr;

use mail::clock;
use spool::{Draft, Hold, QueueId, Spool, SpoolError};
use tokio::task::block_in_place;

use crate::{
    config::Config,
    drain::told::{self, Facts, Told},
};

/// Longest line in front of a message, bytes.
const LINE: usize = 15 * 1024 * 1024;

/// Whether a server with this address may give its queue; `None`: a proxy stands between.
pub(super) fn may_give(config: &Config, peer: Option<IpAddr>) -> bool {
    peer.is_some_and(|peer| config.drain_from.contains(peer))
}

/// What is moving here, as far as it has come.
pub(super) struct Moving {
    spool: Spool,
    /// Who brings it.
    giver: String,
    /// The line in front, up to its end.
    line: Vec<u8>,
    told: Option<Arriving>,
    fault: Option<Fault>,
}

/// What the line in front says.
pub(super) enum Arriving {
    Message(Box<Message>),
    GivenUp(Vec<QueueId>),
    /// A server of this name asks whether its queue may come.
    Asks(String),
}

/// A message that is coming.
pub(super) struct Message {
    pub(super) id: QueueId,
    pub(super) facts: Box<Facts>,
    /// The header section and the empty line.
    header: Vec<u8>,
    pub(super) draft: Draft,
}

/// Why it is not kept.
pub(super) enum Fault {
    Said(&'static str),
    /// All that is here goes there.
    Emptied(String),
    /// Whether all may go there is asked just now.
    Asks(String),
    Disk(SpoolError),
}

impl Moving {
    pub(super) fn new(spool: &Spool, giver: String) -> Self {
        Self {
            spool: spool.clone(),
            giver,
            line: Vec::new(),
            told: None,
            fault: None,
        }
    }

    /// Takes a piece.
    pub(super) fn write(&mut self, piece: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.take(piece).err();
        }
    }

    /// What has come, once it is whole.
    pub(super) fn end(self) -> Result<Arriving, Fault> {
        match (self.fault, self.told) {
            (Some(fault), _) => Err(fault),
            (None, Some(told)) => Ok(told),
            (None, None) => Err(Fault::Said("nothing was told")),
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let rest = if self.told.is_some() {
            Some(piece)
        } else {
            self.read_line(piece)?
        };
        let Some(rest) = rest else {
            return Ok(());
        };
        match &mut self.told {
            Some(Arriving::Message(message)) => message.take(rest),
            _ if rest.is_empty() => Ok(()),
            _ => Err(Fault::Said("nothing was to follow")),
        }
    }

    /// What is behind the line, once it is whole.
    fn read_line<'a>(&mut self, piece: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        let end = piece
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| at.saturating_add(1));
        let (part, rest) = piece.split_at(end.unwrap_or(piece.len()));
        if self.line.len().saturating_add(part.len()) > LINE {
            return Err(Fault::Said("too much is told of the message"));
        }
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let told = match Told::read(line.trim_ascii_end()).map_err(Fault::Said)? {
            Told::GivenUp(names) => {
                let ids = names.iter().map(|name| QueueId::parse(name));
                let ids: Option<Vec<_>> = ids.collect();
                Arriving::GivenUp(ids.ok_or(Fault::Said("no queue id"))?)
            }
            Told::Asks { server, now } => {
                told::compare(now, clock::now()).map_err(Fault::Said)?;
                Arriving::Asks(server)
            }
            Told::Message(facts) => {
                let id = facts.check(clock::now()).map_err(Fault::Said)?;
                let (hold, waiting) = (Hold::Arriving { held: facts.held }, facts.waiting());
                let (since, warned) = (facts.arrival, facts.warned);
                let spool = &self.spool;
                let draft = spool.draft_moved(id, since, hold, warned, waiting, &self.giver);
                Arriving::Message(Box::new(Message {
                    id,
                    facts,
                    header: Vec::new(),
                    draft,
                }))
            }
        };
        self.told = Some(told);
        Ok(Some(rest))
    }
}

impl Message {
    fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let header = usize::try_from(self.facts.header).unwrap_or(usize::MAX);
        let missing = header.saturating_add(2).saturating_sub(self.header.len());
        let (front, body) = piece.split_at(missing.min(piece.len()));
        self.header.extend_from_slice(front);
        if body.is_empty() {
            return Ok(());
        }
        block_in_place(|| self.draft.write(body)).map_err(Fault::Disk)
    }

    /// The header section, once all is there.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Fault> {
        let size = (self.header.len() as u64).saturating_add(self.draft.size());
        let header = self.header.strip_suffix(b"\r\n");
        let whole = header.filter(|header| header.len() as u64 == self.facts.header);
        match whole {
            Some(header) if size == self.facts.size => Ok(header.to_vec()),
            _ => Err(Fault::Said("the message is not as long as was told")),
        }
    }
}
