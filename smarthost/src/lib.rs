//! smarthost: an SMTP relay with daily limits per client and a durable queue.
//!
//! Layers, uppermost first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | programs | [`cli`] [`runtime`] | the command line; the composition root, which alone names everything |
//! | services | `server`, `delivery`, `transport`, [`admin`], [`explain`], [`web`] | receiving, sending, the administrators' socket, what would be decided, the status page |
//! | edges | `setup`, `budget`, `dispatch`, `draining`, `arriving`, `enrolling`, `link`, `dns`, [`state`], `maillog`, `news` | what is in force, limits over several servers, the way into the queue, from another server's too, machines that are enrolled, connections, names, `SQLite`, log, news for administrators |
//! | migration | [`import`] | Postfix's configuration made into ours; pure |
//! | pure core | [`activity`] [`config`] [`dane`] [`dead_mail`] [`destination`] [`dkim`] [`drain`] [`enroll`] [`expected`] [`lessons`] [`lookup`] [`machines`] [`milter`] [`network`] [`notices`] [`oldest`] [`policy`] [`provenance`] [`limits`] [`loops`] [`mta_sts`] [`route`] [`srs`] [`tls_policy`] [`trail`] | decides; no I/O, no clock, no tokio |
//!
//! Below all of them are the crates in `shared/`.

// pure core
pub mod activity;
pub mod config;
pub mod dane;
pub mod dead_mail;
pub mod destination;
pub mod dkim;
pub mod drain;
pub mod enroll;
pub mod expected;
pub mod lessons;
pub mod limits;
pub mod lookup;
pub mod loops;
pub mod machines;
pub mod milter;
pub mod mta_sts;
pub mod network;
pub mod notices;
pub mod oldest;
pub mod policy;
pub mod provenance;
pub mod route;
pub mod srs;
pub mod tls_policy;
pub mod trail;
// migration
pub mod import;
// edges
mod arriving;
pub mod budget;
pub mod dispatch;
pub mod dns;
mod draining;
mod enrolling;
mod link;
mod maillog;
mod news;
mod setup;
pub mod state;
// services
pub mod admin;
mod delivery;
pub mod explain;
mod server;
mod transport;
pub mod web;
// programs
pub mod cli;
pub mod runtime;
