//! Rate limit: how many messages a client may send in a sliding time. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`rules`](Rules) | the windows, the exempt list |
//! | [`client`](client::Client) | one client: a ring for each window, a raised limit, which notices were sent |
//! | [`limiter`](Limits) | all clients, bounded; counts, reports, resets, raises |
//! | [`report`](Report) | the texts: reply, log line, notices |
//!
//! Contract: one budget a client over all ports; never more than the limit in any time of that length; what was counted slides out
//! again, at most 0.7 % of the window late; a refused message is not counted, so that a client which keeps trying is not kept out.
//! Counted is each MAIL command that no other restriction refused, whatever becomes of the message afterwards.

mod client;
mod limiter;
mod report;
mod rules;
#[cfg(test)]
mod tests;

pub use limiter::{Change, Limits};
pub use report::{Decision, Excess, Notice, Report};
pub use rules::Rules;
