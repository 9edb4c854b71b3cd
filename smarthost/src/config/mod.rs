//! The configuration: TOML as written ([`file`]), checked ([`check`]), as the program uses it ([`settings`]).

pub mod settings;

pub use settings::{
    Concurrency, Config, Domains, KeyFiles, ListenTls, Listener, LmtpTarget, LocalTransport,
    RelayTls, Transport,
};
