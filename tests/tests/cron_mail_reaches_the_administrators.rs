//! cron → sendmail → agent → pinned TLS → smarthost → nexthop, with the senders and recipients that
//! the deployments want.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    sink::Sink,
    smarthost::Smarthost,
};

/// The map of the hosting association, written as an aliases file: a chain.
const ROLES: &str = "mailer-daemon: admins\npostmaster: admins\nnobody: admins\nhostmaster: admins\ndnsmaster: admins\nusenet: admins\n\
news: admins\nwebmaster: admins\nwww: admins\nftp: admins\nabuse: admins\nnoc: admins\nsecurity: admins\nroot: admins\nlistmaster: admins\n\
admins: admins@example.org\n";

fn relay(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ))
}

fn machine(smarthost: &Smarthost, more: &str) -> Agent {
    let (nexthop, pin) = (smarthost.nexthop(), smarthost.pin());
    Agent::prepare(&format!(
        "relayhost = \"{nexthop}\"\npins = [\"{pin}\"]\ndomain = \"example.org\"\n{more}"
    ))
}

/// Row A1.
#[test]
fn a_machines_daemons_send_through_one_hub_and_nothing_on_it_listens() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let mut machine = machine(&smarthost, "");
    machine.run();
    machine.send(&CRON_ARGUMENTS, CRON);
    let received = sink.journal().first();
    assert_eq!(received.sender, "root@example.org");
    assert_eq!(received.recipients, ["root@example.org"]);
    assert!(
        received
            .body()
            .contains("\r\n.\r\nstill the same message\r\n"),
        "a lone dot is data with -i:\n{}",
        received.body()
    );
    let hops = received.fields("received");
    assert!(
        hops.iter()
            .any(|hop| hop.contains("vm1.example.test") && hop.contains("ESMTPS")),
        "the hop to the hub is encrypted: {hops:?}"
    );
    assert_eq!(listening(machine.daemon().pid()), Vec::<String>::new());
}

/// TCP sockets of a process that wait for connections, as lines of /proc/net/tcp.
fn listening(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let sockets: Vec<_> = links
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    assert!(
        !sockets.is_empty(),
        "the agent has at least its unix sockets"
    );
    let table = ["tcp", "tcp6"]
        .map(|file| fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default())
        .concat();
    let waits = |line: &&str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        columns.get(3) == Some(&"0A")
            && columns
                .get(9)
                .is_some_and(|inode| sockets.iter().any(|s| s == inode))
    };
    table.lines().filter(waits).map(str::to_owned).collect()
}

/// Row A2.
#[test]
fn whoever_writes_the_mail_is_from_the_administrators() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let mut machine = machine(&smarthost, "revaliases = \"$DIR/revaliases\"\n");
    machine.file("revaliases", ROLES);
    machine.run();
    for role in ["root", "www", "listmaster"] {
        machine.send(
            &["-i", "-f", role, "-t"],
            format!("From: {role}\nTo: ops@example.net\nSubject: {role}\n\nhello\n"),
        );
    }
    for received in sink.journal().wait_for(3) {
        assert_eq!(
            received.sender,
            "admins@example.org",
            "{}",
            received.field("subject")
        );
        let from = received.field("from");
        assert!(from.contains("admins@example.org"), "From: {from}");
        assert_eq!(received.recipients, ["ops@example.net"]);
    }
}

/// Row A2: the map was made for the sender; with `from_override` off a program cannot get around
/// it.
#[test]
fn a_program_that_writes_its_own_from_does_not_get_around_the_map() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let mut machine = machine(
        &smarthost,
        "revaliases = \"$DIR/revaliases\"\nfrom_override = false\n",
    );
    machine.file("revaliases", ROLES);
    machine.run();
    machine.send(&["-t"], "From: The Boss <boss@example.com>\nTo: ops@example.net\nBcc: secret@example.net\nSubject: hi\n\nhello\n");
    let received = sink.journal().first();
    assert!(
        received.field("from").contains("admins@example.org"),
        "{}",
        received.header_section()
    );
    assert!(
        !received.text().contains("secret@example.net"),
        "Bcc leaked:\n{}",
        received.text()
    );
    let mut recipients = received.recipients;
    recipients.sort();
    assert_eq!(recipients, ["ops@example.net", "secret@example.net"]);
}

/// Rows B18 D2.
#[test]
fn recipients_are_rewritten_along_the_machines_own_chain() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let mut machine = machine(&smarthost, "aliases = \"$DIR/aliases\"\n");
    machine.file("aliases", "mailer-daemon: postmaster\npostmaster: root\nwww-data: root\nroot: list@example.net\nsecurity: csirt@example.net\n");
    machine.run();
    machine.send(&["mailer-daemon"], "Subject: one\n\nx\n");
    machine.send(&["www-data"], "Subject: two\n\nx\n");
    machine.send(&["security"], "Subject: three\n\nx\n");
    machine.send(&["elsewhere@example.com"], "Subject: four\n\nx\n");
    let mut got: Vec<_> = sink
        .journal()
        .wait_for(4)
        .iter()
        .map(|r| (r.field("subject"), r.recipients.join(" ")))
        .collect();
    got.sort();
    let expected = [
        ("four", "elsewhere@example.com"),
        ("one", "list@example.net"),
        ("three", "csirt@example.net"),
        ("two", "list@example.net"),
    ];
    assert_eq!(
        got,
        expected.map(|(subject, to)| (subject.to_owned(), to.to_owned()))
    );
}

/// Programs write to root at whatever they take for the machine's name.
#[test]
fn mail_for_any_name_of_the_machine_goes_to_the_administrator() {
    let sink = Sink::start();
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\nadmin = \"admins@example.org\"\n",
        sink.nexthop()
    ));
    let names = [
        "vm1",
        "VM1",
        "vm1.localdomain",
        "ip6-localhost",
        "localhost6",
        kernel.trim(),
    ];
    for (index, name) in names.into_iter().enumerate() {
        let root = format!("root@{name}");
        machine.send(&["-f", &root, &root], "Subject: disk\n\nx\n");
        let all = sink.journal().wait_for(index + 1);
        assert_eq!(all[index].recipients, ["admins@example.org"], "{name}");
        // A name without a domain is none of a sender's; one that has its own may be known.
        if !name.contains('.') || name.ends_with(".localdomain") {
            assert_eq!(all[index].sender, "root@example.org", "{name}");
        }
    }
}

/// As with Postfix, sendmail and Exim.
#[test]
fn the_others_of_a_list_get_its_mail_where_one_name_in_it_comes_back_to_itself() {
    let sink = Sink::start();
    for (admin, served) in [
        ("", "ann@d.example bob@d.example"),
        (
            "admin = \"admins@example.org\"\n",
            "ann@d.example bob@d.example admins@example.org",
        ),
    ] {
        let nexthop = sink.nexthop();
        let mut machine = Agent::prepare(&format!(
            "relayhost = \"{nexthop}\"\ntls = \"none\"\naliases = \"$DIR/aliases\"\n{admin}"
        ));
        let aliases = "team: ann@d.example, ops, a\nops: bob@d.example, team\na: b\nb: a\n";
        machine.file("aliases", aliases);
        machine.run();
        let before = sink.journal().messages().len();
        let output = machine.sendmail(&["-v", "team"], "Subject: s\n\nx\n");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && said.contains("but not to all"),
            "{said}"
        );
        let received = sink.journal().wait_for(before + 1).remove(before);
        assert_eq!(received.recipients.join(" "), served);
        let looped = "comes back to itself: team -> ops -> team";
        machine.daemon().wait_for_log(looped);
        for told in [
            machine.sendmail(&["-bv", "team"], "").stdout,
            machine.admin(&["check"]).stdout,
            machine.sendmail(&["-bi"], "").stderr,
        ] {
            let told = String::from_utf8(told).unwrap();
            assert!(told.contains(looped), "{told}");
        }
    }
}
