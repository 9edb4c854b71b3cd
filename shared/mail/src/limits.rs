//! Every bound that a peer, a user or a file meets, with its source. Sizes are bytes unless the
//! name says otherwise.

use std::time::Duration;

/// Command line with CRLF that a server must take: RFC 5321 §4.5.3.1.4 asks 512; extensions add
/// (RFC 3461, RFC 6531), Postfix takes 2048.
pub const COMMAND_LINE: usize = 4096;
/// Response of a client that logs in, with CRLF: RFC 4954 §4 asks for 12,288 octets without it.
pub const AUTH_RESPONSE: usize = 12_290;
/// Reply line that a client takes: RFC 5321 §4.5.3.1.5 asks 512; real peers send more.
pub const REPLY_LINE: usize = 4096;
/// Lines of one multi-line reply.
pub const REPLY_LINES: usize = 128;
/// Line of a message with CRLF: RFC 5321 §4.5.3.1.6.
pub const TEXT_LINE: usize = 1000;
/// Local part: RFC 5321 §4.5.3.1.1 asks 64; VERP and SRS senders write longer ones, and Postfix
/// takes them.
pub const LOCAL_PART: usize = 256;
/// Domain: RFC 5321 §4.5.3.1.2.
pub const DOMAIN: usize = 255;
/// Path with its brackets: RFC 5321 §4.5.3.1.3 asks 256; this is what the two parts above can make.
pub const PATH: usize = LOCAL_PART + DOMAIN + 3;
/// Recipients of one transaction: RFC 5321 §4.5.3.1.8 asks at least 100; Postfix' default is 1000.
pub const RECIPIENTS: usize = 1000;
/// Recipients that one may stand for, and that one message may have after aliases.
pub const EXPANDED: usize = 50_000;
/// Recipients that every server takes in one transaction (RFC 5321 §4.5.3.1.8).
pub const SURE_RECIPIENTS: usize = 100;
/// Header section of one message (Postfix `header_size_limit` is 100 KiB for one field).
pub const HEADER: usize = 256 * 1024;
/// What may come beside a message that moves from another server's queue: its trace field, and what
/// is known of it and its recipients ([`EXPANDED`]).
pub const MOVED: u64 = 16 * 1024 * 1024;
/// Largest piece of a message that a machine hands over.
pub const PIECE: usize = 64 * 1024;
/// Bodies up to this size are kept in a spool record, larger ones in a file of their own.
pub const INLINE_BODY: usize = 256 * 1024;
/// A queue takes no new mail while fewer bytes are free on its disk, unless the administrator says
/// otherwise.
pub const MINIMUM_FREE: u64 = 64 * 1024 * 1024;

/// Inodes that must be free before new mail is taken.
pub const MINIMUM_INODES: u64 = 64;
/// Default for the size of a message.
pub const MESSAGE: u64 = 50 * 1024 * 1024;
/// `Received` fields of a message that loops: RFC 5321 §6.3 asks at least 100 to be let through;
/// Postfix stops at 50.
pub const HOPS: usize = 50;
/// Server: waiting for a command, RFC 5321 §4.5.3.2.7.
pub const COMMAND_TIMEOUT: Duration = Duration::from_mins(5);
/// Client: greeting, EHLO, MAIL, RCPT: RFC 5321 §4.5.3.2.1 to §4.5.3.2.3.
pub const REPLY_TIMEOUT: Duration = Duration::from_mins(5);
/// Client: reply to DATA, RFC 5321 §4.5.3.2.4.
pub const DATA_TIMEOUT: Duration = Duration::from_mins(2);
/// Client: one piece of the message, RFC 5321 §4.5.3.2.5.
pub const PIECE_TIMEOUT: Duration = Duration::from_mins(3);
/// Client: reply to the end of the message, RFC 5321 §4.5.3.2.6.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_mins(10);
/// Client: opening a connection (Postfix `smtp_connect_timeout`).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
