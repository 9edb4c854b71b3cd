//! Names of the world: which hosts take a domain's mail.
//!
//! | part | what |
//! |---|---|
//! | [`mx`] | questions to name servers, and that for MX records |
//! | [`servers`] | the name servers, and whether their word on DNSSEC counts |
//! | [`secure`] | what DANE wants to know, and a self-test of DNSSEC |
//! | [`failures`] | questions that nobody answered lately |
//! | [`lookups`] | how many questions nobody answers |
//! | [`names`] | what restrictions want to know: client names, mail domains, entries of lists |
//! | [`exchange`] | from a next hop to the hosts to try, in order |

pub mod exchange;
mod failures;
mod lookups;
pub mod mx;
mod names;
mod secure;
mod servers;

pub(crate) use lookups::Lookups;
pub(crate) use secure::Dnssec;
