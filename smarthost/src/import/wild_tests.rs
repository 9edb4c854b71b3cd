//! Forms of parameters that servers in the world have, and what must be said of each: `mapped` and
//! `default` only where the result does the same, elsewhere what to do instead.

use super::{
    report::Verdict::{self, Decide, Default, Ignored, Mapped, NotSupported},
    tests::{MAIN, import, told},
};

/// A server at a present level of compatibility.
const BASE: &str = "compatibility_level = 3.6\nmyhostname = mx.example.org\n";

/// What is written, and what is said of the parameter of its last line, each verdict once.
type Form = (&'static str, &'static [Verdict]);

const NAMES: &[Form] = &[
    ("myorigin = /etc/mailname", &[Decide]),
    ("append_dot_mydomain = no", &[Ignored]),
    ("mydestination =", &[Ignored]),
    ("mydestination = .example.com", &[Ignored]),
    ("virtual_alias_domains = .example.com", &[Ignored]),
    ("mydestination = /etc/postfix/missing", &[NotSupported]),
    (
        "mydestination = mysql:/etc/postfix/domains.cf",
        &[NotSupported],
    ),
    (
        "mydestination = $myhostname, localhost.$mydomain, localhost, example.org.",
        &[Mapped],
    ),
    (
        "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
        &[Mapped],
    ),
    (
        "mynetworks = 203.0.113.10/32, 127.0.0.0/8, [::1]/128, [fe80::]/64",
        &[Mapped],
    ),
    (
        "mynetworks = cidr:/etc/postfix/missing",
        &[Decide, NotSupported],
    ),
    ("mynetworks = hash:/etc/postfix/a", &[Decide, NotSupported]),
    ("mynetworks = 192.168.1.7/24", &[Decide, NotSupported]),
    ("mynetworks = 0.0.0.0/0", &[Decide]),
    ("relay_domains =", &[Default]),
    ("relay_domains = *", &[NotSupported]),
    ("smtp_helo_name = $myhostname", &[Ignored]),
    ("smtp_helo_name = out.example.org", &[NotSupported]),
];

const WAYS: &[Form] = &[
    ("relayhost =", &[Default]),
    ("relayhost = mail.example.net", &[Mapped]),
    ("relayhost = [smtp.example.net]:submission", &[Mapped]),
    (
        "relayhost = [smtp.example.net]:587, [other.example.net]:587",
        &[Decide, Mapped],
    ),
    ("relayhost = smtp:[smtp.example.net]", &[NotSupported]),
    ("smtp_fallback_relay = [b.example]", &[NotSupported]),
    (
        "sender_dependent_relayhost_maps = hash:/etc/postfix/a",
        &[NotSupported],
    ),
    ("smtp_bind_address = 192.0.2.7", &[NotSupported]),
    ("inet_protocols = ipv4", &[Mapped, NotSupported]),
    ("default_destination_rate_delay = 1s", &[NotSupported]),
    (
        "mailbox_command = procmail -a \"$EXTENSION\"",
        &[NotSupported],
    ),
    ("home_mailbox = Maildir/", &[NotSupported]),
    (
        "mailbox_transport = lmtp:unix:private/dovecot-lmtp",
        &[Mapped],
    ),
    (
        "virtual_transport = dovecot\nvirtual_mailbox_domains = v.example",
        &[NotSupported],
    ),
    (
        "virtual_mailbox_domains = mysql:/etc/postfix/domains.cf",
        &[NotSupported],
    ),
    (
        "virtual_alias_maps = proxy:mysql:/etc/postfix/v.cf",
        &[NotSupported],
    ),
    (
        "virtual_alias_maps = ldap:/etc/postfix/ldap.cf",
        &[NotSupported],
    ),
    ("local_recipient_maps =", &[NotSupported]),
    (
        "local_recipient_maps = proxy:unix:passwd.byname $alias_maps",
        &[NotSupported],
    ),
    ("luser_relay = catchall@example.org", &[NotSupported]),
    ("always_bcc = archive@example.org", &[NotSupported]),
    (
        "sender_canonical_maps = hash:/etc/postfix/a",
        &[NotSupported],
    ),
    ("masquerade_domains = example.org", &[NotSupported]),
];

const POLICY: &[Form] = &[
    (
        "smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
        &[Mapped],
    ),
    ("smtpd_relay_restrictions = permit", &[Decide, Mapped]),
    (
        "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\nsmtpd_relay_restrictions = permit",
        &[Mapped],
    ),
    (
        "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks",
        &[Decide, Mapped],
    ),
    (
        "smtpd_recipient_restrictions = check_recipient_mx_access regexp:/etc/postfix/a",
        &[NotSupported],
    ),
    (
        "smtpd_recipient_restrictions = permit_mx_backup, reject_unauth_destination",
        &[Decide, NotSupported],
    ),
    (
        "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policy-spf",
        &[Decide],
    ),
    (
        "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service { inet:127.0.0.1:10023, timeout=10s }",
        &[Decide, NotSupported],
    ),
    (
        "smtpd_recipient_restrictions = permit_mynetworks, reject_sender_login_mismatch, reject_unauth_destination",
        &[NotSupported],
    ),
    (
        "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, sleep 3",
        &[NotSupported],
    ),
    (
        "smtpd_recipient_restrictions = reject_unauth_destination, permit_mynetworks",
        &[Decide],
    ),
    (
        "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination",
        &[Mapped],
    ),
    (
        "smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:10031",
        &[NotSupported],
    ),
    ("smtpd_etrn_restrictions = reject", &[Ignored]),
    ("smtpd_reject_unlisted_recipient = yes", &[Ignored]),
    ("smtpd_reject_unlisted_recipient = no", &[NotSupported]),
    ("smtpd_reject_unlisted_sender = yes", &[NotSupported]),
    (
        "smtpd_discard_ehlo_keywords = chunking, silent-discard",
        &[NotSupported],
    ),
    ("smtpd_sasl_auth_enable = yes", &[NotSupported]),
    ("smtpd_sasl_type = dovecot", &[NotSupported]),
    ("header_checks = pcre:/etc/postfix/a", &[NotSupported]),
    (
        "content_filter = smtp-amavis:[127.0.0.1]:10024",
        &[NotSupported],
    ),
    ("content_filter =", &[Default]),
    (
        "smtpd_milters = inet:localhost:8891, unix:/opendkim/opendkim.sock",
        &[Mapped],
    ),
    ("milter_default_action = tempfail", &[Ignored]),
    ("smtpd_client_connection_rate_limit = 30", &[NotSupported]),
    ("smtpd_client_message_rate_limit = 100", &[Mapped]),
    ("postscreen_greet_action = enforce", &[Ignored]),
    ("smtpd_upstream_proxy_protocol = haproxy", &[Decide]),
];

const TLS_AND_TIMES: &[Form] = &[
    ("smtpd_use_tls = yes", &[Default]),
    ("smtpd_enforce_tls = yes", &[Mapped]),
    ("smtpd_tls_security_level = encrypt", &[Mapped]),
    ("smtp_tls_security_level = may", &[Default]),
    ("smtp_tls_security_level = dane", &[Mapped]),
    ("smtp_tls_security_level = secure", &[Decide, Mapped]),
    (
        "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:QUERY",
        &[Decide, NotSupported],
    ),
    ("smtp_sasl_auth_enable = yes", &[NotSupported]),
    ("smtp_sasl_mechanism_filter = AUTH LOGIN", &[Ignored]),
    (
        "smtp_sasl_mechanism_filter = plain, xoauth2",
        &[NotSupported],
    ),
    ("message_size_limit = 0", &[NotSupported]),
    ("message_size_limit = 51200000", &[Mapped]),
    ("maximal_queue_lifetime = 5d", &[Default]),
    ("maximal_queue_lifetime = 0", &[NotSupported]),
    ("bounce_queue_lifetime = 1h", &[Mapped]),
    ("bounce_queue_lifetime = 0", &[NotSupported]),
    ("delay_warning_time = 0", &[Mapped]),
    ("soft_bounce = yes", &[NotSupported]),
    ("recipient_delimiter = +-", &[NotSupported]),
    ("default_process_limit = 300", &[Ignored]),
];

/// None of them misleads, and whatever is not done has a remedy.
#[test]
fn forms_that_servers_in_the_world_have_are_called_mapped_only_where_they_are() {
    let mut wrong = Vec::new();
    for (form, verdicts) in [NAMES, WAYS, POLICY, TLS_AND_TIMES].concat() {
        let import = import(&[
            (MAIN, &format!("{BASE}{form}\n")),
            ("/etc/aliases", "postmaster: root\n"),
            ("/etc/postfix/a", "a.example OK\n"),
            ("/etc/mailname", "example.org\n"),
        ]);
        let key = form.lines().last().and_then(|line| line.split(" =").next());
        let told = told(&import, key.unwrap_or_default());
        let mut said: Vec<_> = told.iter().map(|(verdict, _)| *verdict).collect();
        said.sort_by_key(|verdict| format!("{verdict:?}"));
        said.dedup();
        let has_remedy = |(verdict, text): &(Verdict, String)| {
            !matches!(verdict, NotSupported | Decide) || text.len() > 20
        };
        if said != verdicts || !told.iter().all(has_remedy) {
            wrong.push(format!("{form}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
