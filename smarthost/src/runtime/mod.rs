//! The composition root: the only place that names everything.
//!
//! | part | what |
//! |---|---|
//! | [`daemon`] | starts all parts in order, and ends them in order |
//! | [`page`] | where the status page listens |
//! | [`recovery`] | what a start takes back |
//! | [`reading`] | files are looked at and read beside everything else |
//! | [`reload`] | exchanges the setup on SIGHUP |
//! | [`control`] | the administrators' socket |
//! | [`next_hops`] | how the next hops do that a status names |
//! | [`drain`] | begins to empty this server into another one |
//! | [`enroll`] | lines that let machines in |
//! | [`explain`] | explains by what the running daemon holds |
//! | [`test`] | queues a test message |
//! | [`alive`] | whoever waits hears that he is not forgotten |
//! | [`supervision`] | readiness and watchdog for systemd |

mod alive;
mod control;
mod daemon;
mod drain;
mod enroll;
mod explain;
mod next_hops;
mod page;
mod reading;
mod recovery;
mod reload;
mod supervision;
mod test;

pub use daemon::run;
