//! Rate limit: how many messages a client may send in a sliding time. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`rules`](Rules) | the limits, who counts as one, the exempt list |
//! | [`counted`](ClientId) | who is counted as one |
//! | [`client`](client::Client) | one client: a ring for each limit, what is under way, which notices were sent |
//! | [`limiter`](Limits) | all clients, bounded; counts, reports, resets, raises |
//! | [`report`](Report) | the texts: reply, log line, listing |
//! | [`failures`](Failures) | who failed to log in lately |
//! | [`news`] | what administrators are told |
//! | [`who`] | who on a client's machine wrote its mail |
//!
//! Contract: one budget a client over all ports; never more than the limit in any time of that
//! length; what was counted slides out again, at most 0.7 % of the window late. Counted is what was
//! answered 250. A message that is under way holds a place, which it gives back if it comes to
//! nothing; such attempts have a limit of their own, ten times as high and within an hour, so that
//! a client which keeps trying is slowed down but never loses its day.
//! Inside the networks a client is its address, and an IPv6 /64 as a whole has a limit too;
//! strangers are counted by IPv4 address or IPv6 /64, in a small table of their own. Whoever has
//! shown a key of `client_pins` or a login is counted under that name alone, wherever he comes
//! from. What an administrator ordered is never forgotten early.

mod client;
mod counted;
mod failures;
mod limiter;
mod news;
mod report;
mod rules;
#[cfg(test)]
mod tests;
mod who;

pub use counted::{ClientId, Peer, name};
pub use failures::{Failed, Failures};
pub use limiter::{Change, Kept, Limits};
pub use report::{Decision, Excess, Report, Why, note_closed};
pub use rules::{Class, Counted, Counter, Limit, Rules};
