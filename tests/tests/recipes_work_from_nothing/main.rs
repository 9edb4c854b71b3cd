//! The recipes of docs/ADMINISTRATION.md, with the configurations that are shipped: from nothing to
//! the mail in its place. Only what a test cannot have is another: addresses, ports, pins, and the
//! way out of the site.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod association;
mod campus;
mod company;
mod hosting;
mod pair;
mod site;
