//! Connections to other hosts.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | trust | [`trust`] | pins and what they match; pure |
//! | encryption | [`tls`] | rustls verifiers, certificates |
//! | edges | [`net`] | dialling, the blocking driver of the client machine |

pub mod net;
pub mod tls;
pub mod trust;
