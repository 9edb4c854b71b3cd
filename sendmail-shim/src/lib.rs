//! `sendmail`, `mailq`, `newaliases` and `sendmail-shim`: one binary.
//!
//! Layers, lowest first: [`mode`] (which program), [`flags`] (what was typed), `plan` (what is meant), `compose` (the message),
//! `submit` (agent or relayhost); beside them the `agent` and the administrator's commands, `admin`.

pub mod agent;
pub mod compose;
pub mod config;
pub mod deposit;
pub mod flags;
pub mod identity;
pub mod mode;
pub mod plan;
pub mod prepare;
pub mod queue;
pub mod submit;

/// The program, under any of its names.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
