//! Files as administrators write them: what is mapped is in the result, what is lost is named.

use super::{
    plan::Verdict,
    tests::{Reader, config, keys, read_with},
    *,
};

/// A configuration of another program: its files, what becomes of it, and the keys that are not
/// taken or want a decision.
struct Case {
    reader: Reader,
    files: &'static [(&'static str, &'static str)],
    result: &'static str,
    password: &'static str,
    lost: &'static [&'static str],
    decide: &'static [&'static str],
}

fn hold(cases: &[Case]) {
    for case in cases {
        let files: Vec<_> = case
            .files
            .iter()
            .map(|(path, text)| (*path, *text, false))
            .collect();
        let plan = read_with(case.reader, &files);
        let (_, first) = case.files[0];
        let senders = plan.revaliases.iter().map(|line| format!("{line}\n"));
        assert_eq!(
            config(&plan) + &senders.collect::<String>(),
            case.result,
            "{first}"
        );
        let password = plan
            .credentials
            .as_ref()
            .map(|login| login.password.as_str());
        assert_eq!(password.unwrap_or_default(), case.password, "{first}");
        assert_eq!(
            keys(&plan, Verdict::Unmapped),
            case.lost,
            "{first}\n{:#?}",
            plan.notes
        );
        assert_eq!(
            keys(&plan, Verdict::Insecure),
            case.decide,
            "{first}\n{:#?}",
            plan.notes
        );
    }
}

#[test]
fn ssmtp_with_odd_spelling_loses_nothing_unsaid() {
    let case = |text, result, password, lost, decide| Case {
        reader: ssmtp::read,
        files: text,
        result,
        password,
        lost,
        decide,
    };
    hold(&[
        case(
            &[(
                ssmtp::CONFIG,
                "root=postmaster\nMailHub = smtp.gmail.com:587\nhostname=localhost\nUseSTARTTLS=Yes\nAuthUser=me@gmail.com\n\
                              AuthPass=abcd efgh\nFromLineOverride=YES # keep\n",
            )],
            "relayhost = \"[smtp.gmail.com]:587\"\ntls = \"starttls\"\nfrom_override = true\nauth.user = \"me@gmail.com\"\nauth.password_file = \"password\"\n",
            "abcd",
            &["root", "hostname", "AuthPass"],
            &["UseTLS"],
        ),
        case(
            &[
                (
                    ssmtp::CONFIG,
                    "mailhub=smtp.corp.example:587\nUseSTARTTLS=YES\nAuthUser=noreply\nAuthPass=\"S3!\"\nrewriteDomain=@corp.example\n",
                ),
                (
                    "/etc/ssmtp/revaliases",
                    "root:noreply@corp.example:smtp.corp.example:587\nwww:w@corp.example:other.example\n",
                ),
            ],
            "relayhost = \"[smtp.corp.example]:587\"\ntls = \"starttls\"\ndomain = \"corp.example\"\nauth.user = \"noreply\"\nauth.password_file = \"password\"\n\
             root:noreply@corp.example\nwww:w@corp.example\n",
            "\"S3!\"",
            &[],
            &["UseTLS", "www"],
        ),
        case(
            &[(
                ssmtp::CONFIG,
                "mailhub=10.0.0.5\r\nRemotePort=twentyfive\r\nFromLineOverride=true\r\nUseTLS=NO\r\nAuthUser=x\r\n",
            )],
            "relayhost = \"[10.0.0.5]\"\nfrom_override = false\n",
            "",
            &["RemotePort", "user x"],
            &["Mailhub"],
        ),
        case(
            &[(ssmtp::CONFIG, "mailhub mail.example.org\nAuthPass=only\n")],
            "relayhost = \"[mailhub]\"\n",
            "",
            &["mailhub", "user "],
            &["Mailhub"],
        ),
    ]);
}

#[test]
fn accounts_of_msmtp_lose_nothing_unsaid() {
    let case = |text, result, password, lost, decide| Case {
        reader: msmtp::read,
        files: text,
        result,
        password,
        lost,
        decide,
    };
    hold(&[
        // What programs write into From stays, as msmtp left it; a fixed sender is everybody's.
        case(
            &[(
                msmtp::CONFIG,
                "defaults\nauth           on\ntls            on\naccount        gmail\nhost           smtp.gmail.com\nport           587\n\
                              from           me@gmail.com\nuser           me\npassword       plain text\naccount other\nhost x.example\naccount default : gmail\n",
            )],
            "relayhost = \"[smtp.gmail.com]:587\"\ntls = \"starttls\"\nfrom_override = true\nauth.user = \"me\"\nauth.password_file = \"password\"\n*:me@gmail.com\n",
            "plain text",
            &["other"],
            &[],
        ),
        case(
            &[(
                msmtp::CONFIG,
                "account default\nhost smtp.example.org\nport 465\ntls on\ntls_starttls off\nauth on\nuser vm1\n\
                              passwordeval \"gpg -q -d /root/.msmtp.gpg\"\nfrom %U@%H\n",
            )],
            "relayhost = \"[smtp.example.org]:465\"\ntls = \"wrapped\"\nfrom_override = true\n",
            "",
            &["from"],
            &["passwordeval", "user vm1"],
        ),
        case(
            &[(
                msmtp::CONFIG,
                "account work\n host mail.corp.example\n port submission\n tls\n auto_from on\n maildomain corp.example\n auth off\n user u\n password p\n",
            )],
            "relayhost = \"[mail.corp.example]:587\"\ntls = \"starttls\"\ndomain = \"corp.example\"\nfrom_override = true\n",
            "",
            &[],
            &["work"],
        ),
        case(
            &[(
                msmtp::CONFIG,
                "defaults\nport 587\ntls on\nset_from_header on\nfrom robot@site.example\n\naccount a\nhost a.example\nauth plain\nuser \"u ser\"\n\
                              password \"pa\"ss word\"\n\naccount b : a\nhost b.example\n\naccount default: b\n",
            )],
            "relayhost = \"[b.example]:587\"\ntls = \"starttls\"\nfrom_override = false\nauth.user = \"u ser\"\nauth.password_file = \"password\"\n*:robot@site.example\n",
            "pa\"ss word",
            &["a"],
            &[],
        ),
        case(
            &[(
                msmtp::CONFIG,
                "HOST mail.example.org\naccount default\nport 99999\ntls on\nfrom Me <me@example.org>\nprotocol lmtp\ndomain localhost\n",
            )],
            "tls = \"starttls\"\nfrom_override = true\n",
            "",
            &["port", "HOST", "domain", "from", "protocol"],
            &["relayhost"],
        ),
    ]);
}

#[test]
fn files_of_nullmailer_lose_nothing_unsaid() {
    let case = |files, result, password, lost, decide| Case {
        reader: nullmailer::read,
        files,
        result,
        password,
        lost,
        decide,
    };
    hold(&[
        case(
            &[
                (
                    nullmailer::CONFIG,
                    "# primary\na.example smtp --port=465 --ssl --user='a b' --pass='x#y'\nb.example smtp --port=465 --ssl --user=other --pass=o\nA.example smtp --port=465 --ssl\n",
                ),
                ("/etc/nullmailer/me", "vm1.site.example\n"),
                ("/etc/nullmailer/defaulthost", "vm1\n"),
                ("/etc/nullmailer/defaultdomain", "site.example\n"),
                ("/etc/nullmailer/allmailfrom", "robot@site.example\n"),
                ("/etc/nullmailer/pausetime", "10m\n"),
                ("/etc/nullmailer/maxpause", "60\n"),
            ],
            "relayhost = \"[a.example]:465\"\ntls = \"wrapped\"\ndomain = \"vm1.site.example\"\nhostname = \"vm1.site.example\"\nfrom_override = true\n\
             auth.user = \"a b\"\nauth.password_file = \"password\"\nretry.maximal = \"60s\"\n*:robot@site.example\n",
            "x#y",
            &["allmailfrom", "pausetime"],
            &["b.example", "user other"],
        ),
        case(
            &[
                (
                    nullmailer::CONFIG,
                    "relay.example.org smtp --port=99999 --user=u --source=10.0.0.1\n",
                ),
                ("/etc/mailname", "localhost\n"),
                ("/etc/nullmailer/adminaddr", "a@x.example,b@x.example\n"),
                ("/etc/nullmailer/queuelifetime", "0\n"),
            ],
            "relayhost = \"[relay.example.org]\"\nadmin = \"a@x.example\"\nfrom_override = true\n",
            "",
            &[
                "port",
                "source",
                "user u",
                "/etc/mailname",
                "adminaddr",
                "queuelifetime",
            ],
            &["relay.example.org"],
        ),
    ]);
}

#[test]
fn settings_of_dma_lose_nothing_unsaid() {
    let case = |files, result, password, lost, decide| Case {
        reader: dma::read,
        files,
        result,
        password,
        lost,
        decide,
    };
    hold(&[
        case(
            &[(
                dma::CONFIG,
                "SMARTHOST\tmail.example.org\nPORT\tsubmission\nSTARTTLS\nAUTHPATH /etc/dma/auth.conf\nMASQUERADE robot@\nMAILNAME vm1.example.org\n",
            )],
            "relayhost = \"[mail.example.org]:587\"\nhostname = \"vm1.example.org\"\nfrom_override = true\n",
            "",
            &["AUTHPATH", "MASQUERADE"],
            &["SMARTHOST"],
        ),
        case(
            &[
                (
                    dma::CONFIG,
                    "SMARTHOST smtp.mail.example # ours\nPORT 465\nAUTHPATH /a\nSECURETRANSFER\nVERIFYCERT\nMASQUERADE me@mail.example\n",
                ),
                (
                    "/a",
                    "# comment\nme@mail.example|smtp.mail.example:top secret\n",
                ),
            ],
            "relayhost = \"[smtp.mail.example]:465\"\ntls = \"wrapped\"\nfrom_override = true\nauth.user = \"me@mail.example\"\nauth.password_file = \"password\"\n*:me@mail.example\n",
            "top secret",
            &[],
            &[],
        ),
        case(
            &[(
                dma::CONFIG,
                "SMARTHOST mail.example.org:587\nSECURETRANSFER yes\nsmarthost lower\n",
            )],
            "from_override = true\n",
            "",
            &["smarthost", "SMARTHOST"],
            &["SECURETRANSFER", "SMARTHOST", "relayhost"],
        ),
    ]);
}

/// A setting and the password table of a Postfix that has one relay; the password that is taken
/// over, and the keys that are not.
fn passwords_of_postfix(maps: &str, table: &str) -> (String, Vec<String>) {
    let text = format!(
        "\u{feff}relayhost = [mail.example.org]:587\nsmtp_sasl_auth_enable = yes\nsmtp_tls_security_level = encrypt\nsmtp_sasl_password_maps = {maps}\n"
    );
    let plan = read_with(
        postfix::read,
        &[(postfix::CONFIG, &text, false), ("/p", table, false)],
    );
    let lost = keys(&plan, Verdict::Unmapped)
        .into_iter()
        .map(str::to_owned);
    let password = plan.credentials.clone().map(|login| login.password);
    (password.unwrap_or_default(), lost.collect())
}

#[test]
fn postfix_passwords_are_taken_whole_or_said_to_be_lost() {
    let maps = "smtp_sasl_password_maps";
    for (kind, table, password, lost) in [
        (
            "hash:/p",
            "[mail.example.org]:587    me@p.example:abcd efgh ijkl\n",
            "abcd efgh ijkl",
            vec![],
        ),
        (
            "proxy:lmdb:/p",
            "# x\n[mail.example.org]:submission\tu:p:a\n  ss\n",
            "p:a  ss",
            vec![],
        ),
        (
            "texthash:/p",
            "MAIL.example.org   john:secret\n",
            "secret",
            vec![],
        ),
        (
            "$default_database_type:/p",
            "mail.example.org u:\"p\"#q\r\n",
            "\"p\"#q",
            vec![],
        ),
        (
            "hash:/p",
            "other.example a:b\nmail.example.org u:first\n[mail.example.org]:587 u:second\n",
            "first",
            vec!["other.example", "[mail.example.org]:587"],
        ),
        (
            "inline:{ [mail.example.org]:587=john:secret }",
            "",
            "secret",
            vec![],
        ),
        (
            "inline:{ { [mail.example.org]:587 = john:with blank, and comma } }",
            "",
            "with blank, and comma",
            vec![],
        ),
        ("static:{john:se cret}", "", "se cret", vec![]),
        ("static:john:secret", "", "secret", vec![]),
        ("hash:/gone", "", "", vec![maps]),
        ("mysql:/p", "", "", vec![maps]),
        ("regexp:/p", "/./ u:p\n", "", vec![maps]),
        (
            "hash:/p",
            "[mail.example.org]:25 u:p\n",
            "",
            vec!["[mail.example.org]:25", maps],
        ),
        (
            "hash:/p",
            "[mail.example.org]:587 u:\n",
            "",
            vec!["user u", maps],
        ),
        (
            "hash:/gone, hash:/p",
            "mail.example.org u:p\n",
            "p",
            vec![maps],
        ),
    ] {
        let lost: Vec<_> = lost.into_iter().map(str::to_owned).collect();
        assert_eq!(
            passwords_of_postfix(kind, table),
            (password.to_owned(), lost),
            "{kind} {table}"
        );
    }
}

#[test]
fn postfix_main_cf_as_it_is_found_loses_nothing_unsaid() {
    let case = |files, result, lost, decide| Case {
        reader: postfix::read,
        files,
        result,
        password: "",
        lost,
        decide,
    };
    hold(&[
        case(
            &[(
                postfix::CONFIG,
                "default_transport = smtp:[relay.example]:587\nsmtp_sasl_auth_enable = yes\n",
            )],
            "relayhost = \"[relay.example]:587\"\nfrom_override = true\n",
            &["smtp_sasl_auth_enable"],
            &["smtp_tls_security_level"],
        ),
        case(
            &[(
                postfix::CONFIG,
                "relayhost = [smtp.gmail.com]:587   # gmail, [other]\nmyhostname = localhost.localdomain\nsender_canonical_maps = hash:/x\n\
                                 message_size_limit = 0\nmaximal_queue_lifetime = 5x\nminimal_backoff_time = 3h\n",
            )],
            "relayhost = \"[smtp.gmail.com]:587\"\nfrom_override = true\nretry.minimal = \"10800s\"\nretry.maximal = \"10800s\"\n",
            &[
                "relayhost",
                "maximal_queue_lifetime",
                "message_size_limit",
                "myhostname",
                "sender_canonical_maps",
            ],
            &["smtp_tls_security_level"],
        ),
        case(
            &[
                (
                    postfix::CONFIG,
                    "myorigin = $mydomain\nrelayhost = $mydomain\nalias_maps = hash:/etc/aliases, nis:mail.aliases\nmasquerade_domains = example.org\n",
                ),
                ("/etc/hostname", "node1.example.org\n"),
            ],
            "relayhost = \"example.org\"\ndomain = \"example.org\"\naliases = \"/etc/aliases\"\nfrom_override = true\n",
            &["alias_maps", "masquerade_domains"],
            &["relayhost", "smtp_tls_security_level"],
        ),
        case(
            &[(
                postfix::CONFIG,
                "relayhost =\nmyhostname = ${name:{vm2.example.org}}\ncontent_filter = amavis:[127.0.0.1]:10024\nsmtp_tls_security_level = ${level?{$level}:{encrypt}}\n",
            )],
            "hostname = \"vm2.example.org\"\nfrom_override = true\n",
            &[],
            &["content_filter", "smtp_tls_security_level", "relayhost"],
        ),
        case(
            &[(
                postfix::CONFIG,
                "relayhost = [a.example]\ndefault_transport = error:5.1.1 none\nsmtp_tls_security_level = fingerprint\n\
                                 smtp_tls_fingerprint_cert_match = aa:bb\n",
            )],
            "relayhost = \"[a.example]\"\nfrom_override = true\n",
            &["smtp_tls_fingerprint_cert_match"],
            &[
                "default_transport",
                "aa:bb",
                "smtp_tls_fingerprint_cert_match",
            ],
        ),
    ]);
}

#[test]
fn exims_hosts_are_separated_as_exim_does_it() {
    let exim = |smarthost: &str, logins: &str| {
        let text = format!(
            "dc_eximconfig_configtype='smarthost'\ndc_smarthost='void'\ndc_smarthost={smarthost} # last\n"
        );
        let plan = read_with(
            exim::read,
            &[
                (exim::CONFIG, &text, false),
                ("/etc/exim4/passwd.client", logins, false),
            ],
        );
        let relays: Vec<_> = plan.relayhost.iter().map(ToString::to_string).collect();
        let password = plan.credentials.clone().map(|login| login.password);
        let decide = keys(&plan, Verdict::Insecure).join(" ");
        (relays.join(" "), password.unwrap_or_default(), decide)
    };
    let told = |relays: &str, password: &str, decide: &str| {
        (relays.to_owned(), password.to_owned(), decide.to_owned())
    };
    let (once, twice) = ("dc_smarthost", "dc_smarthost dc_smarthost");
    assert_eq!(
        exim("'mail.example:587'", "*:noreply@x.example:pw\n"),
        told("[mail.example]", "pw", twice)
    );
    assert_eq!(
        exim("\"a.example:b.example::2525\"", "*.example:u:p w\n"),
        told("[a.example] [b.example]:2525", "p w", once)
    );
    assert_eq!(
        exim("'[192.0.2.1]::587;[2001:db8::1] ; m.example::smtps'", ""),
        told("[192.0.2.1]:587 [2001:db8::1] [m.example]:465", "", once)
    );
    assert_eq!(
        exim("\"2001::db8::::5\"", ""),
        told("[2001:db8::5]", "", once)
    );
    assert_eq!(
        exim("mail.example::", "mail.example:u@x:p:q\n"),
        told("[mail.example]", "p:q", once)
    );
    assert_eq!(exim("''", ""), told("", "", "dc_smarthost relayhost"));
}
