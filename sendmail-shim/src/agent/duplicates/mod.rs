//! Duplicate suppression: the same automatic mail again and again. The first is sent, the rest is
//! counted, and a digest tells how many there were.
//!
//! | part | what |
//! |---|---|
//! | [`likeness`] | which messages are the same; pure |
//! | [`window`] | what becomes of each of them; pure |
//! | [`digest`] | what the digest says; pure |
//! | [`keeping`] | the same, with the spool |
//!
//! The second message of a storm is kept in the queue until the window ends, and stands for those
//! that follow: each of them is one count, on disk before its sender is told that it was accepted.
//! If it remains alone it is sent as it is; else the digest goes in its place. So a crash at any
//! moment loses no count, and what is counted is always owed by a message in the queue.

pub(crate) mod digest;
pub(crate) mod likeness;
pub(crate) mod window;

pub(super) mod keeping;
