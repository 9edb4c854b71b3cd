//! Rate limit: how many messages a client may send in a sliding time, pure.
//!
//! Contract: one budget a client over all ports; what was counted slides out again exactly once; a refused message is not
//! counted, so that a client which keeps trying is not kept out. Memory is bounded.

mod limiter;
mod rules;

pub use limiter::{Action, Decision, Excess, Limits, Report};
pub use rules::{Rules, Window};
