//! Each format with a file as its users write them, and with anything at all.

use proptest::prelude::*;

use super::{
    plan::{Plan, Verdict},
    source::{Lookup, Source},
    *,
};

pub(super) fn read_with(reader: Reader, files: &[(&str, &str, bool)]) -> Plan {
    let mut plan = reader(&|path| {
        let (path, text, world_readable) = files.iter().find(|(name, ..)| *name == path)?;
        Some(Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
            world_readable: *world_readable,
        })
    });
    plan.conclude("main");
    plan
}

/// Keys with this verdict, in order.
pub(super) fn keys(plan: &Plan, verdict: Verdict) -> Vec<&str> {
    let notes = plan.notes.iter().filter(|note| note.verdict == verdict);
    notes.map(|note| note.key.as_str()).collect()
}

pub(super) fn config(plan: &Plan) -> String {
    let text = plan.config("x", "password");
    let (_comment, settings) = text.split_once('\n').unwrap();
    settings.to_owned()
}

/// Row A1.
#[test]
fn ssmtp_is_taken_over_with_its_quirks() {
    let plan = read_with(
        ssmtp::read,
        &[
            (ssmtp::CONFIG, include_str!("testdata/ssmtp.conf"), true),
            (
                "/etc/ssmtp/revaliases",
                include_str!("testdata/ssmtp-revaliases"),
                false,
            ),
        ],
    );
    assert_eq!(
        config(&plan),
        "relayhost = \"[mail.example.org]:2525\"\ntls = \"starttls\"\ndomain = \"example.org\"\nhostname = \"vm1.example.org\"\n\
         admin = \"postmaster@example.org\"\nfrom_override = false\nauth.user = \"vm1\"\nauth.password_file = \"password\"\n"
    );
    assert_eq!(
        plan.credentials.as_ref().unwrap().password,
        "secret",
        "as ssmtp read it"
    );
    assert_eq!(
        plan.revaliases,
        ["root:admins@example.org", "www-data:web@example.org"]
    );
    assert_eq!(
        keys(&plan, Verdict::Unmapped),
        ["AuthPass", "AddHeader", "Colour"]
    );
    assert_eq!(
        keys(&plan, Verdict::Insecure),
        ["UseTLS", "user vm1", "www-data"],
        "no check of the certificate, a password for everybody, a relay of one user's own"
    );
}

#[test]
fn nullmailer_is_taken_over_with_its_quoting() {
    let plan = read_with(
        nullmailer::read,
        &[
            (
                nullmailer::CONFIG,
                include_str!("testdata/nullmailer-remotes"),
                false,
            ),
            ("/etc/nullmailer/adminaddr", "admins@example.org\n", true),
            ("/etc/nullmailer/queuelifetime", "86400\n", true),
            ("/etc/mailname", "vm1.example.org\n", true),
        ],
    );
    assert_eq!(
        config(&plan),
        "relayhost = \"[mail.example.org]:465\"\ntls = \"wrapped\"\nhostname = \"vm1.example.org\"\n\
         admin = \"admins@example.org\"\nfrom_override = true\nauth.user = \"vm1\"\nauth.password_file = \"password\"\nretry.lifetime = \"86400s\"\n"
    );
    assert_eq!(plan.credentials.as_ref().unwrap().password, "two words\"");
    assert_eq!(
        keys(&plan, Verdict::Unmapped),
        ["[x]bad", "old.example.org"]
    );
    assert!(plan.is_unsafe());
}

#[test]
fn dma_is_taken_over_with_the_fingerprint_of_its_certificate() {
    let plan = read_with(
        dma::read,
        &[
            (dma::CONFIG, include_str!("testdata/dma.conf"), true),
            (
                "/etc/dma/auth.conf",
                "vm1|mail.example.org:a:b|c\nx|other:y\n",
                false,
            ),
            ("/etc/mailname", "vm1.example.org\n", true),
        ],
    );
    assert_eq!(
        config(&plan),
        format!(
            "relayhost = \"[mail.example.org]:587\"\ntls = \"starttls\"\npins = \"cert-sha256:{}\"\ndomain = \"example.org\"\n\
             hostname = \"vm1.example.org\"\naliases = \"/etc/aliases\"\nfrom_override = true\nauth.user = \"vm1\"\nauth.password_file = \"password\"\n",
            "9f2c".repeat(16)
        )
    );
    assert_eq!(plan.credentials.as_ref().unwrap().password, "a:b|c");
    assert_eq!(keys(&plan, Verdict::Unmapped), ["other"]);
    // Where root's mail goes is decided by the administrator.
    assert_eq!(keys(&plan, Verdict::Insecure), ["NULLCLIENT"]);
}

#[test]
fn msmtp_is_taken_over_with_the_port_that_its_tls_means() {
    let plan = read_with(
        msmtp::read,
        &[(msmtp::CONFIG, include_str!("testdata/msmtprc"), false)],
    );
    assert_eq!(
        config(&plan),
        "relayhost = \"[mail.example.org]\"\ntls = \"wrapped\"\ndomain = \"example.org\"\naliases = \"/etc/aliases\"\nfrom_override = true\n\
         auth.user = \"vm1\"\nauth.password_file = \"password\"\n"
    );
    assert_eq!(plan.credentials.as_ref().unwrap().password, "pass # word");
    assert_eq!(keys(&plan, Verdict::Unmapped), ["proxy_host"]);
    assert!(!plan.is_unsafe(), "{:?}", plan.notes);
}

/// Row B15.
#[test]
fn a_postfix_null_client_is_taken_over_with_the_fingerprint_of_its_relay() {
    let plan = read_with(
        postfix::read,
        &[
            (postfix::CONFIG, include_str!("testdata/main.cf"), true),
            (
                "/etc/postfix/sasl_passwd",
                "# x\n[other]:25 a:b\n[mail.example.org]:submission vm1:pa:ss\n",
                true,
            ),
            (
                "/etc/postfix/master.cf",
                "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n -o smtpd_tls_security_level=encrypt\n",
                true,
            ),
        ],
    );
    let digest = "9f2c".repeat(16);
    assert_eq!(
        config(&plan),
        format!(
            "relayhost = \"[mail.example.org]:587\"\npins = [\"sha256:{digest}\", \"cert-sha256:{digest}\"]\ndomain = \"example.org\"\n\
             hostname = \"vm1.example.org\"\naliases = \"/etc/aliases\"\nlisten = \"127.0.0.1:25\"\nfrom_override = true\nmessage_size = 20480000\nauth.user = \"vm1\"\n\
             auth.password_file = \"password\"\nretry.lifetime = \"2592000s\"\n"
        )
    );
    assert_eq!(plan.credentials.as_ref().unwrap().password, "pa:ss");
    assert_eq!(
        keys(&plan, Verdict::Unmapped),
        ["smtp_generic_maps", "submission/inet", "[other]:25"]
    );
    assert_eq!(
        keys(&plan, Verdict::Insecure),
        ["user vm1"],
        "everybody could read the password"
    );
}

#[test]
fn what_listened_for_all_listens_for_this_machine_and_the_rest_is_told() {
    let master = "smtp inet n - y - - smtpd\n10025 inet n - y - - smtpd\nnone.example:smtp inet n - y - - smtpd\n";
    let files = [
        (postfix::CONFIG, "inet_interfaces = all\n", true),
        ("/etc/postfix/master.cf", master, true),
        ("/proc/net/if_inet6", "", true),
    ];
    let plan = read_with(postfix::read, &files);
    let listen: Vec<_> = plan.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:25", "127.0.0.1:10025"]);
    assert_eq!(
        keys(&plan, Verdict::Unmapped),
        ["smtp/inet", "10025/inet", "none.example:smtp/inet"]
    );
}

#[test]
fn debians_exim_as_satellite_is_taken_over_with_its_doubled_colons() {
    let config_file = "# comment\ndc_eximconfig_configtype='satellite'\ndc_other_hostnames='vm1'\ndc_readhost='example.org'\n\
                       dc_smarthost='mail.example.org::587; [2001::db8::::1]::2525'\nCFILEMODE='644'\ndc_hide_mailname='true'\ndc_local_interfaces='127.0.0.1 ; ::1; 192.0.2.7.26'\n";
    let passwords = "# x\nother.example:u:p\n*:vm1:pa=s#s: w\n";
    let senders = "# x\nroot: admins@example.org\n";
    let plan = read_with(
        exim::read,
        &[
            (exim::CONFIG, config_file, true),
            ("/etc/exim4/passwd.client", passwords, false),
            ("/etc/email-addresses", senders, true),
            (
                "/proc/net/if_inet6",
                "00000000000000000000000000000001 01\n",
                true,
            ),
        ],
    );
    assert_eq!(
        config(&plan),
        "relayhost = [\"[mail.example.org]:587\", \"[2001:db8::1]:2525\"]\ndomain = \"example.org\"\nlisten = [\"127.0.0.1:25\", \"[::1]:25\"]\nfrom_override = true\nauth.user = \"vm1\"\n\
         auth.password_file = \"password\"\n"
    );
    assert_eq!(plan.credentials.as_ref().unwrap().password, "pa=s#s: w");
    assert_eq!(plan.revaliases, ["root:admins@example.org"]);
    assert_eq!(
        keys(&plan, Verdict::Unmapped),
        ["dc_other_hostnames", "dc_local_interfaces", "other.example"]
    );
    assert!(plan.is_unsafe(), "nothing checked the relay");
}

pub(super) type Reader = fn(&Lookup<'_>) -> Plan;

/// The relays, the password and the table of senders that `reader` finds, and the keys that it does
/// not take over.
fn gist(reader: Reader, files: &[(&str, &str)]) -> [String; 4] {
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (*path, *text, false))
        .collect();
    let plan = read_with(reader, &files);
    let relays: Vec<_> = plan.relayhost.iter().map(ToString::to_string).collect();
    let password = plan
        .credentials
        .as_ref()
        .map(|login| login.password.clone());
    [
        relays.join(" "),
        password.unwrap_or_default(),
        plan.revaliases.join(" "),
        keys(&plan, Verdict::Unmapped).join("|"),
    ]
}

/// What is rare, and gets lost: `#` and `=` in passwords, relays in IPv6, blanks in tables, quotes.
#[test]
fn what_breaks_other_migrations_is_read_as_the_program_read_it() {
    let config = "mailhub=[2001:db8::1]:587\nAuthUser=u\nAuthPass=p=q\n";
    let senders = " root:a@example.org\nweb : b@example.org\n*:c@example.org\nftp: d@example.org\n";
    let files = [(ssmtp::CONFIG, config), ("/etc/ssmtp/revaliases", senders)];
    let lost = "mailhub|AuthPass|Mailhub| root|web |*";
    assert_eq!(
        gist(ssmtp::read, &files),
        ["", "p", "ftp:d@example.org", lost]
    );

    let remotes = "2001:db8::1 smtp --port=587 --starttls --user='a b' --pass=\\#x=\"y'z\"\n";
    let files = [(nullmailer::CONFIG, remotes)];
    assert_eq!(
        gist(nullmailer::read, &files),
        ["[2001:db8::1]:587", "#x=y'z", "", ""]
    );

    let config = "SMARTHOST mail.example.org\nAUTHPATH /a\n";
    let files = [(dma::CONFIG, config), ("/a", "u|mail.example.org:p=q#r\n")];
    assert_eq!(
        gist(dma::read, &files),
        ["[mail.example.org]", "p=q", "", "u"]
    );

    let config = "host 2001:db8::1\nport 587\nuser u\npassword #p=q \"r\n";
    let files = [(msmtp::CONFIG, config)];
    assert_eq!(
        gist(msmtp::read, &files),
        ["[2001:db8::1]:587", "#p=q \"r", "", ""]
    );

    let config = "relayhost = [2001:db8::1]:587\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/p\n";
    let files = [
        (postfix::CONFIG, config),
        ("/p", "[2001:db8::1]:587 u:#p=q:r\n"),
    ];
    assert_eq!(
        gist(postfix::read, &files),
        ["[2001:db8::1]:587", "#p=q:r", "", ""]
    );
}

/// One is good for an hour: as a password it would lock the machine out, and be called mapped.
#[test]
fn a_token_of_oauth_is_taken_over_by_nobody_as_a_password_and_what_to_do_is_said() {
    let postfix = "relayhost = [h.example]:587\nsmtp_sasl_auth_enable = yes\n\
                   smtp_sasl_password_maps = inline:{{h.example=u@example.org:/var/token}}\n\
                   smtp_sasl_mechanism_filter = ";
    let msmtp = "host h.example\nuser u@example.org\ntls on\nauth ";
    for (reader, file, text, is_token) in [
        (
            msmtp::read as Reader,
            msmtp::CONFIG,
            format!("{msmtp}xoauth2\npassword ya29.x\n"),
            true,
        ),
        (
            msmtp::read,
            msmtp::CONFIG,
            format!("{msmtp}OAUTHBEARER\npasswordeval oama access u\n"),
            true,
        ),
        (
            msmtp::read,
            msmtp::CONFIG,
            format!("{msmtp}plain\npassword p\n"),
            false,
        ),
        (
            postfix::read,
            postfix::CONFIG,
            format!("{postfix}xoauth2\n"),
            true,
        ),
        (
            postfix::read,
            postfix::CONFIG,
            format!("{postfix}!plain, xoauth2 oauthbearer\n"),
            true,
        ),
        (
            postfix::read,
            postfix::CONFIG,
            format!("{postfix}plain, xoauth2\n"),
            false,
        ),
    ] {
        let plan = read_with(reader, &[(file, &text, false)]);
        assert_eq!(plan.credentials.is_none(), is_token, "{text}");
        let told = plan.notes.iter().filter(|note| {
            note.verdict == Verdict::Insecure && note.text.contains("auth.token with a program")
        });
        assert_eq!(
            told.count(),
            usize::from(is_token),
            "{text}: {:?}",
            plan.notes
        );
        let mapped = plan
            .notes
            .iter()
            .find(|note| note.verdict == Verdict::Mapped && note.text.contains("auth"));
        assert_eq!(mapped.is_none(), is_token, "{text}: {mapped:?}");
        assert!(
            plan.notes
                .iter()
                .all(|note| !note.text.contains("auth.password_file") || !is_token)
        );
    }
}

#[test]
fn settings_that_name_each_other_without_end_are_cut() {
    let all = "$a".repeat(5000);
    let text = format!("a = {all}\nmyhostname = $a\nrelayhost = $relayhost");
    let plan = read_with(postfix::read, &[(postfix::CONFIG, &text, true)]);
    assert_eq!((plan.hostname, plan.relayhost.len()), (None, 0));
}

#[test]
fn a_password_is_in_no_report() {
    for (reader, file, text) in [
        (
            ssmtp::read as Reader,
            ssmtp::CONFIG,
            "AuthUser=u\nAuthPass=hunter2 x",
        ),
        (
            nullmailer::read,
            nullmailer::CONFIG,
            "h smtp --user=u --pass=hunter2",
        ),
        (
            msmtp::read,
            msmtp::CONFIG,
            "host h\nuser u\npassword hunter2",
        ),
    ] {
        let plan = read_with(reader, &[(file, text, true)]);
        assert_eq!(plan.credentials.as_ref().unwrap().password, "hunter2");
        let told = plan.report().join("\n") + &config(&plan) + &format!("{plan:?}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_wait_that_is_longer_than_the_usual_longest_one_takes_that_with_it() {
    for (text, waits) in [
        ("minimal_backoff_time = 3700s\n", [3700, 3700]),
        ("maximal_backoff_time = 30s\n", [30, 30]),
        ("minimal_backoff_time = 3600s\n", [3600, 3600]),
    ] {
        let text = format!("relayhost = [mail.example.org]\n{text}");
        let plan = read_with(postfix::read, &[(postfix::CONFIG, &text, false)]);
        let written = config(&plan);
        let settings = sendmail::config::settings::Settings::parse(None, &written).unwrap();
        let retry = settings.retry;
        assert_eq!(
            [retry.minimal, retry.maximal].map(|wait| wait.as_secs()),
            waits,
            "{written}"
        );
    }
}

proptest! {
    #[test]
    fn any_file_is_read_to_its_end_and_what_is_written_is_toml(text in "([A-Za-z_]{1,12}[= :\t]?[^\r]{0,20}\n){0,12}|(?s).{0,200}") {
        for (reader, file) in [
            (ssmtp::read as Reader, ssmtp::CONFIG),
            (nullmailer::read, nullmailer::CONFIG),
            (dma::read, dma::CONFIG),
            (exim::read, exim::CONFIG),
            (msmtp::read, msmtp::CONFIG),
            (postfix::read, postfix::CONFIG),
        ] {
            let plan = read_with(reader, &[(file, &text, false)]);
            let written = plan.config("x", "p\"\\\n");
            let parsed = sendmail::config::settings::Settings::parse(None, &written);
            prop_assert!(parsed.is_ok(), "{written}");
        }
    }
}
