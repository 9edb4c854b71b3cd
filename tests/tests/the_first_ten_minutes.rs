//! `smarthost init`, `sendmail-shim init`: from a fresh machine to a configuration, in a terminal
//! and by a script.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Output,
};

use tests::{
    binaries::binaries,
    installation::hermetic,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    terminal::{self, Step},
};

const ROUTE: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
    eth0 0000000A 00000000 0001 0 0 0 0000FFFF 0 0 0\n\
    eth1 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
const INET6: &str = "fd000000000000000000000000000002 04 40 00 82     eth0\n";

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    system::fs::replace(path, text.as_bytes(), 0o644).unwrap();
}

/// A machine with two networks; its configuration is not there yet.
struct Machine(Smarthost);

impl Machine {
    fn new() -> Self {
        let machine = Self(Smarthost::prepare(""));
        let root = machine.0.directory().join("root");
        put(&root.join("proc/net/route"), ROUTE);
        put(&root.join("proc/net/if_inet6"), INET6);
        machine
    }

    fn config(&self) -> std::path::PathBuf {
        self.0.directory().join("fresh/config.toml")
    }

    fn written(&self) -> Option<String> {
        fs::read_to_string(self.config()).ok()
    }

    fn command(&self, more: &[&str]) -> std::process::Command {
        let mut command = hermetic(&binaries().smarthost);
        command.arg("init").arg("--config").arg(self.config());
        command
            .arg("--root")
            .arg(self.0.directory().join("root"))
            .args(more);
        command
    }

    fn init(&self, more: &[&str]) -> Output {
        let mut command = self.command(more);
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }
}

fn told(output: &Output) -> String {
    let all = [&*output.stdout, &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn an_administrator_is_asked_what_the_machine_cannot_know_and_sees_the_file_before_it_is_written() {
    let machine = Machine::new();
    let sink = Sink::start();
    let relayhost = format!("{}\n", sink.nexthop());
    let steps = [
        Step::Sees("192.0.2.0/24. These are public networks"),
        Step::Sees("hostname ["),
        Step::Types("no name\n"),
        Step::Sees("hostname ["),
        Step::Types("mail.example.org\n"),
        Step::Sees("networks [10.0.0.0/16 fd00::/64]: "),
        Step::Types("0.0.0.0/0\n"),
        Step::Sees("open relay"),
        Step::Sees("networks [10.0.0.0/16 fd00::/64]: "),
        Step::Types("\n"),
        Step::Sees("domains.local []: "),
        Step::Types("example.org\n"),
        Step::Sees("relayhost []: "),
        Step::Types(&relayhost),
        Step::Sees("relay_tls.pins []: "),
        Step::Types("\n"),
        Step::Sees("admins ["),
        Step::Types("root@example.org\n"),
        Step::Sees("Checked:"),
        Step::Sees("relayhost"),
        Step::Sees("Write it? "),
    ];
    let answered = |last: &str| {
        let steps = [&steps[..], &[Step::Types(last)]].concat();
        terminal::run(&machine.command(&[]), 100, &steps)
    };
    let Some(refused) = answered("n\n") else {
        return;
    };
    assert_eq!(
        (refused.status, machine.written()),
        (1, None),
        "{refused:?}"
    );
    assert!(refused.shown.contains("nothing was written"), "{refused:?}");
    let agreed = answered("y\n").unwrap();
    assert_eq!(agreed.status, 0, "{agreed:?}");
    let written = machine.written().unwrap();
    for line in [
        "hostname = \"mail.example.org\"",
        "networks = [\"127.0.0.0/8\", \"::1\", \"10.0.0.0/16\", \"fd00::/64\"]",
        "domains.local = \"example.org\"",
        "admins = \"root@example.org\"",
        "limits = { per_client = [\"100/day\"], exempt = [\"127.0.0.0/8\", \"::1\"] }",
    ] {
        assert!(written.lines().any(|it| it == line), "{line}: {written}");
    }
    assert!(!written.contains("\nrelay_tls.pins"), "{written}");
    assert_eq!(sink.journal().len(), 0, "nothing is sent");
}

/// A machine of its own, where nothing is set up: `$DIR` has a systemctl that starts the daemons.
const FRESH: &str = "set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/etc/smarthost /run/etc/sendmail-shim /run/systemd/system /run/sendmail-shim
cp /etc/passwd /etc/group /run/etc
echo '127.0.0.1 localhost' > /run/etc/hosts
mount --bind /run/etc /etc
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /var/spool
ip link set lo up
PATH=$DIR:$PATH
$COMMANDS
until [ $(ls /var/lib/smarthost/Maildir/new | wc -l) = 2 ]; do sleep 0.05; done
cat /var/lib/smarthost/Maildir/new/*
";
const SYSTEMCTL: &str = "#!/bin/sh
case \"$*\" in
'restart smarthost') $SMARTHOST run > /run/smarthost.log 2>&1 & socket=/var/lib/smarthost/control.sock ;;
'restart sendmail-shim') $SHIM agent > /run/agent.log 2>&1 & socket=/run/sendmail-shim/control.sock ;;
*) exit 1 ;;
esac
until [ -S $socket ]; do sleep 0.05; done
";

/// As an administrator types it, and as a script does.
const RELAY: [&str; 2] = [
    "$SMARTHOST init",
    "$SMARTHOST init --yes --force --test hostname=mail.example.test networks= \
     domains.local=example.test relayhost= admins=root@example.test < /dev/null",
];
const MACHINE: [&str; 2] = [
    "$SHIM init",
    "pin=$($SMARTHOST pin | grep -o 'sha256:[0-9a-f]*' | head -n 1)
     $SHIM init --yes --test relayhost=[127.0.0.1]:25 pins=$pin tls=starttls \
     domain=example.test admin=root@example.test < /dev/null",
];

/// What is seen and typed in the one, and in the other.
const RELAY_STEPS: [Step<'_>; 14] = [
    Step::Sees("hostname ["),
    Step::Types("mail.example.test\n"),
    Step::Sees("networks ["),
    Step::Types("\n"),
    Step::Sees("domains.local []: "),
    Step::Types("example.test\n"),
    Step::Sees("relayhost []: "),
    Step::Types("\n"),
    Step::Sees("admins ["),
    Step::Types("root@example.test\n"),
    Step::Sees("Write it? "),
    Step::Types("y\n"),
    Step::Sees("send a mail to root@example.test and follow it to its end? [Y/n] "),
    Step::Types("\n"),
];
const MACHINE_STEPS: [Step<'_>; 15] = [
    Step::Sees("relayhost []: "),
    Step::Types("[127.0.0.1]:25\n"),
    Step::Sees("shows this key: sha256:"),
    Step::Sees("pins [sha256:"),
    Step::Types("\n"),
    Step::Sees("tls [starttls]: "),
    Step::Types("\n"),
    Step::Sees("domain ["),
    Step::Types("example.test\n"),
    Step::Sees("admin []: "),
    Step::Types("root@example.test\n"),
    Step::Sees("Write it? "),
    Step::Types("y\n"),
    Step::Sees("send a mail to root@example.test and follow it to its end? [Y/n] "),
    Step::Types("y\n"),
];

/// In a terminal, after a yes; by a script, if it says so.
#[test]
fn from_nothing_to_the_first_mail_both_programs_are_set_up_and_tried() {
    if !tests::peers::mounts() || tests::peers::find("ip").is_none() {
        return;
    }
    for (relay, machine) in [(0, 1), (1, 0)] {
        let directory = tempfile::tempdir().unwrap();
        let binaries = binaries();
        let commands = format!("{}\n{}", RELAY[relay], MACHINE[machine]);
        let placed = |text: &str| {
            text.replace("$COMMANDS", &commands)
                .replace("$DIR", &directory.path().display().to_string())
                .replace("$SMARTHOST", &binaries.smarthost.display().to_string())
                .replace("$SHIM", &binaries.sendmail_shim.display().to_string())
        };
        let systemctl = directory.path().join("systemctl");
        system::fs::replace(&systemctl, placed(SYSTEMCTL).as_bytes(), 0o755).unwrap();
        let mut fresh = hermetic("unshare");
        fresh.args(["--mount", "--net", "--pid", "--fork", "--kill-child"]);
        fresh.args(["--mount-proc", "sh", "-c", &placed(FRESH)]);
        let typed = |typed: usize, steps: &'static [Step<'_>]| -> &'static [Step<'_>] {
            if typed == 0 { steps } else { &[] }
        };
        let steps = [
            typed(relay, &RELAY_STEPS),
            &[Step::Sees("<root@example.test> sent")],
            typed(machine, &MACHINE_STEPS),
            &[
                Step::Sees("<root@example.test> sent by 127.0.0.1"),
                Step::Sees("smarthost on mail.example.test can send mail"),
            ],
        ];
        let Some(ended) = terminal::run(&fresh, 200, &steps.concat()) else {
            return;
        };
        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.shown.contains("sendmail-shim on "), "{ended:?}");
    }
}

#[test]
fn a_script_answers_beforehand_and_an_administrators_file_is_never_lost() {
    let machine = Machine::new();
    let nobody = machine.init(&[]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        told(&nobody).contains("no terminal to ask questions on"),
        "{nobody:?}"
    );
    for (answer, why) in [
        ("hostname=a b", "hostname: "),
        ("nonsense=1", "the keys are"),
        ("networks=::/0", "open relay"),
    ] {
        let output = machine.init(&["--yes", answer]);
        assert!(
            told(&output).contains(why) && !output.status.success(),
            "{output:?}"
        );
    }
    assert_eq!(machine.written(), None);
    let answers = [
        "--yes",
        "--force",
        "hostname=mx.example.org",
        "networks=",
        "admins=root@example.org",
    ];
    let output = machine.init(&answers);
    assert!(output.status.success(), "{output:?}");
    let written = machine.written().unwrap();
    assert!(
        written.contains("\nhostname = \"mx.example.org\"\n") && !written.contains("\nnetworks"),
        "{written}"
    );

    let own = format!("{written}message_size = \"1MiB\"\n");
    put(&machine.config(), &own);
    let output = machine.init(&["--yes", "hostname=other.example.org"]);
    assert!(told(&output).contains("--force"), "{output:?}");
    assert_eq!(machine.written().as_deref(), Some(&*own));
    let output = machine.init(&answers);
    assert!(output.status.success(), "{output:?}");
    let copy = machine.0.directory().join("fresh/config.toml.before-init");
    assert_eq!(fs::read_to_string(&copy).unwrap(), own);
    assert_eq!(machine.written().as_deref(), Some(&*written));
    assert!(machine.init(&answers).status.success());
    let second = machine
        .0
        .directory()
        .join("fresh/config.toml.before-init.1");
    assert_eq!(fs::read_to_string(&second).unwrap(), written);
    assert_eq!(
        fs::read_to_string(&copy).unwrap(),
        own,
        "no copy is lost either"
    );
}

/// Configurations that lie in a repository of an administrator's, say.
#[test]
fn a_file_behind_a_link_is_replaced_where_it_lies_and_keeps_whose_it_is() {
    let machine = Machine::new();
    let real = machine.0.directory().join("repository/relay.toml");
    put(&real, "hostname = \"old.example.org\"\n");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    put(&machine.config(), "");
    fs::remove_file(machine.config()).unwrap();
    std::os::unix::fs::symlink(&real, machine.config()).unwrap();
    let group = tests::peers::root().then_some(64_007);
    std::os::unix::fs::chown(&real, None, group).unwrap();
    let output = machine.init(&[
        "--yes",
        "--force",
        "hostname=mx.example.org",
        "admins=a@b.example",
    ]);
    assert!(output.status.success(), "{output:?}");
    assert!(machine.config().is_symlink());
    let written = fs::read_to_string(&real).unwrap();
    assert!(written.contains("mx.example.org"), "{written}");
    let metadata = fs::metadata(&real).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    assert!(group.is_none_or(|group| metadata.gid() == group));
}

#[test]
fn an_answer_that_is_not_asked_for_is_not_dropped_and_tls_that_fails_is_told() {
    let machine = Machine::new();
    let pin =
        "relay_tls.pins=sha256:9f2cd1a0b14f5c8e7d6a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e";
    for (answers, why) in [
        (
            &["hostname=mx.example.org", pin][..],
            "relay_tls.pins does not apply",
        ),
        (&["relayhost=", pin], "relay_tls.pins does not apply"),
        (
            &["admins=a@b.example", "admins=c@d.example"],
            "admins is answered twice",
        ),
    ] {
        let output = machine.init(&[&["--yes", "--force"], answers].concat());
        assert!(!output.status.success(), "{output:?}");
        assert!(told(&output).contains(why), "{output:?}");
        assert_eq!(machine.written(), None);
    }
    let answering = |reply: &str| {
        let mut script = Script::default();
        script.extensions.push("STARTTLS".to_owned());
        script.answers = vec![("STARTTLS".to_owned(), reply.to_owned())];
        script
    };
    let refusing = answering("454 4.7.0 not today");
    // And goes on in clear text.
    let breaking = answering("220 2.0.0 go on");
    for (script, why) in [(refusing, "it is refused"), (breaking, "TLS")] {
        let sink = Sink::with(script);
        let relayhost = format!("relayhost={}", sink.nexthop());
        let output = machine.init(&["--yes", "--force", "hostname=mx.example.org", &relayhost]);
        let said = told(&output);
        let line = said
            .lines()
            .find(|line| line.starts_with("WARN  relayhost"));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        let (_, reason) = line
            .split_once("no TLS, because its STARTTLS does not work: ")
            .unwrap();
        assert!(reason.contains(why), "{line}");
    }
}

#[test]
fn postfix_that_is_set_up_is_offered_to_be_taken_over() {
    let machine = Machine::new();
    let main = machine.0.directory().join("root/etc/postfix/main.cf");
    put(
        &main,
        "compatibility_level = 3.6\nmyhostname = old.example.org\nmydestination =\nmynetworks = 10.0.0.0/8\n",
    );
    let steps = [
        Step::Sees("Take over its configuration? [Y/n] "),
        Step::Types("\n"),
        Step::Sees("old.example.org"),
        Step::Sees("Write it? "),
        Step::Types("y\n"),
        Step::Sees(" written. Now:"),
    ];
    let Some(ended) = terminal::run(&machine.command(&[]), 100, &steps) else {
        return;
    };
    assert_eq!(ended.status, 0, "{ended:?}");
    let written = machine.written().unwrap();
    assert!(
        written.starts_with("# Taken over from Postfix") && written.contains("old.example.org"),
        "{written}"
    );
}

#[test]
fn a_machine_is_set_up_with_the_key_that_its_relay_shows() {
    let relay = Smarthost::start("networks = [\"127.0.0.0/8\"]\n");
    let root = tempfile::tempdir().unwrap();
    let mut init = hermetic(&binaries().sendmail_shim);
    init.arg("init").arg("--root").arg(root.path());
    let written = root.path().join("etc/sendmail-shim/config.toml");
    let relayhost = format!("{}\n", nexthop(relay.address()));
    let steps = [
        Step::Sees("relayhost []: "),
        Step::Types("two words:x\n"),
        Step::Sees("relayhost []: "),
        Step::Types(&relayhost),
        Step::Sees("shows this key: sha256:"),
        Step::Sees("pins [sha256:"),
        Step::Types("\n"),
        Step::Sees("tls [starttls]: "),
        Step::Types("\n"),
        Step::Sees("domain ["),
        Step::Types("example.org\n"),
        Step::Sees("admin []: "),
        Step::Types("root@example.org\n"),
        Step::Sees("Checked:"),
        Step::Sees("pinned: sha256:"),
        Step::Sees("Write it? "),
        Step::Types("y\n"),
    ];
    let Some(ended) = terminal::run(&init, 100, &steps) else {
        return;
    };
    assert_eq!(ended.status, 0, "{ended:?}");
    let text = fs::read_to_string(&written).unwrap();
    let pin = told(&relay.admin(&["pin"]));
    let pin = pin
        .lines()
        .find(|line| line.starts_with("pins = "))
        .unwrap();
    let pin = pin.trim_start_matches("pins = [").trim_end_matches(']');
    for line in [
        &format!("pins = {pin}"),
        "tls = \"starttls\"",
        "domain = \"example.org\"",
        "admin = \"root@example.org\"",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    let again = init
        .args(["--yes", "relayhost=mx.example.org"])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(told(&again).contains("--force replaces it"), "{again:?}");
    assert_eq!(fs::read_to_string(&written).unwrap(), text);
}

#[test]
fn what_another_program_is_set_up_with_is_offered_to_a_machine() {
    let root = tempfile::tempdir().unwrap();
    put(
        &root.path().join("etc/nullmailer/remotes"),
        "mail.example.org smtp --port=465 --ssl\n",
    );
    let mut init = hermetic(&binaries().sendmail_shim);
    init.arg("init").arg("--root").arg(root.path());
    let steps = [
        Step::Sees("nullmailer is set up on this machine. Take over its configuration? [Y/n] "),
        Step::Types("\n"),
        Step::Sees("Write it? "),
        Step::Types("y\n"),
        Step::Sees("config.toml written"),
    ];
    let Some(ended) = terminal::run(&init, 100, &steps) else {
        return;
    };
    assert_eq!(ended.status, 0, "{ended:?}");
    let text = fs::read_to_string(root.path().join("etc/sendmail-shim/config.toml")).unwrap();
    assert!(text.contains("mail.example.org"), "{text}");
}
