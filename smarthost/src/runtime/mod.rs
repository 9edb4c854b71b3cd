//! The composition root: the only place that names everything.
//!
//! | part | what |
//! |---|---|
//! | [`daemon`] | starts all parts in order, and ends them in order |
//! | [`reload`] | exchanges the setup on SIGHUP |
//! | [`control`] | the administrators' socket |
//! | [`supervision`] | readiness and watchdog for systemd |

mod control;
mod daemon;
mod reload;
mod supervision;

pub use daemon::run;
