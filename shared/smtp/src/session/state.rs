//! Where a session stands.

use crate::{
    command::{Chunk, xclient::Override},
    data::{Checker, Decoder},
    reply::Reply,
    sasl::Acceptor,
};

/// What the next bytes are.
#[derive(Debug)]
pub(super) enum Mode {
    /// Too early: we speak first.
    Greeting,
    Command,
    /// A response to a challenge of AUTH.
    Response(Acceptor),
    /// The message after DATA. Without a transaction it is too large already, and skipped.
    Data(Decoder),
    Chunk(OpenChunk),
    /// TLS; none of ours.
    Handshake,
    Ended,
}

/// A BDAT chunk that is coming.
#[derive(Debug)]
pub(super) struct OpenChunk {
    pub(super) chunk: Chunk,
    /// Bytes that are still to come.
    pub(super) left: u64,
    /// The chunk is skipped, and this reply follows.
    pub(super) refusal: Option<Reply>,
}

#[derive(Debug)]
pub(super) enum Asked {
    Connect,
    Helo(Greeting),
    Auth(Box<Exchange>),
    Login(String, Box<Acceptor>),
    Client(Box<Override>),
    Enroll,
    Mail { utf8: bool, moved: bool },
    Recipient,
    Data,
    Chunk(Chunk),
    Message,
}

/// An authentication that a client wants to begin, with what it said at once.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) acceptor: Acceptor,
    pub(super) initial: Option<String>,
}

/// How the client greeted.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) name: String,
    pub(super) extended: bool,
}

/// From an accepted MAIL to the message's end.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) utf8: bool,
    /// XMOVE: it was accepted once, with fewer fields, and what is known of it comes in front.
    pub(super) moved: bool,
    /// RCPT commands, whatever became of them.
    pub(super) tried: bool,
    pub(super) recipients: usize,
    /// Bytes of the message so far.
    pub(super) size: u64,
    /// BDAT has begun.
    pub(super) chunks: Option<Checker>,
}
