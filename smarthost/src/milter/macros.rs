//! What is known of session and message, by the names of Sendmail's macros (Postfix's
//! `MILTER_README`).

use super::packet;

/// Names and values; what is not known is not in it. Names are without braces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Macros(Vec<(&'static str, String)>);

/// Postfix's defaults (`milter_connect_macros` …), and at the connection what it has for filters
/// that ask, by list.
const DEFAULTS: [&[&str]; 7] = [
    &[
        "j",
        "daemon_name",
        "daemon_addr",
        "daemon_port",
        "v",
        "_",
        "client_addr",
        "client_name",
        "client_port",
        "client_ptr",
    ],
    &[
        "tls_version",
        "cipher",
        "cipher_bits",
        "cert_subject",
        "cert_issuer",
    ],
    &["i", "auth_type", "auth_authen", "auth_author", "mail_addr"],
    &["i", "rcpt_addr"],
    &["i"],
    &["i"],
    &["i"],
];

impl Macros {
    /// One more; an empty value is none.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.0.push((name, value));
        }
        self
    }

    /// Appends the packet for a step: those that the filter named, else the usual ones, as far as
    /// they are known.
    pub(super) fn write(&self, out: &mut Vec<u8>, letter: u8, list: u32, named: Option<&[String]>) {
        let mut payload = vec![letter];
        let mut add = |name: &str| {
            let bare = name.trim_start_matches('{').trim_end_matches('}');
            let mut known = self.0.iter();
            if let Some((bare, value)) = known.find(|(known, _)| *known == bare) {
                let written = match bare.len() {
                    1 => (*bare).to_owned(),
                    _ => format!("{{{bare}}}"),
                };
                packet::string(&mut payload, written.as_bytes());
                packet::string(&mut payload, value.as_bytes());
            }
        };
        if let Some(named) = named {
            for name in named {
                add(name);
            }
        } else {
            let list = usize::try_from(list).ok();
            let usual = list.and_then(|list| DEFAULTS.get(list));
            usual
                .copied()
                .unwrap_or_default()
                .iter()
                .for_each(|name| add(name));
        }
        if payload.len() > 1 {
            payload.truncate(packet::PAYLOAD);
            packet::write(out, b'D', &payload);
        }
    }
}
