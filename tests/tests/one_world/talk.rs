//! The client's end of a connection: the programs' own [`Conversation`], with the bytes that the
//! kernel would hold for it.
//!
//! In place of `relay::net::connection` and smarthost's `link::connection`, which move the same
//! bytes over sockets.

use std::{
    collections::VecDeque,
    io::{self, Read},
    time::Instant,
};

use mail::limits;
use relay::{
    conversation::{Conversation, End, Step},
    delivery::Dial,
};
use smtp::client::{Settings, Transaction};

use crate::network::{Arrival, ConnId, Sent, Side};

pub(crate) struct Talk {
    pub(crate) conn: ConnId,
    /// How it was opened.
    pub(crate) dial: Option<Dial>,
    pub(crate) conversation: Conversation,
    /// What came and is not read.
    inbox: VecDeque<Vec<u8>>,
    ended: bool,
    reset: bool,
    content: Option<Box<dyn Read + Send>>,
}

impl Talk {
    pub(crate) fn begin(conn: ConnId, settings: Settings, relay: String, now: Instant) -> Self {
        Self {
            conn,
            dial: None,
            conversation: Conversation::begin(settings, relay, None, now),
            inbox: VecDeque::new(),
            ended: false,
            reset: false,
            content: None,
        }
    }

    pub(crate) fn transact(
        &mut self,
        transaction: Transaction,
        content: Box<dyn Read + Send>,
        now: Instant,
    ) {
        self.content = Some(content);
        self.conversation.transact(transaction, false, now);
    }

    pub(crate) fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Bytes(bytes) => self.inbox.push_back(bytes),
            Arrival::End => self.ended = true,
            Arrival::Reset => self.reset = true,
            Arrival::Dialled(_) | Arrival::Connected => {}
        }
    }

    pub(crate) fn is_usable(&mut self, now: Instant) -> bool {
        let (inbox, over) = (&mut self.inbox, self.ended || self.reset);
        let news = |buffer: &mut [u8]| match inbox.front_mut() {
            Some(bytes) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    inbox.pop_front();
                }
                Some(count)
            }
            None => over.then_some(0),
        };
        self.conversation.is_usable(news, now)
    }

    /// Says QUIT, and closes.
    pub(crate) fn quit(mut self, out: &mut Vec<Sent>, now: Instant) {
        self.conversation.quit(now);
        let _ = self.go_on(out, now);
        let by = Side::Dialler;
        out.push(Sent::Close {
            conn: self.conn,
            by,
        });
    }

    /// Until something must be waited for.
    pub(crate) fn go_on(&mut self, out: &mut Vec<Sent>, now: Instant) -> Option<End> {
        loop {
            match self.conversation.next(now) {
                Step::Ended(end) => return Some(end),
                Step::Write(_) if self.reset => {
                    if let Some(bytes) = self.inbox.pop_front() {
                        self.conversation.received(&bytes, now);
                    }
                    let error = io::ErrorKind::BrokenPipe.into();
                    self.conversation.failed(&error, now);
                }
                Step::Write(bytes) => out.push(Sent::Bytes {
                    conn: self.conn,
                    by: Side::Dialler,
                    bytes,
                    acknowledges: None,
                }),
                Step::Content => match &mut self.content {
                    Some(content) => self.conversation.feed(content, limits::PIECE, now),
                    None => self.conversation.feed(&mut io::empty(), limits::PIECE, now),
                },
                Step::Read => match self.inbox.pop_front() {
                    Some(bytes) => self.conversation.received(&bytes, now),
                    None if self.reset => {
                        let error = io::ErrorKind::ConnectionReset.into();
                        self.conversation.failed(&error, now);
                    }
                    None if self.ended => self.conversation.received(&[], now),
                    None if self.conversation.deadline(now) <= now => {
                        let error = io::ErrorKind::TimedOut.into();
                        self.conversation.failed(&error, now);
                    }
                    None => return None,
                },
            }
        }
    }
}
