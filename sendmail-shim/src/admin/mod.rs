//! The administrator's commands: `sendmail-shim COMMAND`.
//!
//! | part | what |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`check`] | configuration, spool, agent, relayhost: everything on the way, told one by one |
//! | [`effective`] | the settings in force |
//! | [`enroll`] | a key of its own |
//! | [`explain`] | what would become of a message, and why |
//! | [`import`] | another program's configuration made into ours |
//! | [`init`] | a guided set-up |
//! | [`pin`] | which key a relayhost presents |
//! | [`provision`] | settings that come with the machine or the package |
//! | `running` | what the agent that runs says of itself |
//! | [`status`] | how the agent does |
//! | [`test`] | a test message |
//! | [`takeover`] | the mail that waits in another program's queue, taken into ours |

pub mod check;
pub mod cli;
pub mod effective;
pub mod enroll;
pub mod explain;
pub mod import;
pub mod init;
pub mod pin;
pub mod provision;
mod running;
pub mod status;
pub mod takeover;
pub mod test;

use crate::{aliases, terminal};
