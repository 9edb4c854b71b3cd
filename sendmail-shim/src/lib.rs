//! `sendmail-shim`: the agent of a machine, and its administrator's commands.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | migration | [`import`] | other programs' configurations made into ours, and their queues read; pure |
//! | services | [`agent`] | takes mail, keeps it, delivers it |
//! | commands | [`admin`] | the administrator's |
//!
//! Below all of them is `sendmail`, whose configuration, rewriting and way to the relayhost the
//! agent shares.

pub mod admin;
pub mod agent;
pub mod import;

pub(crate) use ::sendmail::{
    aliases, compose, config, identity, plan, prepare, queue, relay, submit, terminal,
};
