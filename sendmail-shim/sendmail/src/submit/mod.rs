//! The message handed over: to the agent, or where none answers to the relayhost itself.
//!
//! | part | what |
//! |---|---|
//! | [`run`] | the whole way from standard input to the exit status |
//! | [`agent`] | over the agent's socket |
//! | [`direct`] | to the relayhost, without a queue |
//! | `starting` | an agent that is just starting is waited for |
//! | `misread` | news for the sender of addresses that could not be read |
//! | [`ready`] | what is handed over |
//! | [`report`] | outcomes as exit status and lines for standard error; pure |
//! | [`dialogue`] | what `-bs` knows of the session that passes through it; pure |
//! | [`stdio`] | `-bs`: standard input and output joined to the agent's socket |

pub mod agent;
pub mod dialogue;
pub mod direct;
mod misread;
pub mod ready;
pub mod report;
pub mod run;
mod starting;
pub mod stdio;
