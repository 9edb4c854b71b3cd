//! What sendmail-shim and smarthost have in common.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules |
//! |---|---|
//! | vocabulary | [`status`] [`outcome`] [`sysexits`] [`limits`] [`clock`] [`retry`] |
//! | grammar | [`address`] [`nexthop`] [`message`] [`trust`] [`envelope`] [`maps`] |
//! | wire | [`smtp`] |
//! | tables | [`config`] [`listing`] [`notice`] [`rate`] |
//! | edges | [`fs`] [`secret`] [`log`] [`tls`] [`net`] [`spool`] [`control`] [`provision`] |
//!
//! Everything above the edges is pure: no sockets, files, clocks or threads.

// vocabulary
pub mod clock;
pub mod limits;
pub mod outcome;
pub mod retry;
pub mod status;
pub mod sysexits;
// grammar
pub mod address;
pub mod envelope;
pub mod message;
pub mod nexthop;
pub mod trust;
// wire
pub mod smtp;
// tables
pub mod config;
pub mod listing;
pub mod maps;
pub mod notice;
pub mod rate;
// edges
pub mod control;
pub mod fs;
pub mod log;
pub mod net;
pub mod provision;
pub mod secret;
pub mod spool;
pub mod tls;
