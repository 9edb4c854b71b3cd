//! Virtual aliases and relay recipients of the smarthost: who is whom, who is nobody, and from when
//! on a change counts.

use tests::{
    resolver::Resolver,
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::until_true,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

const DOMAINS: &str = "networks = [\"127.0.0.2\"]\nmaildir = \"none\"\naliases = [\"$DIR/aliases\"]\nvirtual = [\"virtual\"]\n\
    domains = { local = [\"example.org\"], relay = [\"legacy.example\", \".legacy.example\"], virtual = [\"public.example\"] }\n";

fn server(sink: &Sink, more: &str, files: &[(&str, &str)]) -> Smarthost {
    let config = format!("{DOMAINS}relayhost = \"{}\"\n{more}", sink.nexthop());
    let smarthost = Smarthost::prepare(&config);
    smarthost.file("aliases", "root: admin@elsewhere.example\n");
    for (name, text) in files {
        smarthost.file(name, text);
    }
    smarthost
}

fn answers(session: &mut Session, to: &str) -> String {
    assert_eq!(session.say("MAIL FROM:<a@ham.example>").code, 250);
    let reply = session.say(&format!("RCPT TO:<{to}>"));
    assert_eq!(session.say("RSET").code, 250);
    format!("{} {}", reply.code, reply.text())
}

/// In a session of its own: errors are counted.
fn fresh(smarthost: &Smarthost, to: &str) -> String {
    answers(&mut Session::greeted(smarthost.address()), to)
}

/// Rows C1, C2.
#[test]
fn a_public_domain_goes_to_the_legacy_one_but_for_lists_and_people_elsewhere() {
    let sink = Sink::start();
    let table = "@public.example @legacy.example\n# a list\nteam@public.example\tboss@legacy.example,\n  aide@legacy.example\n\
                 gone@public.example jane@partner.example\n";
    let mut smarthost = server(&sink, "", &[("virtual", table)]);
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    let to = [
        "Zoe.X+a@public.example",
        "team@PUBLIC.example",
        "gone@public.example",
        "boss@legacy.example",
    ];
    session.delivers("a@ham.example", &to, MESSAGE);
    let received = sink.recipients(4);
    assert_eq!(
        received,
        [
            "Zoe.X+a@legacy.example",
            "aide@legacy.example",
            "boss@legacy.example",
            "jane@partner.example"
        ]
    );
    assert!(answers(&mut session, "u@elsewhere.example").contains("Relay access denied"));
}

/// Row C2.
#[test]
fn who_has_no_entry_is_refused_and_a_changed_table_counts_by_itself_unless_it_is_broken() {
    let sink = Sink::start();
    let files = [
        ("virtual", "a@public.example x@partner.example\n"),
        ("known", "joe@legacy.example OK\n"),
    ];
    let mut smarthost = server(&sink, "relay_recipients = [\"hash:known\"]\n", &files);
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    for (to, expected) in [
        ("a+x@public.example", "250 "),
        (
            "b@public.example",
            "550 5.1.1 <b@public.example>: Recipient address rejected: User unknown in virtual alias table",
        ),
        ("joe+x@legacy.example", "250 "),
        (
            "jim@legacy.example",
            "550 5.1.1 <jim@legacy.example>: Recipient address rejected: User unknown in relay recipient table",
        ),
        (
            "u@sub.legacy.example",
            "550 5.1.1 <u@sub.legacy.example>: Recipient address rejected: User unknown in relay recipient table",
        ),
    ] {
        let answer = answers(&mut session, to);
        assert!(answer.starts_with(expected), "{to}: {answer}");
    }
    smarthost.file("virtual", "b@public.example x@partner.example\n");
    until_true("the new table", || {
        fresh(&smarthost, "b@public.example").starts_with("250")
    });
    assert!(fresh(&smarthost, "a@public.example").starts_with("550"));
    let broken = [
        "c@public.example x@@partner.example\n",
        "c@public.example\n",
        "",
    ];
    for (told, broken) in (1..).zip(broken) {
        smarthost.file("virtual", broken);
        let stays = "what was read before stays in force";
        until_true("the broken table", || {
            // It is looked whether a table has changed when somebody comes.
            fresh(&smarthost, "b@public.example");
            smarthost.daemon().log().matches(stays).count() == told
        });
        assert!(
            fresh(&smarthost, "b@public.example").starts_with("250"),
            "{broken}"
        );
        assert!(
            fresh(&smarthost, "c@public.example").starts_with("550"),
            "{broken}"
        );
    }
}

#[test]
fn check_finds_what_a_table_cannot_do_with_its_line() {
    let sink = Sink::start();
    let names = Resolver::anywhere(|_| None);
    let resolver = format!("resolver = \"{}\"\n", names.address());
    let good = "postmaster@public.example x@partner.example\n";
    for (config, table, told) in [
        ("", "", "public.example is a virtual domain, and no table"),
        (
            "",
            "a@elsewhere.example x@partner.example\n",
            "public.example is a virtual domain, and no table",
        ),
        (
            "",
            "a@public.example b@public.example\nb@public.example a@public.example\n",
            "virtual:1: a@public.example: ",
        ),
        (
            "",
            "a@public.example a@public.example\n",
            "virtual:1: a@public.example: its domain is virtual",
        ),
        (
            "",
            "a@public.example b@public.example\n",
            "virtual:1: a@public.example: it leads to b@public.example, which has no entry",
        ),
        ("", "a@public.example x@@y\n", "virtual:1: `x@@y`"),
        (
            "",
            "a@public.example x@y.example, @z.example\n",
            "virtual:1: `@z.example` keeps the local part only",
        ),
        (
            "",
            "a@public.example x@partner.example\n",
            "postmaster@public.example has no entry",
        ),
        (
            "relay_recipients = [\"cidr:known\"]\n",
            good,
            "/known:1: `joe@legacy.example` is not a network",
        ),
        (
            "relay_recipients = [\"pcre:known\"]\n",
            good,
            "/known:1: the pattern is missing",
        ),
        (
            "relay_recipients = [\"hash:missing\"]\n",
            good,
            "missing: cannot be read",
        ),
        (
            "relay_recipients = [\"mysql:known\"]\n",
            good,
            "there is no kind of table `mysql`",
        ),
    ] {
        let smarthost = server(
            &sink,
            &(resolver.clone() + config),
            &[("virtual", table), ("known", "joe@legacy.example OK\n")],
        );
        let output = smarthost.admin(&["check"]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(told), "{config}{table}: {said}");
    }
    let smarthost = server(&sink, &resolver, &[("virtual", good)]);
    let output = smarthost.admin(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        said.contains("virtual: ") && said.contains("1 entries"),
        "{said}"
    );
    let unknown = "public.example: DNS says that it accepts no mail";
    assert!(
        said.contains(unknown),
        "the name server of the settings: {said}"
    );
}

/// A public domain stands for one whose people are aliases: whom nobody is there is unknown here.
#[test]
fn a_name_that_the_domain_behind_a_catch_all_does_not_have_is_refused_and_check_calls_it_right() {
    let sink = Sink::start();
    let names = Resolver::anywhere(|_| None);
    let resolver = format!("resolver = \"{}\"\n", names.address());
    let table = "@public.example @example.org\none@public.example ghost@example.org\n";
    let mut smarthost = server(&sink, &resolver, &[("virtual", table)]);
    smarthost.run();
    for (to, answer) in [
        ("root@public.example", "250 2.1.5 Ok"),
        (
            "nosuch@public.example",
            "550 5.1.1 <nosuch@public.example>: Recipient address rejected: User unknown in local recipient table",
        ),
        (
            "one@public.example",
            "451 4.3.5 <one@public.example>: Recipient address rejected: Temporary lookup failure",
        ),
    ] {
        assert_eq!(fresh(&smarthost, to), answer, "{to}");
    }
    let said = |arguments: &[&str]| {
        let output = smarthost.admin(arguments);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let explained = said(&["explain", "nosuch@public.example"]);
    assert!(
        explained.contains("refused    5.1.1 nosuch@example.org: User unknown"),
        "{explained}"
    );
    let checked = said(&["check"]);
    assert!(
        checked.contains("one@public.example: nobody has the address ghost@example.org"),
        "{checked}"
    );
    assert!(!checked.contains("virtual:1: "), "{checked}");
}

/// A name without a domain is one of this machine, and programs, files and lists are for aliases.
#[test]
fn check_finds_targets_that_nobody_has() {
    let sink = Sink::start();
    let names = Resolver::anywhere(|_| None);
    let resolver = format!("resolver = \"{}\"\n", names.address());
    let nobody = "virtual:1: a@public.example: nobody has the address ";
    for (table, told) in [
        (
            "a@public.example nobodyhere",
            &format!("{nobody}nobodyhere@")[..],
        ),
        (
            "a@public.example x@partner.example, |/bin/true",
            "programs, files and lists stand in aliases, not here",
        ),
        ("a@public.example /etc/passwd", nobody),
        ("a@public.example :include:/x", "virtual:1: "),
        (
            "*@public.example x@partner.example",
            "virtual:1: *@public.example: it means the mailbox named *",
        ),
    ] {
        let smarthost = server(&sink, &resolver, &[("virtual", &format!("{table}\n"))]);
        let output = smarthost.admin(&["check"]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(told), "{table}: {said}");
    }
}

/// transport(5), `error`: whoever brings the mail hears of it, not whoever is named as its sender.
#[test]
fn a_recipient_whose_route_is_an_error_is_refused_with_it_and_one_who_is_met_in_the_queue_is_logged()
 {
    let sink = Sink::start();
    let routes = "routes = { \"left@legacy.example\" = \"error:5.1.1 left us\", \"late@legacy.example\" = \"error:4.2.0 later\", \
                  \"local@example.org\" = \"error:no more\" }\n";
    let table = "old@public.example left@legacy.example\nslow@public.example late@legacy.example\n\
                 all@public.example left@legacy.example,late@legacy.example,boss@legacy.example\n";
    let mut smarthost = server(&sink, routes, &[("virtual", table)]);
    smarthost.run();
    for (to, answer) in [
        (
            "left@legacy.example",
            "550 5.1.1 <left@legacy.example>: Recipient address rejected: left us",
        ),
        (
            "old@public.example",
            "550 5.1.1 <old@public.example>: Recipient address rejected: left us",
        ),
        (
            "late@legacy.example",
            "450 4.2.0 <late@legacy.example>: Recipient address rejected: later",
        ),
        (
            "slow@public.example",
            "450 4.2.0 <slow@public.example>: Recipient address rejected: later",
        ),
        (
            "local@example.org",
            "550 5.0.0 <local@example.org>: Recipient address rejected: no more",
        ),
        ("left@elsewhere.example", "554 5.7.1 "),
        ("all@public.example", "250 "),
    ] {
        let said = fresh(&smarthost, to);
        assert!(said.contains(answer), "{to}: {said}");
    }
    Session::greeted(smarthost.address()).delivers(
        "a@ham.example",
        &["all@public.example"],
        MESSAGE,
    );
    sink.journal().wait_for(1);
    for line in [
        "to=<left@legacy.example>, orig_to=<all@public.example>, relay=none, delay=",
        "dsn=5.1.1, status=bounced (left us",
        "to=<late@legacy.example>, orig_to=<all@public.example>, relay=none, delay=",
        "dsn=4.2.0, status=deferred (later",
    ] {
        smarthost.daemon().wait_for_log(line);
    }
}

/// A list of each kind, and a member that keeps a copy.
fn with_lists(sink: &Sink) -> Smarthost {
    let table = "@public.example @legacy.example\nteam@public.example boss@legacy.example, aide@legacy.example\n\
                 kept@legacy.example kept@legacy.example, copy@far.example\n";
    let more = "aliases = [\"lists\"]\n";
    let domains = "domains = { local = [\"example.org\"], relay = [\"legacy.example\"], virtual = [\"public.example\"] }\n";
    let files = [
        ("virtual", table),
        ("lists", "staff: x@far.example, y@far.example\n"),
    ];
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.2\"]\nmaildir = \"none\"\nvirtual = [\"virtual\"]\nrelayhost = \"{}\"\n{domains}{more}",
        sink.nexthop()
    ));
    for (name, text) in files {
        smarthost.file(name, text);
    }
    smarthost.run();
    smarthost
}

/// Row C2.
#[test]
fn a_list_sends_its_own_mail_to_nobody_a_second_time_and_its_sender_is_told() {
    let sink = Sink::start();
    let mut smarthost = with_lists(&sink);
    let mut session = Session::greeted(smarthost.address());
    // Each list's copies apart, and what is only passed on as it came.
    let to = [
        "team@public.example",
        "staff@example.org",
        "one@public.example",
        "direct@legacy.example",
    ];
    session.delivers("a@ham.example", &to, MESSAGE);
    let mut copies: Vec<_> = sink
        .journal()
        .wait_for(3)
        .iter()
        .map(loop_and_recipients)
        .collect();
    copies.sort();
    let expected = [
        ("", "direct@legacy.example one@legacy.example"),
        ("staff@example.org", "x@far.example y@far.example"),
        (
            "team@public.example",
            "aide@legacy.example boss@legacy.example",
        ),
    ];
    assert_eq!(
        copies,
        expected.map(|(list, to)| (list.to_owned(), to.to_owned()))
    );
    // Members send it back; who is named beside the list gets it, and so does another list.
    let back = b"X-Loop: Team@Public.example\r\nX-Loop: other@elsewhere.example\r\nSubject: test\r\n\r\ntext\r\n";
    let to = [
        "team@public.example",
        "staff@example.org",
        "one@public.example",
    ];
    session.delivers("a@ham.example", &to, back);
    let all = sink.journal().wait_for(6);
    let mut copies: Vec<_> = all[3..].iter().map(loop_and_recipients).collect();
    copies.sort();
    let own = "other@elsewhere.example team@public.example";
    let expected = [
        ("", "a@ham.example"),
        (
            "other@elsewhere.example staff@example.org team@public.example",
            "x@far.example y@far.example",
        ),
        (own, "one@legacy.example"),
    ];
    assert_eq!(
        copies,
        expected.map(|(list, to)| (list.to_owned(), to.to_owned()))
    );
    let bounce = all[3..].iter().find(|it| it.sender.is_empty()).unwrap();
    let text = bounce.text();
    assert!(
        text.contains("mail forwarding loop for team@public.example") && text.contains("5.4.6"),
        "{text}"
    );
    // One of several who keeps a copy is a list, too, and a loop of it no delivery.
    let to = ["kept@legacy.example"];
    session.delivers("", &to, b"X-Loop: kept@legacy.example\r\n\r\ntext\r\n");
    let log = smarthost
        .daemon()
        .wait_for_log("mail forwarding loop for kept@legacy.example");
    assert!(log.contains("status=bounced"), "{log}");
    assert_eq!(
        sink.journal().len(),
        6,
        "nobody is told of a loop of a bounce"
    );
}

fn loop_and_recipients(message: &Received) -> (String, String) {
    let mut lists: Vec<_> = message
        .fields("X-Loop")
        .iter()
        .map(|it| it.trim().to_lowercase())
        .collect();
    if message.sender.is_empty() {
        // The original stands in it.
        lists.clear();
    }
    let mut to = message.recipients.clone();
    lists.sort();
    to.sort();
    (lists.join(" "), to.join(" "))
}
