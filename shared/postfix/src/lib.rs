//! Postfix's configuration as text, for an import: its settings, its services, and how they name
//! tables. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`settings`] | `main.cf`: settings, the defaults that others stand on, and what a service sets for itself |
//! | [`expand`] | `$name`, `${name?x:y}` and comparisons, replaced |
//! | [`services`] | `master.cf` |
//! | [`list`] | what stands in lists, and between braces |
//! | [`tables`] | `hash:/etc/postfix/virtual` and the like, and their entries |
//!
//! Contract: total and bounded on any text. Nothing is dropped silently: what cannot be read is
//! told with its line. postconf(5), master(5).

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

pub mod expand;
pub mod list;
pub mod services;
pub mod settings;
pub mod tables;
#[cfg(test)]
mod tests;

pub use list::{enclosed, gives_tokens, members};
pub use services::{Override, Service};
pub use settings::{Fault, Settings};
