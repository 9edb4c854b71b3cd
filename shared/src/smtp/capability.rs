//! What EHLO announces, both directions.

/// Extensions that a peer offers (RFC 5321 §2.2; each field its own RFC).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    pub pipelining: bool,
    /// SIZE; `Some(0)`: no limit named.
    pub size: Option<u64>,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub enhanced_status_codes: bool,
    pub chunking: bool,
    pub dsn: bool,
    pub starttls: bool,
    /// Mechanisms of AUTH, upper case.
    pub auth: Vec<String>,
    /// Our agent's own: MAIL takes `XCALLER[=full-name]`, "the sender is the caller, as the socket tells".
    pub xcaller: bool,
}
