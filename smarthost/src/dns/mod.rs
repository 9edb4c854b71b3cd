//! Names of the world: which hosts take a domain's mail.
//!
//! | part | what |
//! |---|---|
//! | [`mx`] | the MX question, asked of the system's name servers; the only place that knows the DNS library |
//! | [`names`] | what restrictions want to know: client names, mail domains, entries of lists |
//! | [`exchange`] | from a next hop to the hosts to try, in order |

pub(crate) mod exchange;
pub(crate) mod mx;
mod names;
