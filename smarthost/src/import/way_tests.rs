//! Where mail goes with what was taken over, as Postfix 3.7's trivial-rewrite resolves the same.

use std::sync::Arc;

use mail::{address::Address, nexthop::Nexthop};

use super::{
    report::{Import, Verdict},
    tests::{MAIN, import, setting, verdicts},
};
use crate::{
    config::Config,
    route::Router,
    tls_policy::{Demand, Policies, PolicyTable},
};

const BASE: &str = "compatibility_level = 3.6\nmyhostname = mail.example.org\nmydestination =\nmynetworks = 127.0.0.0/8\n\
                    alias_maps =\nrecipient_delimiter = +\n";
const A: &str = "/etc/postfix/a";
const B: &str = "/etc/postfix/b";

fn taken_over(main: &str, a: &str, b: &str) -> Import {
    import(&[(MAIN, &format!("{BASE}{main}")), (A, a), (B, b)])
}

/// The configuration and its tables, as the daemon reads them.
fn written(import: &Import) -> (tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    for file in &import.files {
        let path = directory.path().join(&file.name);
        system::fs::replace(&path, file.content.as_bytes(), 0o644).unwrap();
    }
    let path = directory.path().join("config.toml");
    let config = Config::parse(&path, &import.config(), "mail.example.org").unwrap();
    (directory, config)
}

fn ways(import: &Import, cases: &str) {
    let (_directory, config) = written(import);
    let (tables, problems) = config.read_transport().unwrap();
    assert_eq!(problems, []);
    let tables = tables.tables().map(|(_, table)| table).collect();
    let router = Router::new(&config, Arc::default(), tables);
    for case in cases.split_terminator(", ") {
        let (to, wanted) = case.split_once(" > ").unwrap();
        let found = match router.destination(&Address::parse(to).unwrap()) {
            Ok(destination) => destination.to_string(),
            Err(failure) => failure.text,
        };
        assert_eq!(found, wanted, "{to}\n{}", import.config());
    }
}

#[test]
fn transport_maps_are_asked_before_the_transports_of_whole_classes() {
    for (main, a, cases) in [
        (
            "relay_domains = r.example, s.example\nrelay_transport = lmtp:[10.0.0.1]:24\ntransport_maps = texthash:/etc/postfix/a\n",
            "r.example smtp:[10.0.0.2]\nvip@s.example smtp:[10.0.0.3]\n",
            "u@r.example > smtp:[10.0.0.2], u@sub.r.example > lmtp:[10.0.0.1]:24, u@s.example > lmtp:[10.0.0.1]:24, \
             vip@s.example > smtp:[10.0.0.3], u@o.example > smtp:o.example",
        ),
        (
            "virtual_mailbox_domains = v.example, w.example\nvirtual_transport = lmtp:[10.0.0.1]:24\ntransport_maps = texthash:/etc/postfix/a\n",
            "v.example smtp:[10.0.0.2]\nvip@w.example smtp:[10.0.0.3]\n",
            "u@v.example > smtp:[10.0.0.2], u@w.example > lmtp:[10.0.0.1]:24, vip@w.example > smtp:[10.0.0.3]",
        ),
        (
            "relay_domains = r.example\nrelayhost = [10.0.0.7]\nrelay_transport = lmtp:[10.0.0.1]:24\ntransport_maps = texthash:/etc/postfix/a\n",
            "* smtp:[10.0.0.9]\n",
            "u@r.example > smtp:[10.0.0.9], u@o.example > smtp:[10.0.0.9]",
        ),
        (
            "default_transport = error:no outside mail\ntransport_maps = texthash:/etc/postfix/a\n",
            "ok.example smtp:[10.0.0.2]\n.ok.example :\n",
            "u@ok.example > smtp:[10.0.0.2], u@a.ok.example > no outside mail, u@o.example > no outside mail",
        ),
    ] {
        let import = taken_over(main, a, "");
        ways(&import, cases);
    }
}

#[test]
fn the_default_transport_is_not_that_of_domains_that_are_passed_on() {
    for (main, cases) in [
        (
            "relay_domains = r.example\ndefault_transport = error:no outside mail\n",
            "u@r.example > smtp:r.example, u@sub.r.example > smtp:sub.r.example, u@o.example > no outside mail",
        ),
        (
            "relay_domains = r.example\nrelayhost = [10.0.0.9]\ndefault_transport = lmtp:[10.0.0.8]:24\n",
            "u@r.example > smtp:[10.0.0.9], u@o.example > lmtp:[10.0.0.8]:24",
        ),
        (
            "relay_domains = r.example\ndefault_transport = smtp:[10.0.0.8]\n",
            "u@r.example > smtp:r.example, u@o.example > smtp:[10.0.0.8]",
        ),
        (
            "relay_domains = r.example\nrelayhost = [10.0.0.7]\ndefault_transport = smtp:[10.0.0.8]\n",
            "u@r.example > smtp:[10.0.0.7], u@o.example > smtp:[10.0.0.8]",
        ),
        (
            "relay_domains = r.example\nrelayhost = [10.0.0.7]\nrelay_transport = relay:[10.0.0.6]\n",
            "u@r.example > smtp:[10.0.0.6], u@o.example > smtp:[10.0.0.7]",
        ),
    ] {
        ways(&taken_over(main, "", ""), cases);
    }
    let both = taken_over(
        "relayhost = [10.0.0.7]\ndefault_transport = smtp:[10.0.0.8]\n",
        "",
        "",
    );
    assert_eq!(verdicts(&both, "relayhost"), [Verdict::Ignored]);
    assert_eq!(setting(&both, "relayhost"), "\"[10.0.0.8]\"");
}

#[test]
fn each_key_is_looked_for_in_all_transport_maps_before_the_next_one() {
    let maps =
        "relayhost = [10.0.0.7]\ntransport_maps = texthash:/etc/postfix/a, regexp:/etc/postfix/b\n";
    let import = taken_over(
        maps,
        "x.example smtp:[10.0.0.1]\n* smtp:[10.0.0.9]\n",
        "/@z\\.example$/ smtp:[10.0.0.4]\n/^vip@x\\.example$/ smtp:[10.0.0.3]\n",
    );
    ways(
        &import,
        "u@x.example > smtp:[10.0.0.1], vip@x.example > smtp:[10.0.0.3], a@z.example > smtp:[10.0.0.4], q@q.example > smtp:[10.0.0.9]",
    );
    let import = taken_over(
        &maps.replace("regexp", "texthash"),
        ".x.example smtp:[10.0.0.1]\nu@e.example smtp:[10.0.0.6]\n",
        "a.x.example smtp:[10.0.0.2]\nu@b.x.example smtp:[10.0.0.3]\nu+v@e.example smtp:[10.0.0.5]\n",
    );
    ways(
        &import,
        "u@a.x.example > smtp:[10.0.0.2], u@b.x.example > smtp:[10.0.0.3], u@c.x.example > smtp:[10.0.0.1], \
         u+v@e.example > smtp:[10.0.0.5], u+w@e.example > smtp:[10.0.0.6]",
    );
}

/// What is demanded of the relayhost, and the worst that was said of the table.
fn relay_level(main: &str, policy: &str) -> (String, Vec<Verdict>) {
    let import = taken_over(
        &format!("smtp_tls_security_level = may\n{main}"),
        policy,
        "",
    );
    let told = verdicts(&import, "smtp_tls_policy_maps");
    (setting(&import, "relay_tls.level"), told)
}

#[test]
fn the_level_of_tls_of_the_relayhost_is_found_however_its_policy_is_written() {
    let host = "relayhost = [h.example]:587\nsmtp_tls_policy_maps = texthash:/etc/postfix/a\n";
    let domain = "relayhost = h.example\nsmtp_tls_policy_maps = texthash:/etc/postfix/a\n";
    let transport = "default_transport = smtp:[h.example]:587\nsmtp_tls_policy_maps = texthash:/etc/postfix/a\n";
    for (main, policy) in [
        (host, "[h.example]:587 encrypt\n"),
        (host, "[H.example]:submission\tencrypt\n"),
        (transport, "[h.example]:587 encrypt\n"),
        (domain, ".example encrypt\n"),
        (domain, "h.example encrypt protocols=TLSv1.2\n"),
        (
            "relayhost = h.example\nsmtp_tls_policy_maps = regexp:/etc/postfix/a\n",
            "/^h\\.ex/ encrypt\n",
        ),
        (
            "relayhost = h.example\nsmtp_tls_policy_maps = pcre:{{/^h/ encrypt}}\n",
            "",
        ),
        (
            "relayhost = h.example\nsmtp_tls_policy_maps = inline:{ {h.example = encrypt} }\n",
            "",
        ),
        (
            "relayhost = h.example\nsmtp_tls_policy_maps = static:encrypt\n",
            "",
        ),
    ] {
        let (level, told) = relay_level(main, policy);
        assert_eq!(level, "\"starttls\"", "{main}{policy}{told:?}");
    }
    for (main, policy) in [
        (
            "relayhost = h.example\nsmtp_tls_policy_maps = mysql:/etc/postfix/tls.cf\n",
            "",
        ),
        (host, "[h.example]:587 encrpyt\n"),
        (host, "[h.example]:587 secure\n"),
    ] {
        let (level, told) = relay_level(main, policy);
        assert_eq!(level, "\"starttls\"", "{main}{policy}");
        assert!(told.contains(&Verdict::Decide), "{main}{policy}{told:?}");
    }
    let (level, _) = relay_level(domain, ".other.example encrypt\n");
    assert_eq!(level, "");
}

#[test]
fn each_key_is_looked_for_in_all_policies_of_tls_before_the_parents() {
    let import = taken_over(
        "smtp_tls_policy_maps = texthash:/etc/postfix/a, texthash:/etc/postfix/b\n",
        ".example may\n",
        "h.example encrypt\n",
    );
    let (_directory, config) = written(&import);
    let (tables, problems) = config.read_tls_policy().unwrap();
    assert_eq!(problems, []);
    let tables: Vec<Arc<PolicyTable>> = tables.tables().map(|(_, table)| table).collect();
    let nexthop = Nexthop::parse("h.example").unwrap();
    let found = Policies::new(tables).of(&nexthop).unwrap();
    assert_eq!(found.map(|(demand, _)| demand), Some(Demand::StartTls));
}
