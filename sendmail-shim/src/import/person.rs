//! Who reads root's mail once it is taken over: an alias of the other program's file, or nobody.
//!
//! Contract: without a person an administrator has to decide: root's mail would go to whoever is
//! root at the domain, or to nobody.

use std::path::PathBuf;

use mail::{
    address::LocalPart,
    maps::{Table, Target, expand},
};

use super::{
    plan::{Plan, Verdict},
    source::{Lookup, Place},
};

/// Where aliases are if nothing else is said.
const ALIASES: &str = "/etc/aliases";
/// Where a machine's own name stands.
const NAMES: [&str; 2] = ["/etc/mailname", "/etc/hostname"];

/// Notes it.
pub fn note(plan: &mut Plan, lookup: &Lookup<'_>) {
    if plan.admin.is_some() {
        return;
    }
    let path = plan.aliases.clone().unwrap_or_else(|| ALIASES.to_owned());
    let at = |line| Place { path: &path, line };
    if let Some(source) = lookup(&path) {
        let (table, _) = Table::client_aliases(PathBuf::from(&path), &source.text);
        let line = table
            .get("root")
            .and_then(|entry| usize::try_from(entry.line).ok());
        let to = LocalPart::new("root")
            .ok()
            .and_then(|root| expand(&table, &root).ok());
        let to = to.unwrap_or_default();
        let person = to.iter().find(|target| match target {
            Target::Mailbox(mailbox) => mailbox.address().is_some(),
            _ => false,
        });
        if let (Some(line), Some(person)) = (line, person) {
            let text = format!("aliases: root's mail goes to {person}");
            return plan.note(Verdict::Mapped, at(line), "root", text);
        }
    }
    let own = plan.hostname.clone().into_iter();
    let own = own.chain(
        NAMES
            .into_iter()
            .filter_map(lookup)
            .map(|source| source.text),
    );
    let is_own = |domain: &str| {
        let below = format!(".{domain}");
        own.map(|name| name.trim().to_owned())
            .any(|name| name == domain || name.ends_with(&below))
    };
    let whose = match plan.domain.clone() {
        Some(domain) if !is_own(&domain) => format!("root@{domain}, whoever that is"),
        _ => "root at this machine's name, which no relay may know".to_owned(),
    };
    let text = format!(
        "nobody is named for root: its mail would go to {whose}; set admin = \"NAME@example.org\""
    );
    plan.note(Verdict::Insecure, at(1), "root", text);
}

#[cfg(test)]
mod tests {
    use super::super::{dma, msmtp, source::Source};
    use super::*;

    fn report(read: fn(&Lookup<'_>) -> Plan, files: &[(&str, &str)]) -> Vec<String> {
        let lookup = |path: &str| {
            let (_, text) = files.iter().find(|(name, _)| *name == path)?;
            Some(Source {
                path: path.to_owned(),
                text: (*text).to_owned(),
                world_readable: false,
            })
        };
        let mut plan = read(&lookup);
        note(&mut plan, &lookup);
        plan.report()
            .into_iter()
            .filter(|line| line.contains(" root: "))
            .collect()
    }

    #[test]
    fn a_catch_all_is_a_person_and_without_one_a_strangers_domain_wants_a_decision() {
        let dma_conf = "SMARTHOST smtp.provider.example\nSTARTTLS\nSECURETRANSFER\nMASQUERADE @provider.example\n";
        let msmtprc = "account default\nhost mail.provider.example\nfrom robot@provider.example\naliases /etc/aliases.msmtp\n";
        for (read, conf, text, table) in [
            (
                dma::read as fn(&Lookup<'_>) -> Plan,
                ("/etc/dma/dma.conf", dma_conf),
                "*: me@provider.example\n",
                "/etc/aliases",
            ),
            (
                msmtp::read,
                ("/etc/msmtprc", msmtprc),
                "x: y\ndefault: ops@site.example\n",
                "/etc/aliases.msmtp",
            ),
        ] {
            let told = report(read, &[conf, (table, text)]);
            assert!(
                told[0].starts_with("mapped ") && told[0].contains("root's mail goes to"),
                "{told:?}"
            );
        }
        let nobody = report(
            dma::read,
            &[
                ("/etc/dma/dma.conf", dma_conf),
                ("/etc/aliases", "postmaster: root\n"),
            ],
        );
        assert!(
            nobody[0].starts_with("DECIDE") && nobody[0].contains("root@provider.example"),
            "{nobody:?}"
        );
        let own = report(
            dma::read,
            &[
                ("/etc/dma/dma.conf", dma_conf),
                ("/etc/mailname", "vm1.provider.example\n"),
            ],
        );
        assert!(own[0].contains("at this machine's name"), "{own:?}");
    }
}
