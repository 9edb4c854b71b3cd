//! The configuration: TOML as written, checked, as the program uses it.
//!
//! | part | what |
//! |---|---|
//! | [`file`] | the keys and the forms of their values, for serde |
//! | [`forms`] | default and range of each setting of one value |
//! | [`settings`] | [`Config`]: valid by construction, defaults filled in |
//! | [`check`] | from the one to the other; what serde cannot check |
//! | [`queries`] | the same for restrictions that ask the world |
//! | [`relayhost`] | the same for the relayhost |
//! | [`sense`] | settings that are right alone and contradict each other; where relative paths start |
//! | [`load`], [`tables`], [`noted`] | read the files, and what a daemon notes of them: the only parts with I/O |
//! | [`rows`] | each setting's name, meaning and value: what `config` prints (row D7) |
//! | [`tls_level`] | how much TLS hosts of others must show |
//! | [`transports`] | transports with settings, and those of well-known providers |
//! | [`routes`] | what the value of a route says |
//! | [`macros`] | macros in the arguments of programs |
//! | [`signing`] | what is added to mail on its way out |
//! | [`web`] | where the status page listens |
//! | [`budget`], [`store`] | how several smarthosts share one budget, and where they meet |
//!
//! Contract: an empty file is a useful configuration. Failures: a `ConfigError` with file, line,
//! column and remedy.

mod budget;
mod check;
mod clients;
mod file;
mod forms;
mod load;
mod macros;
pub(crate) mod noted;
mod queries;
mod relayhost;
mod routes;
pub mod rows;
mod sense;
mod settings;
mod signing;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod tls_level;
mod transports;
mod users;
mod web;

pub use budget::{Budget, OnOutage};
pub use load::Runners;
pub use macros::{Macro, Macros};
pub use noted::Noted;
pub use routes::{Route, exchanger};
pub use settings::{
    AliasFile, Class, Concurrency, Config, Dnsbl, Domains, Greylist, KeyFiles, ListenTls, Listener,
    LogFormat, Offer, RelayAuth, RelayTls, Retry, SPOOL, STATE, Verify,
};
pub use signing::{DkimKey, OwnDomain, Selector, SrsDomain};
pub use tables::TableFiles;
pub use tls_level::{TlsLevel, TlsOut};
pub use transports::{Flags, Pipe, Transport, Transports, Type, provider};
pub use users::{
    Users, Verifiers, is_of_login, line as login_line, lines as login_lines, read as read_logins,
};
pub use web::Web;
