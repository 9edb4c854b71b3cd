//! What administrators have, taken over: each parameter told, and never as mapped where it is not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    read,
    report::{Import, Verdict},
};

pub(super) const MAIN: &str = "/etc/postfix/main.cf";
const MASTER: &str = "/etc/postfix/master.cf";
const SMTP: &str = "smtp inet n - n - - smtpd\n";

pub(super) fn import(files: &[(&str, &str)]) -> Import {
    let mut all: BTreeMap<&str, &str> = files.iter().copied().collect();
    all.entry(MASTER).or_insert(SMTP);
    let find = |path: &str| {
        let text = all.get(path).map(|text| (*text).to_owned());
        text.ok_or_else(|| format!("{path}: No such file or directory"))
    };
    read(super::Place::own("/etc/postfix"), "mx.example.org", &find).unwrap()
}

fn main_cf(text: &str) -> Import {
    import(&[(MAIN, text)])
}

/// What was said of a parameter.
pub(super) fn told(import: &Import, key: &str) -> Vec<(Verdict, String)> {
    let of = |it: &&super::report::Note| it.key.split(" (").next() == Some(key);
    let notes = import.notes.iter().filter(of);
    notes
        .map(|note| (note.verdict, note.text.clone()))
        .collect()
}

pub(super) fn verdicts(import: &Import, key: &str) -> Vec<Verdict> {
    told(import, key)
        .into_iter()
        .map(|(verdict, _)| verdict)
        .collect()
}

/// The line of a setting.
pub(super) fn setting(import: &Import, key: &str) -> String {
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

/// Each list of Postfix's refuses for itself.
#[test]
fn machines_that_one_list_kept_from_relaying_do_not_relay_here() {
    const NETWORKS: &str = "compatibility_level = 3.6\nmynetworks = 192.0.2.0/24\n";
    for (lists, relays) in [
        (
            "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n",
            true,
        ),
        (
            "smtpd_recipient_restrictions = reject_unauth_destination, permit_mynetworks\n",
            false,
        ),
        (
            "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\nsmtpd_sender_restrictions = reject_unauth_destination\n",
            false,
        ),
        (
            "smtpd_recipient_restrictions = permit, reject_unauth_destination\n",
            true,
        ),
    ] {
        let import = main_cf(&format!("{NETWORKS}{lists}"));
        let networks = setting(&import, "networks");
        assert_eq!(!networks.is_empty(), relays, "{lists}");
        let decide = verdicts(&import, "mynetworks").contains(&Verdict::Decide);
        assert_eq!(decide, !relays, "{lists}");
    }
    let logins = "smtpd_sasl_auth_enable = yes\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n";
    let import = main_cf(&format!("{NETWORKS}{logins}"));
    let told = told(&import, "smtpd_recipient_restrictions");
    assert!(
        told.iter()
            .any(|(_, text)| text.contains("whoever logs in may")),
        "{told:?}"
    );
}

#[test]
fn a_domain_with_a_dot_in_front_is_no_domain_of_ours_where_postfix_takes_it_literally() {
    let below = "relay_domains = .b.example\nparent_domain_matches_subdomains =\n";
    let import = main_cf(&format!("mydestination = .a.example, c.example\n{below}"));
    assert_eq!(setting(&import, "domains.local"), "[\"c.example\"]");
    assert_eq!(setting(&import, "domains.relay"), "[\".b.example\"]");
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

const PLAIN: &str =
    "compatibility_level = 3.6\nmyhostname = mx.example.org\nmynetworks = 127.0.0.0/8\n";

#[test]
fn rules_of_tables_that_stand_in_the_list_itself_are_all_taken() {
    for (table, lines) in [
        (
            "inline:{ {bad@x.example = REJECT} }",
            "bad@x.example REJECT\n",
        ),
        ("inline:{{<> = REJECT}}", "<> REJECT\n"),
        (
            "inline:{ { a@b.example=550 5.7.1 no mail }, {c.example = OK} }",
            "a@b.example 550 5.7.1 no mail\nc.example OK\n",
        ),
        (
            "inline:{x.example=REJECT, y.example=OK}",
            "x.example REJECT\ny.example OK\n",
        ),
        (
            "{ inline:{{check_access.example = REJECT}} }",
            "check_access.example REJECT\n",
        ),
        (
            "pcre:{{/^spam/ REJECT}, {/^ham/ OK}}",
            "/^spam/ REJECT\n/^ham/ OK\n",
        ),
        ("static:REJECT", "/^/ REJECT\n"),
    ] {
        for check in ["check_sender_access ", ""] {
            let main =
                format!("{PLAIN}smtpd_sender_restrictions = {check}{table}, permit_mynetworks\n");
            if check.is_empty() && table.starts_with('{') {
                continue;
            }
            let import = main_cf(&main);
            let [file] = import.files.as_slice() else {
                panic!("{table}: {}", import.config())
            };
            assert_eq!(file.content, lines, "{table}");
            let rules = setting(&import, "restrictions");
            assert!(rules.contains("check_sender_access"), "{table}: {rules}");
            let told = verdicts(&import, "smtpd_sender_restrictions");
            assert_eq!(told, [Verdict::Mapped], "{table}");
        }
    }
    let broken = main_cf(&format!(
        "{PLAIN}smtpd_sender_restrictions = check_sender_access inline:{{a=OK, lost}}\n"
    ));
    let told = verdicts(&broken, "smtpd_sender_restrictions");
    assert_eq!(told, [Verdict::NotSupported]);
}

#[test]
fn domains_of_virtual_aliases_are_found_in_every_table_that_is_text() {
    for maps in [
        "inline:{ {v.example = x}, {a@v.example = b@c.example} }",
        "inline:{v.example=x, a@v.example=b@c.example}",
        "hash:/etc/postfix/virtual",
    ] {
        for domains in ["", "virtual_alias_domains = $virtual_alias_maps\n"] {
            let main = format!("{PLAIN}virtual_alias_maps = {maps}\n{domains}");
            let table = "v.example x\na@v.example b@c.example\n";
            let import = import(&[(MAIN, &main), ("/etc/postfix/virtual", table)]);
            let found = setting(&import, "domains.virtual");
            assert_eq!(found, "[\"v.example\"]", "{main}");
            let told = verdicts(&import, "virtual_alias_domains");
            assert!(!told.contains(&Verdict::NotSupported), "{main}{told:?}");
        }
    }
}

#[test]
fn what_is_excepted_from_a_list_may_not_relay() {
    let of = |name: &str, list: &str| {
        let files = [("/etc/postfix/not", "10.66.0.0/16\n")];
        let main = format!("compatibility_level = 3.6\n{name} = {list}\n");
        import(&[&[(MAIN, main.as_str())], files.as_slice()].concat())
    };
    let (net, front) = ("mynetworks", "smtpd_authorized_xclient_hosts");
    for (name, key) in [(net, "networks"), (front, "xclient")] {
        for list in [
            "127.0.0.0/8, !10.64.0.0/10, 10.0.0.0/9",
            "127.0.0.0/8 !10.66.0.0/10 10.0.0.0/9",
            "127.0.0.0/8, !10.64.0.0/11 !10.96.0.0/11, 10.0.0.0/9",
        ] {
            let import = of(name, list);
            let wanted = "[\"127.0.0.0/8\", \"10.0.0.0/10\"]";
            assert_eq!(setting(&import, key), wanted, "{name} {list}");
        }
        for list in [
            "!10.0.0.5, 10.0.0.4/31",
            "!!10.0.0.4, !10.0.0.0/8, 10.0.0.9",
        ] {
            let found = setting(&of(name, list), key);
            assert_eq!(found, "[\"10.0.0.4\"]", "{name} {list}");
        }
        let file = of(name, "!/etc/postfix/not, 10.66.0.0/15");
        assert_eq!(setting(&file, key), "[\"10.67.0.0/16\"]");
        for unknown in ["!/etc/postfix/none", "!office.example", "! ", "!hash:/none"] {
            let import = of(name, &format!("127.0.0.0/8, {unknown}, 10.0.0.0/8"));
            assert_eq!(setting(&import, key), "[\"127.0.0.0/8\"]", "{unknown}");
            assert!(
                verdicts(&import, name).contains(&Verdict::Decide),
                "{unknown}"
            );
        }
    }
    for (name, list, key, wanted, decide) in [
        (
            "relay_domains",
            "!a.example, b.example, a.example",
            "domains.relay",
            "[\".b.example\", \"b.example\"]",
            false,
        ),
        (
            "relay_domains",
            "!s.b.example, b.example",
            "domains.relay",
            "[\"b.example\"]",
            true,
        ),
        (
            "relay_domains",
            "b.example, !s.b.example",
            "domains.relay",
            "[\".b.example\", \"b.example\"]",
            false,
        ),
        (
            "mydestination",
            "!x.example, x.example, y.example",
            "domains.local",
            "[\"y.example\"]",
            false,
        ),
    ] {
        let import = of(name, list);
        assert_eq!(
            setting(&import, key).replace('\n', ""),
            wanted,
            "{name} {list}"
        );
        let told = verdicts(&import, name);
        assert_eq!(told.contains(&Verdict::Decide), decide, "{list}: {told:?}");
    }
}

#[test]
fn options_of_a_policy_server_are_told_and_passwords_of_tables_are_not() {
    let import = main_cf(&format!(
        "{PLAIN}smtpd_recipient_restrictions = check_policy_service {{ inet:127.0.0.1:10040, default_action=DUNNO }}, permit_mynetworks\n\
         relay_domains = mysql:{{ {{user = u}}, password = hunter2 }}, ::/0 pgsql:{{password=hunter2\n\
         transport_maps = proxy:ldap:{{password=hunter2}}\nmy_list = $transport_maps\n"
    ));
    let rules = setting(&import, "restrictions");
    assert!(
        rules.contains("check_policy_service inet:127.0.0.1:10040"),
        "{rules}"
    );
    let [(verdict, text)] = told(&import, "smtpd_recipient_restrictions")
        .try_into()
        .unwrap();
    assert_eq!(verdict, Verdict::NotSupported);
    assert!(text.contains("default_action=DUNNO"), "{text}");
    let all: Vec<_> = import.notes.iter().map(ToString::to_string).collect();
    let all = all.join("\n");
    assert!(
        !all.contains("hunter2") && all.contains("mysql:{…}"),
        "{all}"
    );
    assert!(!all.contains("of the type  are"), "{all}");
}

#[test]
fn a_time_of_a_transport_that_was_not_taken_over_is_not_called_mapped() {
    let master = "smtp inet n - n - - smtpd\nmd unix - n n - - pipe flags=Rq\n";
    let main = format!("{PLAIN}default_transport = md:\nmd_time_limit = 30s\n");
    let import = import(&[(MAIN, &main), (MASTER, master)]);
    assert_eq!(verdicts(&import, "md_time_limit"), [Verdict::Ignored]);
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
