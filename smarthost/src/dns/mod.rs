//! Names of the world: which hosts take a domain's mail.
//!
//! | part | what |
//! |---|---|
//! | [`mx`] | questions to name servers, and that for MX records |
//! | [`names`] | what restrictions want to know: client names, mail domains, entries of lists |
//! | [`exchange`] | from a next hop to the hosts to try, in order |

pub mod exchange;
pub mod mx;
mod names;
