//! Names of the world: which hosts take a domain's mail.
//!
//! | part | what |
//! |---|---|
//! | [`mx`] | the MX question, asked of the system's name servers; the only place that knows the DNS library |
//! | [`exchange`] | from a next hop to the hosts to try, in order |

pub(crate) mod exchange;
pub(crate) mod mx;
