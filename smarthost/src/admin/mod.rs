//! The administrators' commands: what they ask over the control socket, what is answered, and how.

mod answer;
mod protocol;

pub use answer::{Controlled, answer, refuses};
pub use protocol::{Answer, EnrollOrder, Invitation, Request};
