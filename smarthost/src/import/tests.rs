//! What administrators have, taken over: each parameter told, and never as mapped where it is not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    read,
    report::{Import, Verdict},
};

const MAIN: &str = "/etc/postfix/main.cf";
const MASTER: &str = "/etc/postfix/master.cf";
const SMTP: &str = "smtp inet n - n - - smtpd\n";

fn import(files: &[(&str, &str)]) -> Import {
    let mut all: BTreeMap<&str, &str> = files.iter().copied().collect();
    all.entry(MASTER).or_insert(SMTP);
    let find = |path: &str| {
        let text = all.get(path).map(|text| (*text).to_owned());
        text.ok_or_else(|| format!("{path}: No such file or directory"))
    };
    read("/etc/postfix", "mx.example.org", &find).unwrap()
}

fn main_cf(text: &str) -> Import {
    import(&[(MAIN, text)])
}

/// What was said of a parameter.
fn told(import: &Import, key: &str) -> Vec<(Verdict, String)> {
    let of = |it: &&super::report::Note| it.key.split(" (").next() == Some(key);
    let notes = import.notes.iter().filter(of);
    notes
        .map(|note| (note.verdict, note.text.clone()))
        .collect()
}

fn verdicts(import: &Import, key: &str) -> Vec<Verdict> {
    told(import, key)
        .into_iter()
        .map(|(verdict, _)| verdict)
        .collect()
}

/// The line of a setting.
fn setting(import: &Import, key: &str) -> String {
    let config = import.config();
    let mut lines = config.lines().filter_map(|line| line.split_once(" = "));
    let found = lines.find(|(name, _)| *name == key);
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}

#[test]
fn comments_inside_a_value_are_no_settings_and_one_behind_it_invents_no_network() {
    let import = main_cf(
        "compatibility_level = 3.6\nmyhostname = mx.example.org\nmydestination = $myhostname,\n# comment in column 0\n   localhost.$mydomain,\n\
         \x20  # indented comment\n   localhost\nmynetworks = 127.0.0.0/8 # office 10.0.0.0/8\n",
    );
    let local = setting(&import, "domains.local");
    assert_eq!(
        local,
        "[\"localhost\", \"localhost.example.org\", \"mx.example.org\"]"
    );
    assert_eq!(setting(&import, "networks"), "[\"127.0.0.0/8\"]");
    let [(first, text), (second, _)] = told(&import, "mynetworks").try_into().unwrap();
    assert_eq!((first, second), (Verdict::Decide, Verdict::Mapped));
    assert!(text.contains("# does not start a comment here"), "{text}");
}

#[test]
fn what_an_old_compatibility_level_implies_is_told_and_lets_no_subnet_relay() {
    let routes = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\neth0 007100CB 00000000 1 0 0 0 00FFFFFF 0 0 0\n";
    let of = |text: &str| import(&[(MAIN, text), ("/proc/net/route", routes)]);
    let none = of("myhostname = mx.example.org\n");
    for implied in [
        "relay_domains",
        "append_dot_mydomain",
        "smtpd_relay_restrictions",
        "smtp_tls_fingerprint_digest",
        "smtpd_relay_before_recipient_restrictions",
    ] {
        assert_eq!(told(&none, implied).len(), 1, "{implied}");
    }
    let style = told(&none, "mynetworks_style");
    assert_eq!(style[0].0, Verdict::Decide);
    assert!(style[0].1.contains("203.0.113.0/24"), "{style:?}");
    assert_eq!(setting(&none, "networks"), "");
    assert!(none.wants_attention());

    let two = of("compatibility_level = 2\nmyhostname = mx.example.org\n");
    assert!(told(&two, "mynetworks_style").is_empty() && told(&two, "relay_domains").is_empty());
    assert_eq!(
        told(&two, "smtpd_relay_before_recipient_restrictions").len(),
        1
    );
    let three = of("compatibility_level = 3.6\nmyhostname = mx.example.org\n");
    assert!(told(&three, "smtp_tls_fingerprint_digest").is_empty());

    let written = of(
        "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\nmynetworks_style = subnet\n",
    );
    assert_eq!(verdicts(&written, "mynetworks_style"), [Verdict::Ignored]);
    assert_eq!(setting(&written, "networks"), "[\"127.0.0.0/8\", \"::1\"]");
}

#[test]
fn every_parameter_service_and_override_is_told_and_nothing_unknown_is_called_mapped() {
    let text = "myhostname = mx.example.org\nrelay_domains = example.net\nheader_checks = pcre:/etc/postfix/checks\nmy_class = permit\n\
                soft_bounce = no\nsmtpd_foo = 3\nmime_header_checks =\nrelay_domains = example.com\n";
    let master = "smtp inet n - y - - smtpd\n -o smtpd_foo=4\n -o syslog_name=x\nold unix - n n - - pipe user=nobody argv=/bin/cat\nbroken\n";
    let import = import(&[(MAIN, text), (MASTER, master)]);
    for (key, wanted) in [
        ("header_checks", vec![Verdict::NotSupported]),
        ("soft_bounce", vec![Verdict::Default]),
        ("mime_header_checks", vec![Verdict::Default]),
        ("smtpd_foo", vec![Verdict::NotSupported]),
        ("my_class", vec![Verdict::NotSupported]),
        ("relay_domains", vec![Verdict::Ignored, Verdict::Mapped]),
        ("smtp/inet", vec![Verdict::Mapped]),
        ("smtp/inet -o smtpd_foo", vec![Verdict::NotSupported]),
        ("smtp/inet -o syslog_name", vec![Verdict::Ignored]),
        ("old/unix", vec![Verdict::Ignored]),
        ("broken", vec![Verdict::Ignored]),
    ] {
        assert_eq!(
            verdicts(&import, key),
            wanted,
            "{key}: {:?}",
            told(&import, key)
        );
    }
    assert_eq!(
        setting(&import, "domains.relay"),
        "[\".example.com\", \"example.com\"]"
    );
}

#[test]
fn a_password_is_in_a_file_of_its_own_and_nowhere_else() {
    let main = "relayhost = [mail.example.org]:submission\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = MAPS\nsmtp_tls_security_level = encrypt\n";
    let table = "other.example a:b\n[mail.example.org]:587 vm1:hun # ter2\n";
    for (maps, user) in [
        ("hash:/etc/postfix/sasl_passwd", "vm1"),
        ("static:vm1:hun # ter2", "vm1"),
    ] {
        let main = main.replace("MAPS", maps);
        let import = import(&[(MAIN, &main), ("/etc/postfix/sasl_passwd", table)]);
        assert_eq!(
            setting(&import, "relay_auth.user"),
            format!("\"{user}\""),
            "{maps}"
        );
        let told: Vec<_> = import.notes.iter().map(ToString::to_string).collect();
        let told = told.join("\n") + &import.config();
        assert!(!told.contains("hun") && !told.contains("ter2"), "{told}");
        let secret: Vec<_> = import.files.iter().filter(|file| file.secret).collect();
        assert_eq!(secret.len(), 1);
    }
}

#[test]
fn a_list_that_refuses_everybody_but_the_own_machines_stays_closed() {
    let import = main_cf(
        "compatibility_level = 3.6\nmynetworks = 192.0.2.0/24\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
         smtpd_client_restrictions = permit_mynetworks, reject_unknown_client_hostname\n",
    );
    let told = told(&import, "smtpd_relay_restrictions");
    assert_eq!(told[0].0, Verdict::Decide, "{told:?}");
    assert_eq!(setting(&import, "networks"), "", "they could not relay");
    let rules = setting(&import, "restrictions");
    assert!(
        rules.contains("\"permit_sasl_authenticated\", \"reject\""),
        "{rules}"
    );
}

#[test]
fn a_listener_that_cannot_be_beside_another_is_not_called_mapped_and_a_report_is_bounded() {
    let master =
        "smtp inet n - n - - smtpd\n[::1]:25 inet n - n - - smtpd\n587 inet n - n - - smtpd\n";
    let bad: Vec<String> = (0..500).map(|nth| format!("d{nth}..example")).collect();
    let bad = format!(" {}", bad.join(" "));
    let main = format!("inet_protocols = all\nrelay_domains ={bad} ok.example\n");
    let import = import(&[(MAIN, &main), (MASTER, master)]);
    assert_eq!(setting(&import, "listen"), "[\"[::]:25\", \"[::]:587\"]");
    assert_eq!(verdicts(&import, "[::1]:25/inet"), [Verdict::NotSupported]);
    assert_eq!(verdicts(&import, "587/inet"), [Verdict::Mapped]);
    let told = verdicts(&import, "relay_domains");
    assert!(
        told.len() < 30 && told.contains(&Verdict::Mapped),
        "{told:?}"
    );
}

#[test]
fn settings_that_contradict_each_other_are_not_both_taken() {
    let import = main_cf(
        "myhostname = a b\nmydestination = x.example\nrelay_domains = x.example\nminimal_backoff_time = 2h\nmaximal_backoff_time = 1h\n",
    );
    assert_eq!(verdicts(&import, "myhostname"), [Verdict::NotSupported]);
    assert_eq!(setting(&import, "hostname"), "");
    assert_eq!(setting(&import, "domains.relay"), "[\".x.example\"]");
    assert_eq!(
        verdicts(&import, "maximal_backoff_time"),
        [Verdict::NotSupported]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_told_and_what_is_written_is_a_configuration(
        main in "(myhostname|mynetworks|relayhost|mydestination|transport_maps|smtpd_recipient_restrictions|[a-z_]{1,9}) = [a-z$:/{}.#0-9\\[\\] ,\"\\\\]{0,40}\n",
        more in "([a-z_]{1,9} ?= ?[^\r]{0,20}\n){0,4}|(?s).{0,100}",
        master in "(?s).{0,100}|smtp inet n - [yn-] - [0-9]{0,9} smtpd( -o [a-z_]{1,9}=[^ ]{0,9}){0,3}\n",
    ) {
        let import = import(&[(MAIN, &format!("{main}{more}")), (MASTER, &master)]);
        let read = crate::config::Config::parse(std::path::Path::new("config.toml"), &import.config(), "mx.example.org");
        prop_assert!(read.is_ok(), "{:?}\n{}", read.err(), import.config());
    }
}
