//! A secret that stands in a line with a mistake, or in the wrong file, is shown to nobody: the
//! line goes to logs, to mail, to the status page and to whoever is asked for help.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use proptest::{prelude::*, test_runner::RngSeed};
use sendmail::config::settings::Settings;
use smarthost::config::Config;
use tests::{
    agent::Agent,
    http::request,
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::{free_address, until},
};

/// What stands for the secret in a text.
const HERE: char = '§';
/// A secret that no other word of a text has in it.
const SECRET: &str = "Zq7mark9Xk";

/// What people write where a secret is near; each makes the whole file wrong in both programs.
const WRONG: [&str; 48] = [
    "auth = { password = \"§\", usr = \"x\" }",
    "auth = { user = \"x\", passwrd = \"§\" }",
    "relay_auth = { user = \"x\", pasword = \"§\", password_file = 5 }",
    "auth = \"§\"",
    "relay_auth = [\"me\", \"§\"]",
    "password = \"§\"",
    "password = §",
    "smtp_password: §",
    "AuthUser=me\nAuthPass=§",
    "§",
    "me:§",
    "[mail.example.org]:587 me:§",
    "mail.example.org smtp --user=me --pass=§ --starttls",
    "machine mail.example.org login me password §",
    "-----BEGIN PRIVATE KEY-----\n§\n-----END PRIVATE KEY-----",
    "[auth]\npassword = 5 §",
    "[relay_auth]\nuser = me\npassword = \"§",
    "[relay_auth\nuser = \"me\"\ntoken = \"§\"",
    "password = \"\"\"\n§\n",
    "auth = { user = \"x\", password = \"§\"",
    "relayhost = \"smtp://me:§@mail.example.org\"",
    "relayhost = [\"mail.example.org\", \"me:§@mail.example.org:587\"]",
    "relayhost = smtp://me:§@mail.example.org",
    "budget = { server = \"redis://:§@store.example.org\" }",
    "budget = { store = \"redis://:§@store.example.org/0\", nodes = 1 }",
    "budget = \"redis://me:§@store.example.org\"",
    "web = { token = \"§\" }",
    "web_token = \"§\"\nwebtoken = \"§\"",
    "srs = { domain = \"nodot\", secret = \"§\" }",
    "srs = { secrets = [\"§\"] }",
    "dkim = { domain = \"example.org\", key = \"\"\"-----BEGIN\n§\n\"\"\", selector = 5 }",
    "dnsbl = { lists = [\"a§b0123456789.zen.dq.spamhaus.net=127\"], x = 1 }",
    "restrictions = [\"reject_rbl_client a§b0123456789.zen.dq.spamhaus.net\", \"permitt\"]",
    "admin = 5 # was: password = §",
    "nonsense = \"§\"\n[more]\nnonsense = [1, \"§\"]",
    "auth = { user = \"x\", token = { command = [\"/bin/token\", \"§\"], usr = 1 } }",
    "relay_auth = { user = \"x\", token = { command = [\"/bin/token\", \"§\"], usr = 1 } }",
    "relayhost = \"mail.example.org:587 me:§\"",
    "relayhost = [\"a.example.org\", \"[mail.example.org] me:§\"]",
    "auth = { user = \"me:§\" }",
    "relay_auth = { user = \"me:§\", password_file = \"/p\" }",
    "auth = { user = \"x\", password_file = \"§\" }",
    "relay_auth = { user = \"x\", password_file = \"§\" }",
    "auth = { user = \"x\", token = { file = \"§\" } }",
    "relay_auth = { user = \"x\", token = { command = \"/bin/token --secret=§\" } }",
    "auth = { user = \"x\", token = { command = \"/bin/token §\" } }",
    "transports.a = { type = \"pipe\", command = [\"/bin/x\", \"--password\", \"§\"], nonsense = 1 }",
    "[transports.a]\ntype = \"pipe\"\ncommand = [\"/bin/x\", \"--header\", \"Authorization: Bearer §\"]\nnonsense = 1",
];

/// The same in the place of an address or of a file.
const PLACES: [&str; 18] = [
    "relayhost = \"[mail.example.org]:587:me:§\"",
    "relayhost = \"[mail.example.org]:587 user=me pass=§\"",
    "budget = { store = \"redis://§@store.example.org/0\", nodes = 2 }",
    "budget = { store = \"redis://store.example.org/0?password=§\", nodes = 2 }",
    "budget = { store = \"redis://store.example.org?pass=§\", nodes = 2 }",
    "budget = { store = \"redis://store.example.org:1/§\", nodes = 2 }",
    "budget = { store = \"tcp://me:§@store.example.org\", nodes = 2 }",
    "budget = { store = \"redis+unix:///run/r.sock?pass=§\", nodes = 2 }",
    "budget = { store = \"unix:/run/r.sock?db=0&pass=§\", nodes = 2 }",
    "restrictions = [\"permit_mynetworks\", \"check_policy_service inet:me:§@policy.example.org:1\"]",
    "milters = [\"inet:me:§@milter.example.org:1\"]",
    "milters = \"inet:milter.example.org:1:me:§\"",
    "auth = { users = \"name:§\" }",
    "auth.users = \"name §\"",
    "auth = { users = [\"name:§\"] }",
    "auth = { users = { name = \"§\" } }",
    "tls = { certificate = \"c.pem\", key = \"-----BEGIN PRIVATE KEY-----\\n§\" }",
    "dkim = [{ domain = \"example.org\", selector = \"s\", key = \"-----BEGIN PRIVATE KEY----- §\" }]",
];

fn filled_in(text: &str, secret: &str) -> String {
    text.replace(HERE, secret)
}

/// What both programs say of a text.
fn told(text: &str) -> [String; 2] {
    let agent = Settings::parse(Some(Path::new("/etc/a.toml")), text);
    let relay = Config::parse(Path::new("/etc/r.toml"), text, "mail.example.org");
    [
        agent.err().map_or_else(String::new, |error| error.text),
        relay.err().map_or_else(String::new, |error| error.text),
    ]
}

#[test]
fn whatever_is_wrong_with_a_line_neither_program_quotes_its_secret() {
    for text in WRONG.into_iter().chain(PLACES) {
        let told = told(&filled_in(text, SECRET));
        assert!(told.iter().all(|it| !it.is_empty()), "{text}");
        for told in told {
            assert!(!told.contains(SECRET), "{text}\n{told}");
            assert!(
                told.contains('^') || told.contains("missing"),
                "{text}\n{told}"
            );
        }
    }
    // A right configuration shows no more of it.
    let right = filled_in(
        "budget = { store = \"redis://§@store.example.org:1/3\", password_file = \"/etc/p\", nodes = 2 }\n\
         dnsbl.lists = [\"§0123456789.zen.dq.spamhaus.net=127.0.0.2\"]",
        SECRET,
    );
    let config = Config::parse(Path::new("/etc/r.toml"), &right, "mail.example.org").unwrap();
    let all = config
        .settings()
        .into_iter()
        .map(|it| it.to_string() + "\n");
    let all: String = all.collect();
    assert!(!all.contains(SECRET), "{all}");
    assert!(all.contains("redis://***@store.example.org:1/3"), "{all}");
    assert!(all.contains("***.zen.dq.spamhaus.net"), "{all}");
    // What is none is quoted.
    for (text, shown) in [
        (
            "hostname = \"mail example\"",
            "1 | hostname = \"mail example\"",
        ),
        (
            "relayhost = mail.example.org",
            "1 | relayhost = mail.example.org",
        ),
        ("message_size = \"25 apples\"", "`25 apples`"),
        (
            "relayhsot = \"mail.example.org\"",
            "1 | relayhsot = \"mail.example.org\"",
        ),
    ] {
        for told in told(text) {
            assert!(told.contains(shown), "{text}\n{told}");
        }
    }
}

/// The same texts each time, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` ask for others.
fn drawn() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}

proptest! {
    #![proptest_config(drawn())]


    #[test]
    fn a_second_mistake_shows_no_more_of_it(
        which in 0..WRONG.len(),
        other in 0..WRONG.len(),
        at in 0usize..160,
        breaks in "[a-z\"'\\[\\]{}=,# \n]?",
        cut in any::<bool>(),
    ) {
        let whole = format!("{}\n{}", WRONG[which], WRONG[other]);
        let at = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at));
        let (before, after) = whole.split_at(at.unwrap_or_default());
        // Half of a name that has a key in it looks like any other name.
        let is_in_name = before.ends_with('a') || before.ends_with(HERE)
            || before.rsplit_once(HERE).is_some_and(|(_, it)| "b0123456789.".starts_with(it));
        prop_assume!(!is_in_name);
        let text = if cut { before.to_owned() } else { format!("{before}{breaks}{after}") };
        for told in told(&filled_in(&text, SECRET)) {
            prop_assert!(!told.contains(SECRET), "{}\n{}", text, told);
        }
    }
}

/// All that was said.
fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Nowhere is the secret; somewhere the mistake is told with its place.
fn is_discreet(what: &str, all: &[(&str, String)]) {
    for (from, text) in all {
        assert!(!text.contains(SECRET), "{what}: {from}: {text}");
    }
    let tells = |from: &str| {
        all.iter()
            .any(|(it, text)| *it == from && text.contains("config.toml:"))
    };
    for from in ["check", "check --json", "log", "mail"] {
        assert!(tells(from), "{what}: {from} tells no place: {all:#?}");
    }
}

/// Mistakes of each kind: a name, a form, what is no TOML, a URL.
const TYPED: [&str; 6] = [
    "passwrd = \"§\"",
    "password = §",
    "[relay.example.org]:587 me:§",
    "budget = { server = \"redis://:§@h\" }\nauth = \"§\"",
    "relayhost = \"smtp://me:§@h\"",
    "relayhost = \"smtp.example.org:587 me:§\"",
];

/// The mail that the program itself has written, when it has come.
fn notices(sink: &Sink, subject: &str) -> String {
    until("administrators are told", || {
        let journal = sink.journal();
        let all = journal.messages();
        let mut told = all
            .iter()
            .filter(|it| it.field("Subject").contains(subject));
        told.next().map(Received::text)
    })
}

#[test]
fn an_agent_tells_nobody_the_secret_in_a_wrong_line() {
    for typed in TYPED {
        let sink = Sink::start();
        let good = format!(
            "relayhost = \"{}\"\ntls = \"none\"\nadmin = \"admins@example.test\"\naliases = \"none\"",
            sink.nexthop()
        );
        let mut machine = Agent::start(&good);
        machine.daemon().stop();
        machine.configure(&filled_in(typed, SECRET));
        machine.run();
        let mail = notices(&sink, "configuration of the mail agent");
        let ask = |words: &[&str]| said(&machine.admin(words));
        let all = [
            ("check", ask(&["check"])),
            ("check --json", ask(&["check", "--json"])),
            ("status", ask(&["status"])),
            ("status --json", ask(&["status", "--json"])),
            ("config", ask(&["config"])),
            ("config --all", ask(&["config", "--all"])),
            ("explain", ask(&["explain", "root"])),
            (
                "provision",
                ask(&[
                    "provision",
                    "--answers",
                    SECRET,
                    "--directory",
                    "/nonexistent",
                ]),
            ),
            ("mailq", machine.mailq()),
            (
                "sendmail",
                said(&machine.sendmail(&["a@example.net"], "Subject: x\n\ny\n")),
            ),
            ("mail", mail),
            ("log", machine.daemon().log()),
        ];
        is_discreet(typed, &all);
    }
}

#[test]
fn a_relay_tells_nobody_the_secret_in_a_wrong_line() {
    for typed in TYPED {
        let (sink, page) = (Sink::start(), free_address());
        let good = format!(
            "web = \"{page}\"\nrelayhost = \"{}\"\nadmins = [\"admins@far.example\"]\nmaildir = \"none\"\n",
            sink.nexthop()
        );
        let mut relay = Smarthost::start(&good);
        let token = until("there is a token", || {
            Some(relay.admin(&["web", "token"])).filter(|told| told.status.success())
        });
        let token = said(&token).trim().to_owned();
        relay.configure(&filled_in(typed, SECRET));
        let reload = said(&relay.admin(&["reload"]));
        assert!(reload.contains("config.toml:"), "{reload}");
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let see = |path: &str| request(page, "GET", path, &bearer, "").body;
        let ask = |words: &[&str]| said(&relay.admin(words));
        let of_running = [
            ("reload", reload),
            ("page", see("/")),
            ("health", see("/health")),
            ("metrics", see("/metrics")),
            ("status of the running one", ask(&["status"])),
        ];
        relay.daemon().stop();
        relay.run();
        let mail = notices(&sink, "configuration");
        let ask = |words: &[&str]| said(&relay.admin(words));
        let mut session = Session::greeted(relay.address());
        session.delivers(
            "a@example.org",
            &["x@far.example"],
            b"Subject: own\r\n\r\nx\r\n",
        );
        let all = [
            ("check", ask(&["check"])),
            ("check --json", ask(&["check", "--json"])),
            ("status", ask(&["status"])),
            ("status --json", ask(&["status", "--json"])),
            ("config", ask(&["config"])),
            ("config --all", ask(&["config", "--all"])),
            ("explain", ask(&["explain", "--to", "x@far.example"])),
            ("queue", ask(&["queue", "list"])),
            ("provision", ask(&["provision", "--answers", SECRET])),
            ("mail", mail),
            ("log", relay.daemon().log()),
        ];
        is_discreet(typed, &[&of_running[..], &all[..]].concat());
    }
}

#[test]
fn a_password_that_was_put_into_a_table_or_taken_over_is_shown_by_nobody() {
    let sink = Sink::start();
    let mut relay = Smarthost::prepare("");
    let lines = format!(
        "password = {SECRET}\nauth: \"{SECRET}\nrelay smtp://me:{SECRET}@mail.example.org\n\
         bad name: smtp://me:{SECRET}@mail.example.org\n"
    );
    relay.file("aliases", &lines);
    relay.file("virtual", &lines);
    relay.file("access", &lines);
    relay.configure(&format!(
        "relayhost = \"{}\"\nadmins = [\"admins@far.example\"]\nvirtual = [\"virtual\"]\n\
         restrictions = [\"check_client_access access\"]\n\
         domains = {{ local = [\"example.org\"], virtual = [\"example.com\"] }}\n",
        sink.nexthop()
    ));
    let config = fs::read_to_string(relay.config()).unwrap_or_default();
    let config = config.replace("machine.aliases", "aliases");
    tests::identity::write(&relay.config(), config);
    relay.run();
    let check = said(&relay.admin(&["check"]));
    assert!(check.contains("aliases:"), "{check}");
    for text in [check, relay.daemon().log()] {
        assert!(!text.contains(SECRET), "{text}");
    }

    // And what other programs' files have.
    let root: PathBuf = relay.directory().join("root");
    let main = format!(
        "relayhost = [mail.example.org]:587\nsmtp_sasl_auth_enable = yes\n\
         smtp_sasl_password_maps = static:me:{SECRET}\nsmtp_pass = {SECRET}\n\
         smtp_tls_key_file = smtp://me:{SECRET}@h\n\
         canonical_maps = inline:{{ {{ a = smtp://u:{SECRET}@h }} }}\n"
    );
    let ssmtp = format!(
        "mailhub=mail.example.org\nAuthUser=me\nAuthPass {SECRET}\n{SECRET}\npass={SECRET}\n"
    );
    for (name, text) in [("postfix/main.cf", main), ("ssmtp/ssmtp.conf", ssmtp)] {
        let file = root.join("etc").join(name);
        assert!(
            file.parent()
                .is_some_and(|it| fs::create_dir_all(it).is_ok())
        );
        tests::identity::write(&file, text);
    }
    let machine = Agent::prepare("");
    let shown = |path: &Path| path.display().to_string();
    let from = |program| machine.admin(&["import", "--from", program, "--root", &shown(&root)]);
    for output in [
        relay.admin(&["import", &shown(&root.join("etc/postfix"))]),
        from("postfix"),
        from("ssmtp"),
    ] {
        let text = said(&output);
        assert!(!text.is_empty());
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn what_was_typed_as_a_secret_is_repeated_by_no_message_about_the_command_line() {
    let machine = Agent::prepare("relayhost = \"127.0.0.1:1\"\ntls = \"none\"\n");
    let relay = Smarthost::prepare("hostname = \"mail.example.test\"\n");
    let sendmail = |words: &[&str]| machine.sendmail(words, "Subject: x\n\ny\n");
    let password = format!("--password={SECRET}");
    let [attached, key, login] = [
        format!("-P{SECRET}"),
        format!("password={SECRET}"),
        format!("user:{SECRET}@host.example"),
    ];
    for (what, output) in [
        ("mailq", sendmail(&["-bp", &password])),
        ("mailq", sendmail(&["-bp", &attached])),
        ("mailq", sendmail(&["-bp", "--password", SECRET])),
        ("newaliases", sendmail(&["-bi", &key])),
        ("flush", sendmail(&["-q", &login])),
        ("nobody", sendmail(&[&password])),
        ("nobody", sendmail(&["-f", &login, &attached])),
        ("check", machine.admin(&["check", &password])),
        ("check", machine.admin(&["check", &attached])),
        ("pin", machine.admin(&["pin", &login])),
        ("pin", machine.admin(&["pin", &format!("smtp://{login}")])),
        ("init", machine.admin(&["init", "--yes", &key])),
        (
            "init",
            machine.admin(&["init", "--yes", &format!("relayhost={login}")]),
        ),
        ("check", relay.admin(&["check", &password])),
        ("init", relay.admin(&["init", "--yes", &key])),
        ("test", relay.admin(&["test", &login, &key])),
    ] {
        let told = said(&output);
        assert!(
            !output.status.success() && !told.is_empty(),
            "{what}: {told}"
        );
        assert!(!told.contains(SECRET), "{what}: {told}");
    }
}
