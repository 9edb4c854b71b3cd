//! The harness of the end-to-end tests: our programs as processes, and everything that stands
//! around them.
//!
//! | part | what |
//! |---|---|
//! | [`binaries`] | builds both programs once and says where they are |
//! | [`daemon`] | a process with its log; killed when the test ends, its log printed when the test fails |
//! | [`installation`] | a directory with a configuration, and the daemon that it is for |
//! | [`activation`] | in systemd's place: the agent's sockets, and an agent when somebody connects |
//! | [`smarthost`], [`agent`] | our two daemons with a configuration from the test |
//! | [`sink`] | an SMTP or LMTP server that does what a test tells it to, and remembers what it got |
//! | [`milter`] | a milter that answers as a test tells it to, and remembers what it was told |
//! | [`session`] | an SMTP client that a test types into |
//! | [`login`] | clients that log in |
//! | [`enrolment`] | machines that are let in by lines |
//! | [`dialog`] | SMTP sessions in files, for any server and for the machine itself |
//! | [`resolver`] | a name server that a test can ask what it was asked |
//! | [`signed`] | signed zones behind the real unbound |
//! | [`http`] | asks a web server byte by byte |
//! | [`policy`] | a policy server that answers as a test tells it to |
//! | [`https`] | a web server with one answer |
//! | [`identity`] | keys and certificates |
//! | [`compat`] | one suite of cases for every `sendmail` |
//! | [`demo`] | the demonstration: `cargo demo` |
//! | [`shown`] | what commands print, as the manual shows it |
//! | [`terminal`] | a program in a terminal, where somebody looks and types |
//! | [`store`] | a store in which several smarthosts meet |
//! | [`clock`] | clocks of programs that are set while they run |
//! | [`disk`] | a file system on a disk that is slow, fails and forgets |
//! | [`wait`] | waits for a condition with a deadline; nothing here sleeps and hopes |
//! | [`peers`] | other people's programs: found, or skipped aloud |
//! | [`enclosed`] | their daemons in namespaces of their own |
//! | [`postfix`], [`server`], [`dovecot`] | a Postfix, an Exim, an `OpenSMTPD`, a Dovecot that ends with its test |
//! | [`maildir`] | what lies in a Maildir |
//!
//! Contract: all of it but other people's daemons runs without root, on loopback, and in parallel.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness fails its test by panicking"
)]

pub mod activation;
pub mod agent;
pub mod binaries;
pub mod clock;
pub mod compat;
pub mod daemon;
pub mod demo;
pub mod dialog;
pub mod disk;
pub mod dovecot;
pub mod enclosed;
pub mod enrolment;
pub mod http;
pub mod https;
pub mod identity;
pub mod installation;
pub mod login;
pub mod luck;
pub mod maildir;
pub mod milter;
pub mod peers;
pub mod policy;
pub mod postfix;
pub mod resolver;
pub mod restrictions;
pub mod server;
pub mod session;
pub mod shown;
pub mod signed;
pub mod sink;
pub mod smarthost;
pub mod store;
pub mod terminal;
pub mod wait;
