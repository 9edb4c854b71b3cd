use std::{fs::File, io::Write as _, path::Path, time::Duration};

use proptest::prelude::*;
use queue::rate::Window;
use smtp::client::Security;

use super::{Config, ListenTls, load::full_name};
use crate::{
    destination::{Kind, LmtpTarget},
    limits::Limit,
};

mod mistakes;

fn parse(text: &str) -> Config {
    Config::parse(
        Path::new("/etc/smarthost/config.toml"),
        text,
        "vm1.example.org",
    )
    .unwrap_or_else(|e| panic!("{e}"))
}

fn alias_file(path: std::path::PathBuf) -> super::AliasFile {
    let programs = None;
    super::AliasFile { path, programs }
}

#[test]
fn an_empty_file_is_a_useful_and_closed_configuration() {
    let config = parse("");
    assert_eq!(config.hostname, "vm1.example.org");
    assert_eq!(config.domains.local, ["vm1.example.org", "localhost"]);
    let ports: Vec<_> = config
        .listen
        .iter()
        .map(|l| (l.address.port(), l.offer.tls))
        .collect();
    assert_eq!(
        ports,
        [
            (25, ListenTls::StartTls),
            (587, ListenTls::StartTls),
            (465, ListenTls::Wrapped)
        ]
    );
    assert!(
        config.networks.contains("127.0.0.1".parse().unwrap())
            && config.networks.contains("::1".parse().unwrap())
    );
    assert!(
        !config.networks.contains("10.0.0.1".parse().unwrap()),
        "nobody else may relay"
    );
    assert_eq!(
        config.local,
        Some(Kind::Maildir("/var/lib/smarthost/Maildir".into()).into())
    );
    assert_eq!(config.relay_tls.security, Security::Opportunistic);
    assert!(config.limits.per_client.is_empty() && config.changed_settings(&config).is_empty());
}

#[test]
fn the_smallest_useful_configuration_reads_as_documented() {
    let config = parse(
        r#"
        hostname = "mail.example.org"
        networks = ["10.0.0.0/8", "2001:db8::/32"]
        limits = { per_client = ["100/day", "20/10m"], exempt = ["10.0.0.9"] }
        relayhost = "[smtp.isp.example]:587"
        relay_tls = { pins = ["sha256:9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c"] }
        admin = "admins@example.org"
        "#,
    );
    let day = Window {
        limit: 100,
        span: Duration::from_hours(24),
    };
    assert_eq!(
        config.limits.per_client,
        [
            day,
            Window {
                limit: 20,
                span: Duration::from_mins(10)
            }
        ]
        .map(Limit::from)
    );
    assert!(config.limits.exempt.contains("10.0.0.9".parse().unwrap()));
    assert!(
        !config.limits.exempt.contains("10.0.0.8".parse().unwrap()),
        "may relay, and is counted all the same"
    );
    let relayhost = &config.relayhost[0].nexthop;
    assert!(!relayhost.mx && relayhost.port == Some(587));
    assert_eq!(
        config.relay_tls.security,
        Security::StartTls,
        "a pin never falls back to clear text"
    );
    assert_eq!(config.local, None, "with a relayhost only aliases receive");
    assert_eq!(config.limits_notify, config.admins);
}

#[test]
fn every_key_that_tests_and_benchmark_set_is_read() {
    let config = parse(
        r#"
        listen = ["127.0.0.1:2525", { address = "127.0.0.1:4650", tls = "wrapped" }, { address = "[::1]:26", tls = "none" }]
        tls = { certificate = "T/cert.pem", key = "T/key.pem" }
        spool = "T/spool"
        state = "T/state"
        aliases = ["T/aliases"]
        lmtp = "unix:/run/dovecot/lmtp"
        domains = { local = ["Example.org"], relay = ["example.net", ".example.net"] }
        routes = { "a.example" = "[10.0.0.5]:25", ".b.example" = "lmtp:unix:/x", "c.example" = "lmtp:[::1]:24" }
        message_size = "25MiB"
        retry = { minimal = "1s", maximal = "10s", lifetime = "30d" }
        recipient_delimiter = "-"
        concurrency = { destination = 2 }
        banner = "vm1.example.org ESMTP at your service"
        "#,
    );
    let tls: Vec<_> = config.listen.iter().map(|l| l.offer.tls).collect();
    assert_eq!(
        tls,
        [ListenTls::StartTls, ListenTls::Wrapped, ListenTls::None]
    );
    assert!(!config.tls.generate && !config.listen_is_default && !config.aliases_is_default);
    assert_eq!(
        config.control,
        Path::new("/etc/smarthost/T/state/control.sock")
    );
    assert_eq!(
        config.domains.local,
        ["example.org", "vm1.example.org", "localhost"]
    );
    assert_eq!(
        config.local,
        Some(Kind::Lmtp(LmtpTarget::Unix("/run/dovecot/lmtp".into())).into())
    );
    let written = [
        ("a.example", "[10.0.0.5]:25"),
        (".b.example", "lmtp:unix:/x"),
        ("c.example", "lmtp:[::1]:24"),
    ];
    let written = written.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(config.routes, written);
    assert_eq!(config.retry.schedule.lifetime, Duration::from_hours(720));
    assert_eq!(
        (
            config.concurrency.destination,
            config.concurrency.deliveries
        ),
        (2, 100)
    );
    assert_eq!(config.recipient_delimiter, Some('-'));
    assert_eq!(parse("maildir = \"none\"").local, None);
}

/// Row D7.
#[test]
fn what_config_prints_can_be_read_back_and_only_what_differs_is_printed() {
    let default = parse("");
    let config = parse(
        "networks = [\"10.0.0.0/8\"]\nlimits.per_client = \"100/day\"\nroutes = { \".x.example\" = \"lmtp:unix:/x\" }\n\
         listen = { address = \"127.0.0.1:465\", tls = \"wrapped\" }\nbanner = \"vm1.example.org \\\"quoted\\\"\"",
    );
    let changed: Vec<String> = config
        .changed_settings(&default)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        changed,
        [
            "banner = \"vm1.example.org \\\"quoted\\\"\"",
            "listen = [{ address = \"127.0.0.1:465\", tls = \"wrapped\" }]",
            "networks = [\"10.0.0.0/8\", \"127.0.0.0/8\", \"::1\"]",
            "limits.per_client = [\"100/day\"]",
            "routes.\".x.example\" = \"lmtp:unix:/x\"",
        ]
    );
    assert_eq!(parse(&changed.join("\n")).settings(), config.settings());
    let all: Vec<String> = default.settings().iter().map(ToString::to_string).collect();
    let again = parse(&all.join("\n"));
    assert_eq!(again.settings(), default.settings());
    assert_eq!(again.concurrency, default.concurrency);
}

/// Row D7.
#[test]
fn what_a_row_says_of_a_default_is_what_an_empty_configuration_gives() {
    // Tables whose settings have defaults once there is something in them.
    let more = "budget = { store = \"redis://127.0.0.1\", nodes = 2 }\n\
                transports.a = { type = \"smtp\" }\ntransports.b = { command = \"/x\" }\n";
    let (empty, more) = (parse(""), parse(more));
    for row in super::rows::all() {
        let told = row.preset();
        for (config, is_empty) in [(&empty, true), (&more, false)] {
            for setting in row.settings(config) {
                let (value, key) = (setting.value.as_deref(), &setting.key);
                match (&told, value) {
                    (Some(told), Some(value)) => assert_eq!(value, told, "{key}"),
                    // Of a table that is not there.
                    (Some(_), None) => assert!(is_empty && key.contains('.'), "{key}"),
                    (None, Some(value)) => assert!(
                        row.depends() || value == "[]" || !empty.settings().contains(&setting),
                        "{key} = {value} is not told"
                    ),
                    (None, None) => {}
                }
            }
        }
    }
}

/// Row D7.
#[test]
fn what_follows_from_another_setting_is_not_printed_as_a_change() {
    let written = [
        "hostname = \"mail.example.org\"",
        "state = \"/srv/state\"",
        "relayhost = \"[smtp.isp.example]:587\"",
        "relay_tls.pins = [\"sha256:9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c\"]",
        "admins = [\"admins@example.org\"]",
    ];
    let changed = |text: &str| -> Vec<String> {
        let changed = parse(text).changed_settings(&parse(""));
        changed.iter().map(ToString::to_string).collect()
    };
    assert_eq!(changed(&written.join("\n")), written);
    assert_eq!(
        changed("state = \"/x\"\ncontrol = \"/run/c\"\nmaildir = \"/x/Maildir\""),
        ["state = \"/x\"", "control = \"/run/c\""]
    );
}

#[test]
fn a_short_machine_name_gets_its_domain_from_the_hosts_file() {
    let hosts =
        "127.0.0.1 localhost\n127.0.1.1 vm1.example.org vm1 # me\n10.0.0.2 db.example.org db\n";
    assert_eq!(full_name("vm1", hosts).as_deref(), Some("vm1.example.org"));
    assert_eq!(full_name("vm2", hosts), None);
}

#[test]
fn only_the_default_file_may_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let message = Config::load(&directory.path().join("config.toml"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("--config FILE"), "{message}");
    let mut config = parse("aliases = [\"missing\"]");
    config.aliases = vec![alias_file(directory.path().join("missing"))];
    let message = config.read_aliases().unwrap_err().to_string();
    assert!(
        message.contains("missing: cannot be read") && message.contains("`aliases`"),
        "{message}"
    );
    config.aliases_is_default = true;
    assert!(config.read_aliases().unwrap().0.table().is_empty());
}

#[test]
fn of_two_alias_files_the_earlier_wins() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (
        directory.path().join("first"),
        directory.path().join("second"),
    );
    File::create(&first)
        .unwrap()
        .write_all(b"root: a@example.org\n")
        .unwrap();
    File::create(&second)
        .unwrap()
        .write_all(b"root: b@example.org\nnoc: c@example.org\nbroken line\n")
        .unwrap();
    let mut config = parse("");
    config.aliases = vec![alias_file(first), alias_file(second)];
    let (aliases, problems) = config.read_aliases().unwrap();
    for (name, target) in [("root", "a@example.org"), ("NOC", "c@example.org")] {
        let targets = &aliases.table().get(name).unwrap().targets;
        let shown: Vec<_> = targets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [target]);
    }
    assert_eq!(problems.len(), 1);
}

#[test]
fn the_sample_configuration_is_valid_and_limits_each_client_to_100_a_day() {
    let config = parse(include_str!("../../../packaging/smarthost/config.toml"));
    assert_eq!(
        config.limits.per_client,
        [Limit::from(Window {
            limit: 100,
            span: Duration::from_hours(24)
        })]
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(networks|listen|limits|tls|banner|retry) = [\\[\\]{}\"a-z0-9./: =,]{0,40}") {
        let _ = Config::parse(Path::new("x"), &text, "h");
    }
}
