//! The administrator's commands: `sendmail-shim COMMAND`.
//!
//! | part | what |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`check`] | configuration, spool, agent, relayhost: everything on the way, told one by one |
//! | [`effective`] | the settings in force |
//! | [`explain`] | what would become of a message, and why |
//! | [`import`] | another program's configuration made into ours |
//! | [`pin`] | which key a relayhost presents |
//! | [`provision`] | settings that come with the machine or the package |
//! | [`queue`] | the queue; also `mailq`, `sendmail -bp`, `sendmail -q` |
//! | [`aliases`] | the alias files checked; also `newaliases` |
//! | [`test`] | a test message |
//! | [`verify`] | `sendmail -bv`, `-bt`: what would become of an address |
//! | [`takeover`] | the mail that waits in another program's queue, taken into ours |
//! | [`terminal`] | words to the terminal |

pub mod aliases;
pub mod check;
pub mod cli;
pub mod effective;
pub mod explain;
pub mod import;
pub mod pin;
pub mod provision;
pub mod queue;
pub mod takeover;
pub mod terminal;
pub mod test;
pub mod verify;
