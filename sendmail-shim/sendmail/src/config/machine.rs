//! What the machine knows about itself: its name, and the mail name that its administrator gave it.
//!
//! Contract: reads /etc/hosts and /etc/mailname, never the network: `sendmail` must not wait for a
//! name server.
//! Debian policy §11.6 (/etc/mailname).

use std::path::Path;

use mail::address::Domain;

/// Largest file that is read here, bytes; more of it is not looked at.
const MAX: u64 = 1024 * 1024;

/// The first word of /etc/mailname, if there is one.
pub fn mailname() -> Option<String> {
    mailname_in(&text(Path::new("/etc/mailname")))
}

/// The host name as FQDN: the kernel's name if it has a dot, else what /etc/hosts makes of it, else
/// with `domain` appended.
pub fn hostname(domain: Option<&str>) -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().unwrap_or("localhost");
    qualify(name, &text(Path::new("/etc/hosts")), domain)
}

/// What the kernel calls this machine, if mail can be addressed to it.
pub fn nodename() -> Option<Domain> {
    let uname = rustix::system::uname();
    Domain::name(uname.nodename().to_str().ok()?).ok()
}

fn text(path: &Path) -> String {
    system::read::text(path, MAX).unwrap_or_default()
}

fn mailname_in(text: &str) -> Option<String> {
    let line = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .find(|line| !line.is_empty())?;
    line.split_whitespace().next().map(str::to_owned)
}

fn qualify(name: &str, hosts: &str, domain: Option<&str>) -> String {
    let name = name.trim_end_matches('.');
    if name.contains('.') {
        return name.to_owned();
    }
    let canonical = hosts.lines().find_map(|line| {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1);
        let first = words.next()?;
        let named = first == name || words.any(|word| word == name);
        (named && first.contains('.')).then(|| first.trim_end_matches('.').to_owned())
    });
    match (canonical, domain) {
        (Some(canonical), _) if !canonical.starts_with("localhost") => canonical,
        (_, Some(domain)) if domain.split('.').next() == Some(name) => domain.to_owned(),
        (_, Some(domain)) => format!("{name}.{domain}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_host_name_is_completed_from_etc_hosts_and_then_from_the_domain() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1\tvm1.example.org vm1 # debian\n";
        assert_eq!(qualify("vm1", hosts, None), "vm1.example.org");
        assert_eq!(
            qualify("vm2", hosts, Some("example.net")),
            "vm2.example.net"
        );
        assert_eq!(
            qualify("vm1", "", Some("vm1.example.org")),
            "vm1.example.org"
        );
        assert_eq!(qualify("vm2", hosts, None), "vm2");
        assert_eq!(qualify("vm3.example.com.", hosts, None), "vm3.example.com");
    }

    #[test]
    fn the_mail_name_is_the_first_word_that_is_no_comment() {
        assert_eq!(
            mailname_in("# ours\n\nexample.org\n").as_deref(),
            Some("example.org")
        );
        assert_eq!(mailname_in("\n"), None);
    }
}
