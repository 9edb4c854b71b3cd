//! The result of an import as `config.toml`.

use std::fmt::Write as _;

use settings::rows::{one_or_list, quote};

use super::plan::{Plan, Tls};

impl Plan {
    /// `config.toml`; `password_file` is where the password will be.
    pub fn config(&self, program: &str, password_file: &str) -> String {
        let mut out = format!("# Taken over from {program} by sendmail-shim import.\n");
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{key} = {value}");
        };
        if !self.relayhost.is_empty() {
            line("relayhost", one_or_list(&self.relayhost));
        }
        match self.tls {
            Some(Tls::Wrapped) => line("tls", quote("wrapped")),
            Some(Tls::StartTls) => line("tls", quote("starttls")),
            None => {}
        }
        if !self.pins.is_empty() {
            line("pins", one_or_list(&self.pins));
        }
        for (key, value) in [
            ("domain", self.domain.clone()),
            ("hostname", self.hostname.clone()),
            ("admin", self.admin.as_ref().map(ToString::to_string)),
            ("aliases", self.aliases.clone()),
        ] {
            if let Some(value) = value {
                line(key, quote(&value));
            }
        }
        if !self.listen.is_empty() {
            line("listen", one_or_list(&self.listen));
        }
        if let Some(own) = self.from_override {
            line("from_override", own.to_string());
        }
        if let Some(size) = self.message_size {
            line("message_size", size.to_string());
        }
        self.tables(&mut line, password_file);
        out
    }

    fn tables(&self, line: &mut impl FnMut(&str, String), password_file: &str) {
        if let Some(credentials) = &self.credentials {
            line("auth.user", quote(&credentials.user));
            line("auth.password_file", quote(password_file));
        }
        if let Some((certificate, key)) = &self.client_certificate {
            line("certificate", quote(certificate));
            line("key", quote(key));
        }
        for (key, span) in [
            ("retry.minimal", self.minimal),
            ("retry.maximal", self.maximal),
            ("retry.lifetime", self.lifetime),
        ] {
            if let Some(span) = span {
                line(key, format!("\"{}s\"", span.as_secs()));
            }
        }
    }
}
