//! `cargo demo`: the whole way of a message, unprivileged, on loopback, in a temporary directory.
//!
//! | part | what |
//! |---|---|
//! | [`story`] | the steps, told and checked one after the other |
//! | [`scene`] | directory, configurations, programs |
//! | [`program`] | a program that runs beside us, and what it logs |
//! | [`client`] | an SMTP client with a source address of its own |
//!
//! Contract: success means that each step was really observed. All programs are ended, whatever
//! happens.

mod client;
mod program;
mod scene;
mod story;

pub use story::run;
