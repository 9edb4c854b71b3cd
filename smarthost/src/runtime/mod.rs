//! The composition root: the only place that names everything.
//!
//! | part | what |
//! |---|---|
//! | [`daemon`] | starts all parts in order, and ends them in order |
//! | [`reload`] | exchanges the setup on SIGHUP |
//! | [`control`] | the administrators' socket |
//! | [`drain`] | begins to empty this server into another one |
//! | [`enroll`] | lines that let machines in |
//! | [`explain`] | explains by what the running daemon holds |
//! | [`test`] | queues a test message |
//! | [`supervision`] | readiness and watchdog for systemd |

mod control;
mod daemon;
mod drain;
mod enroll;
mod explain;
mod reload;
mod supervision;
mod test;

pub use daemon::run;
