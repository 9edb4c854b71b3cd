//! What mail is, without I/O: vocabulary, addresses, header, envelope, and what the software itself
//! writes.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules |
//! |---|---|
//! | vocabulary | [`status`] [`outcome`] [`limits`] [`clock`] [`text`] [`masked`] |
//! | grammar | [`address`] [`nexthop`] [`message`] [`envelope`] [`maps`] |
//! | writing | [`notice`] |

// vocabulary
pub mod clock;
pub mod limits;
pub mod masked;
pub mod outcome;
pub mod status;
pub mod text;
// grammar
pub mod address;
pub mod envelope;
pub mod maps;
pub mod message;
pub mod nexthop;
// writing
pub mod notice;
