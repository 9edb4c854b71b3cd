//! Mail that waits in another program's queue: taken over whole, delivered once, and whatever
//! cannot be taken stays and is named.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use tests::{
    agent::Agent,
    identity::write,
    postfix::Postfix,
    session::Session,
    sink::{Script, Sink, nexthop},
    wait::{free_address, until},
};

const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../sendmail-shim/src/import/testdata/queue"
);

/// Another system's files.
struct Root {
    path: PathBuf,
}

impl Root {
    fn beside(agent: &Agent) -> Self {
        let path = agent.directory().join("root");
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    /// A file in `/var/spool`.
    fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path.join("var/spool").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A file that the real program wrote.
    fn real(&self, file: &str, name: &str) -> PathBuf {
        self.put(name, fs::read(Path::new(DATA).join(file)).unwrap(), 0o700)
    }

    /// What `import` says on standard output and on standard error; its exit status must be this.
    fn imported(&self, agent: &Agent, more: &[&str], status: i32) -> (String, String) {
        let mut words = vec!["import", "--queue", "--root", self.path.to_str().unwrap()];
        words.extend(more);
        let output = agent.admin(&words);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    }
}

fn config(relayhost: &str) -> String {
    format!(
        "relayhost = {relayhost:?}\ndomain = \"example.org\"\ntls = \"none\"\nfrom_override = false\n"
    )
}

/// The one file in a directory and below it.
fn only_file(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort();
    paths.into_iter().find_map(|path| {
        if path.is_dir() {
            only_file(&path)
        } else {
            Some(path)
        }
    })
}

#[test]
fn what_postfix_could_not_deliver_is_taken_over_as_it_was_and_delivered_once() {
    let relay = Sink::with(Script {
        recipients: vec![("later@example.net".into(), "450 4.2.0 later".into())],
        ..Script::default()
    });
    let main = format!("relayhost = {}\n", relay.nexthop());
    let Some(mut postfix) = Postfix::start(&main) else {
        return;
    };
    let queue = postfix.directory().join("queue");
    let header = "From: Web  Shop <web@example.org>\r\nTo: hidden list: ;\r\nMessage-ID: <1@x>\r\nDate: Thu, 26 Nov 2026 21:00:08 +0000\r\n\
                  Subject: as it\r\n\twas\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
                  Content-Transfer-Encoding: 8bit\r\n\r\n";
    let body = b".dot\r\nlatin \xe9\r\n";
    let content = [header.as_bytes(), body].concat();
    let mut session = Session::greeted(([127, 0, 0, 1], postfix.port()).into());
    let recipients = ["done@example.net", "later@example.net"];
    let reply = session
        .mail("web@example.org", &recipients, &content)
        .unwrap();
    assert_eq!(reply.code, 250);
    let waits = until("Postfix has served one of the two", || {
        let file = only_file(&queue.join("deferred"))?;
        (relay.journal().len() == 1).then_some(file)
    });

    let agent = Agent::start(&config(&relay.nexthop()));
    let path = postfix.directory().to_owned();
    let root = Root { path };
    fs::create_dir_all(root.path.join("etc/postfix")).unwrap();
    let main = root.path.join("etc/postfix/main.cf");
    write(&main, "queue_directory = /queue\n");
    let (listed, told) = root.imported(&agent, &[], 0);
    assert!(
        listed.contains("<web@example.org> to later@example.net"),
        "{listed}"
    );
    assert!(told.contains("Postfix is running"), "{told}");
    let (_, told) = root.imported(&agent, &["--apply"], 1);
    assert!(told.contains("stop it first (postfix stop)"), "{told}");
    assert!(waits.exists());

    postfix.kill();
    relay.play(Script::default());
    let (taken, _) = root.imported(&agent, &["--apply"], 0);
    assert!(taken.contains("postfix: 1 taken over"), "{taken}");
    assert!(!waits.exists());
    let messages = relay.journal().wait_for(2);
    let ours = messages.last().unwrap();
    assert_eq!(ours.sender, "web@example.org");
    assert_eq!(ours.recipients, ["later@example.net"]);
    assert!(ours.content.ends_with(&content), "{}", ours.text());

    let aside = only_file(&queue.join("taken-over/deferred")).unwrap();
    assert_eq!(aside.file_name(), waits.file_name(), "nothing is deleted");
    assert_eq!(root.imported(&agent, &["--apply"], 0).0, "");
    agent.wait_for_mailq("an empty queue", |listing| listing.contains("empty"));
    assert_eq!(relay.journal().len(), 2, "nothing was sent twice");
}

#[test]
fn each_programs_queue_is_taken_over_and_without_an_agent_nothing_is_touched() {
    let address = free_address();
    let mut agent = Agent::prepare(&config(&nexthop(address)));
    let root = Root::beside(&agent);
    let spool = root.path.join("var/spool");
    let files = [
        ("postfix-maildrop", "postfix/maildrop/5A3569F4024"),
        ("postfix-null-sender", "postfix/deferred/1/121569F4177"),
        ("nullmailer-queued", "nullmailer/queue/1795726839.14686"),
        ("dma-Q", "dma/Q3.55c9683e68f0"),
        ("dma-M", "dma/M3.55c9683e68f0"),
        ("exim-deferred-H", "exim4/input/1xWgcH-0006Dy-0H-H"),
        ("exim-deferred-D", "exim4/input/1xWgcH-0006Dy-0H-D"),
    ];
    let files = files.map(|(file, name)| root.real(file, name));
    let (_, told) = root.imported(&agent, &["--apply"], 75);
    assert!(
        told.contains("nothing of what is left was touched"),
        "{told}"
    );
    assert!(files.iter().all(|file| file.exists()));

    let relay = Sink::on(address, Script::default());
    agent.run();
    let (taken, _) = root.imported(&agent, &["--apply"], 0);
    for line in [
        "postfix: 2 taken over",
        "nullmailer: 1 taken over",
        "dma: 1 taken over",
        "exim: 1 taken over",
        "exim input/1xWgcH-0006Dy-0H-H: <web@example.org> to later@example.net, \"two words\"@example.net",
    ] {
        assert!(taken.contains(line), "{line}: {taken}");
    }
    assert!(!files.iter().any(|file| file.exists()));
    assert!(
        spool
            .join("exim4/taken-over/input/1xWgcH-0006Dy-0H-D")
            .exists()
    );

    let messages = relay.journal().wait_for(5);
    let from = |sender: &str| {
        let found = messages.iter().filter(|message| message.sender == sender);
        let mut found = found
            .map(|message| message.recipients.join(" "))
            .collect::<Vec<_>>();
        found.sort();
        found
    };
    assert_eq!(from(""), ["later@example.net"], "the null sender stays one");
    let names = ["root@example.org"];
    assert_eq!(
        from("root@example.org"),
        names,
        "no daemon of Postfix had completed it"
    );
    let web = [
        "later@example.net",
        "later@example.net \"two words\"@example.net",
        "later@example.net later2@example.net",
    ];
    assert_eq!(from("web@example.org"), web);
}

#[test]
fn what_cannot_be_taken_over_stays_where_it_is_and_is_named() {
    let relay = Sink::start();
    let agent = Agent::start(&config(&relay.nexthop()));
    let root = Root::beside(&agent);
    let whole = fs::read(Path::new(DATA).join("postfix-deferred")).unwrap();
    let cut = whole.get(..whole.len() - 4).unwrap();
    root.put("postfix/incoming/UNFINISHED", &whole, 0o600);
    root.put("postfix/active/CUT", cut, 0o700);
    root.put("nullmailer/queue/NOT-MAIL", "text", 0o600);
    root.real("nullmailer-queued", "nullmailer/failed/GIVEN-UP");
    root.real("postfix-null-sender", "postfix/hold/HELD");
    root.real("dma-Q", "dma/QORPHAN");
    root.real("dma-M", "dma/MBUSY");
    let busy = root.real("dma-Q", "dma/QBUSY");
    symlink("/etc/passwd", busy.with_file_name("QLINK")).unwrap();
    let busy = File::open(busy).unwrap();
    busy.lock().unwrap();

    let (taken, told) = root.imported(&agent, &["--apply"], 1);
    assert!(taken.contains("dma: none taken over"), "{taken}");
    let reasons = [
        ("postfix incoming/UNFINISHED", "it is not complete"),
        ("postfix active/CUT", "the file is cut off"),
        ("nullmailer queue/NOT-MAIL", "the envelope is cut off"),
        ("nullmailer failed/GIVEN-UP", "it is held there"),
        ("postfix hold/HELD", "it is held there"),
        ("dma QORPHAN", "No such file"),
        (
            "dma QBUSY",
            &*format!("process {} is delivering it", std::process::id()),
        ),
    ];
    for (name, why) in reasons {
        let line = told
            .lines()
            .find(|line| line.contains(&format!("LEFT {name}: ")));
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{name}: {told}"
        );
        let (_, path) = name.split_once(' ').unwrap();
        let program = name.strip_suffix(path).unwrap().trim();
        assert!(
            root.path
                .join("var/spool")
                .join(program)
                .join(path)
                .exists()
        );
    }
    assert_eq!(
        told.lines().count(),
        reasons.len(),
        "a link is no message: {told}"
    );

    let held = ["--apply", "--held", "--from", "postfix"];
    let (taken, _) = root.imported(&agent, &held, 1);
    assert!(
        taken.contains("postfix hold/HELD: <> to later@example.net"),
        "{taken}"
    );
    assert_eq!(relay.journal().wait_for(1).len(), 1);
}
