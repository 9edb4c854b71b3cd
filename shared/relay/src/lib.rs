//! Connections to other hosts.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | rules | [`trust`] [`tlsa`] [`enroll`] | pins, TLSA records, and what they match; how a machine gets a key of its own; pure |
//! | encryption | [`tls`] | rustls verifiers, certificates |
//! | core | [`conversation`] [`delivery`] [`relayhost`] | one connection without its socket; one delivery: what is tried, what answers mean; the hosts behind a relayhost, in order |
//! | edges | [`net`] [`token`] | dialling, the blocking movers of bytes; access tokens |

pub mod conversation;
pub mod delivery;
pub mod enroll;
pub mod net;
pub mod relayhost;
pub mod tls;
pub mod tlsa;
pub mod token;
pub mod trust;
