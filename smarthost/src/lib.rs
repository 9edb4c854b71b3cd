//! smarthost: an SMTP relay with daily limits per client and a durable queue.
//!
//! Layers, uppermost first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | programs | [`cli`] | the command line; `run` calls the composition root |
//! | services | [`admin`] | the administrators' socket |
//! | edges | [`state`] | SQLite |
//! | pure core | [`config`] [`network`] [`policy`] [`limits`] [`route`] [`queue`] [`bounce`] | decides; no I/O, no clock, no tokio |
//!
//! Below all of them is the crate `shared`.

// pure core
pub mod bounce;
pub mod config;
pub mod limits;
pub mod network;
pub mod policy;
pub mod queue;
pub mod route;
// edges
pub mod state;
// services
pub mod admin;
// programs
pub mod cli;
