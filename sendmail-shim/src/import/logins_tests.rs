//! Who hears the password after an import, and what becomes of bytes that are no UTF-8.

use super::{
    plan::{Plan, Verdict},
    tests::{config, keys, read_with},
    *,
};

/// The relayhosts, the password, and what needs a decision about a relay.
fn told(plan: &Plan) -> (String, String, String) {
    let relays: Vec<_> = plan.relayhost.iter().map(ToString::to_string).collect();
    let password = plan.credentials.clone().map(|login| login.password);
    let left_out = plan.report().into_iter().filter(|line| {
        line.starts_with("DECIDE")
            && line.contains("did not have the login")
            && !line.contains("pw")
    });
    let names = left_out.filter_map(|line| {
        let at = line.find('[')?;
        line.get(at..)?.split(' ').next().map(str::to_owned)
    });
    let names: Vec<_> = names.collect();
    (
        relays.join(" "),
        password.unwrap_or_default(),
        names.join(" "),
    )
}

fn as_told(relays: &str, password: &str, left_out: &str) -> (String, String, String) {
    (relays.to_owned(), password.to_owned(), left_out.to_owned())
}

#[test]
fn a_password_of_one_relay_of_postfix_is_told_to_no_other() {
    let postfix = |main: &str, table: &str| {
        let main = format!("smtp_sasl_auth_enable = yes\n{main}\n");
        told(&read_with(
            postfix::read,
            &[
                (postfix::CONFIG, &main, false),
                ("/etc/postfix/sasl", table, false),
            ],
        ))
    };
    let maps = "smtp_sasl_password_maps = texthash:/etc/postfix/sasl";
    let both = "relayhost = [a.example]:587\nsmtp_fallback_relay = [b.example]:587\n";
    let main = format!("{both}{maps}");
    assert_eq!(
        postfix(&main, "[a.example]:587 u:pw\n"),
        as_told("[a.example]:587", "pw", "[b.example]:587")
    );
    assert_eq!(
        postfix(&main, "[b.example]:587 u:pw\n"),
        as_told("[b.example]:587", "pw", "[a.example]:587")
    );
    // A login of its own is none of ours.
    assert_eq!(
        postfix(&main, "b.example v:px\na.example u:pw\n"),
        as_told("[a.example]:587", "pw", "[b.example]:587")
    );
    // The same login is.
    assert_eq!(
        postfix(&main, "b.example u:pw\na.example u:pw\n"),
        as_told("[a.example]:587 [b.example]:587", "pw", "")
    );
    let all = format!("{both}smtp_sasl_password_maps = static:u:pw");
    assert_eq!(
        postfix(&all, ""),
        as_told("[a.example]:587 [b.example]:587", "pw", "")
    );
    let two = format!(
        "{both}smtp_sasl_password_maps = inline:{{a.example=u:pw}} {maps_only}",
        maps_only = "texthash:/etc/postfix/sasl"
    );
    assert_eq!(
        postfix(&two, "b.example v:px\n"),
        as_told("[a.example]:587", "pw", "[b.example]:587")
    );
    let wrapped = format!(
        "relayhost = [a.example]\nsmtp_fallback_relay = [b.example]\nsmtp_tls_wrappermode = yes\n{maps}"
    );
    assert_eq!(
        postfix(&wrapped, "a.example u:pw\n"),
        as_told("[a.example]:25", "pw", "[b.example]:25")
    );
    // Without a login nothing is told to anybody.
    assert_eq!(
        postfix(&main, "c.example u:pw\n"),
        as_told("[a.example]:587 [b.example]:587", "", "")
    );
}

#[test]
fn a_password_of_one_host_of_exim_is_told_to_no_other() {
    let exim = |logins: &str| {
        let text =
            "dc_eximconfig_configtype='smarthost'\ndc_smarthost='a.example::587;b.example::587'\n";
        told(&read_with(
            exim::read,
            &[
                (exim::CONFIG, text, false),
                ("/etc/exim4/passwd.client", logins, false),
            ],
        ))
    };
    let both = "[a.example]:587 [b.example]:587";
    for (logins, wanted) in [
        (
            "a.example:u:pw\n",
            as_told("[a.example]:587", "pw", "[b.example]:587"),
        ),
        (
            "b.example:u:pw\n",
            as_told("[b.example]:587", "pw", "[a.example]:587"),
        ),
        (
            "b.example:v:px\na.example:u:pw\n",
            as_told("[a.example]:587", "pw", "[b.example]:587"),
        ),
        ("*.example:u:pw\n", as_told(both, "pw", "")),
        // The first line that fits is the host's.
        (
            "b.example:v:px\n*:u:pw\n",
            as_told("[a.example]:587", "pw", "[b.example]:587"),
        ),
        ("a.example:u:pw\nb.example:u:pw\n", as_told(both, "pw", "")),
    ] {
        assert_eq!(exim(logins), wanted, "{logins}");
    }
}

#[test]
fn a_password_of_one_remote_of_nullmailer_is_told_to_no_other() {
    let nullmailer = |remotes: &str| {
        let plan = read_with(nullmailer::read, &[(nullmailer::CONFIG, remotes, false)]);
        (told(&plan), plan.tls)
    };
    let login = "--user=u --pass=pw";
    let (first, _) = nullmailer(&format!(
        "a.example smtp --starttls {login}\nb.example smtp --starttls\n"
    ));
    assert_eq!(first, as_told("[a.example]", "pw", "[b.example]"));
    // TLS is as for a relay that stays.
    let (second, tls) = nullmailer(&format!("a.example smtp\nb.example smtp --tls {login}\n"));
    assert_eq!(second, as_told("[b.example]", "pw", "[a.example]"));
    assert_eq!(tls, Some(plan::Tls::Wrapped));
    let (both, _) = nullmailer(&format!(
        "a.example smtp --starttls {login}\nb.example smtp --starttls {login}\n"
    ));
    assert_eq!(both, as_told("[a.example] [b.example]", "pw", ""));
    // The login of a relay that is not taken over is nobody's.
    let (lost, _) = nullmailer(&format!("[x]bad smtp {login}\nb.example smtp --starttls\n"));
    assert_eq!(lost, as_told("[b.example]", "", ""));
}

/// Who reads which files, and the setting that is not made of them.
type Lost = (
    tests::Reader,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const LOST: [Lost; 6] = [
    (
        nullmailer::read,
        &[(nullmailer::CONFIG, "\u{fffd}\u{fffd} smtp --starttls\n")],
        "relayhost",
    ),
    (
        nullmailer::read,
        &[(
            nullmailer::CONFIG,
            "a.example smtp --starttls --user=u --pass=g\u{fffd}heim\n",
        )],
        "auth",
    ),
    (
        postfix::read,
        &[(
            postfix::CONFIG,
            "relayhost = [a\u{fffd}.example]\nmyhostname = v\u{fffd}.example\n",
        )],
        "hostname",
    ),
    (
        msmtp::read,
        &[(
            msmtp::CONFIG,
            "account default\nhost a.example\naliases /etc/\u{fffd}\ntls_cert_file /etc/\u{fffd}.pem\n",
        )],
        "certificate",
    ),
    (
        ssmtp::read,
        &[
            (
                ssmtp::CONFIG,
                "# B\u{fffd}ro\nmailhub=a.example\nroot=b\u{fffd}ro@a.example\n",
            ),
            ("/etc/ssmtp/revaliases", "root:b\u{fffd}ro@a.example\n"),
        ],
        "admin",
    ),
    (
        exim::read,
        &[
            (exim::CONFIG, "dc_smarthost='a.example'\n"),
            ("/etc/mailname", "\u{fffd}.example\n"),
        ],
        "domain",
    ),
];

#[test]
fn what_is_not_written_in_utf_8_is_left_out_and_wants_a_decision() {
    for (reader, files, lost) in LOST {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, *text, false))
            .collect();
        let plan = read_with(reader, &files);
        let config = config(&plan);
        assert!(
            !config.contains('\u{fffd}') && !config.contains(lost),
            "{config}"
        );
        assert!(plan.revaliases.is_empty(), "{:?}", plan.revaliases);
        let report = plan.report();
        let told = |line: &&String| line.starts_with("DECIDE") && line.contains("no UTF-8");
        assert!(report.iter().any(|line| told(&line)), "{lost}: {report:#?}");
        let mapped = |line: &&String| line.starts_with("mapped") && line.contains('\u{fffd}');
        assert!(
            !report.iter().any(|line| mapped(&line)),
            "{lost}: {report:#?}"
        );
    }
    // A comment may be written in anything.
    let plan = read_with(
        msmtp::read,
        &[(
            msmtp::CONFIG,
            "# B\u{fffd}ro\naccount default\nhost a.example\ntls on\n",
            false,
        )],
    );
    assert!(
        keys(&plan, Verdict::Insecure).is_empty(),
        "{:?}",
        plan.report()
    );
    assert_eq!(plan.relayhost.len(), 1);
}

#[test]
fn a_password_is_taken_or_not_and_told_in_no_line_however_it_was_written() {
    let taken = |plan: Plan| {
        let report = plan.report().join("\n");
        assert!(!report.contains("S3cr3tHuff"), "{report}");
        plan.credentials.map(|login| login.password)
    };
    for (line, password) in [
        ("--user=u --pass=S3cr3tHuff", Some("S3cr3tHuff")),
        ("--user u --pass S3cr3tHuff", Some("S3cr3tHuff")),
        ("--user=u -p S3cr3tHuff", None),
        ("--user=u --passwd S3cr3tHuff", None),
        ("S3cr3tHuff", None),
    ] {
        let remotes = format!("h.example smtp {line}\n");
        let files = [(nullmailer::CONFIG, &*remotes, false)];
        let plan = read_with(nullmailer::read, &files);
        assert_eq!(taken(plan).as_deref(), password, "{line}");
    }
    let main = "relayhost = [h.example]\nsmtp_sasl_auth_enable = yes\n\
        smtp_sasl_password_maps = static:S3cr3tHuff\n";
    let plan = read_with(postfix::read, &[(postfix::CONFIG, main, false)]);
    assert_eq!(taken(plan), None);
}
