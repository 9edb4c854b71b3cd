//! Bytes that are no UTF-8: what has them is another name, path or password once it is written.
//!
//! Contract: [`Lookup`](super::source::Lookup) puts U+FFFD in their place; nothing with this sign
//! reaches the result. Comments may have it.

use super::{
    plan::{Plan, Verdict},
    source::{UNREADABLE, is_readable},
};

impl Plan {
    /// Takes out of the result what was not read as it was written.
    pub(super) fn leave_out_unreadable(&mut self, main: &str) {
        let mut lost = Vec::new();
        let mut drop_unless = |key: &'static str, value: &mut Option<String>| {
            if value.take_if(|text| !is_readable(text)).is_some() {
                lost.push(key);
            }
        };
        drop_unless("domain", &mut self.domain);
        drop_unless("hostname", &mut self.hostname);
        drop_unless("aliases", &mut self.aliases);
        if let Some(admin) = self.admin.take_if(|it| !is_readable(&it.to_string())) {
            drop(admin);
            lost.push("admin");
        }
        let both = |(certificate, key): &mut (String, String)| {
            !is_readable(certificate) || !is_readable(key)
        };
        if self.client_certificate.take_if(both).is_some() {
            lost.push("certificate and key");
        }
        let before = self.revaliases.len();
        self.revaliases.retain(|line| is_readable(line));
        if self.revaliases.len() < before {
            lost.push("revaliases");
        }
        for key in lost {
            self.about(Verdict::Insecure, main, key, UNREADABLE);
        }
        for note in &mut self.notes {
            // Relays and logins are refused where they are read.
            let is_lost = !is_readable(&note.key) || !is_readable(&note.text);
            if is_lost && note.verdict == Verdict::Unmapped {
                note.verdict = Verdict::Insecure;
            }
        }
    }
}
