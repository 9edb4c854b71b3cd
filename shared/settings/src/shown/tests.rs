use proptest::prelude::*;
use serde::Deserialize;

use crate::{OneOrMany, faults, table};

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    relayhost: OneOrMany<String>,
    size: u32,
    key: Option<String>,
    #[serde(deserialize_with = "table")]
    auth: Login,
}

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
struct Login {
    user: String,
    password_file: Option<String>,
}

fn told(text: &str) -> String {
    let layers = [("f".into(), text.to_owned())];
    let made = faults::read(&layers, &[], |sample: Sample| {
        match sample.relayhost.0.first() {
            Some(host) if host.contains(':') => Err(faults::Wrong::of(
                &["relayhost"],
                format!(
                    "`{}` is no host, \"{host}\" is none, nor is {host}",
                    host.escape_debug()
                ),
            )),
            _ => Ok(sample),
        }
    });
    made.err().map_or_else(String::new, |error| error.text)
}

/// The line that is shown, and the marks below it.
fn shown(text: &str) -> (String, String) {
    let told = told(text);
    let lines: Vec<_> = told.lines().collect();
    let bare = |line: &str| line.split_once("| ").map_or("", |(_, it)| it).to_owned();
    (bare(lines[2]), bare(lines[3]))
}

#[test]
fn a_line_is_shown_without_its_secret_and_the_mark_stands_under_its_place() {
    for (text, line, marks) in [
        (
            "auth = { password = \"s3cret\", usr = \"x\" }",
            "auth = { password = ***, usr = \"x\" }",
            "         ^^^^^^^^",
        ),
        (
            "auth = { user = \"x\", passwrd = \"s3cret\", size = 1 }",
            "auth = { user = \"x\", passwrd = ***, size = *** }",
            "                     ^^^^^^^",
        ),
        ("auth = \"s3cret\"", "auth = ***", "       ^^^"),
        (
            "[auth]\npassword = 5 5cret",
            "password = ***",
            "           ^^^",
        ),
        (
            "relayhost = \"smtp://u:s3cret@host\"",
            "relayhost = \"smtp://***@host\"",
            "^^^^^^^^^",
        ),
        (
            "size = \"starttls,password=s3cret\"",
            "size = \"starttls,password=***\"",
            "       ^^^^^^^^^^^^^^^^^^^^^^^",
        ),
        (
            "size = [\"pgsql:token=s3cret x\", \"key=/etc/key\"]",
            "size = [\"pgsql:token=***\", \"key=/etc/key\"]",
            "       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        ),
        ("s3cret", "***", "   ^"),
        ("[mail.example]:587 u:s3cret", "***", "^^^"),
        ("nonsense = \"s3cret\"", "nonsense = ***", "^^^^^^^^"),
        ("size = 5 # pw: s3cret\nsize = 6", "size = 6", "^^^^"),
        (
            "size = \"x\" # pw: s3cret",
            "size = \"x\" #***",
            "       ^^^",
        ),
        // And what is none stays.
        ("size = x", "size = x", "       ^"),
        ("sise = 5", "sise = 5", "^^^^"),
        (
            "auth = { usr = \"x\" }",
            "auth = { usr = \"x\" }",
            "         ^^^",
        ),
        (
            "auth = { password_file = 1, user = 2 }",
            "auth = { password_file = ***, user = 2 }",
            "                         ^^^",
        ),
        (
            "auth = { password_file = \"/etc/relay\", user = 2 }",
            "auth = { password_file = \"/etc/relay\", user = 2 }",
            "                                              ^",
        ),
        (
            "relayhost = mail.example",
            "relayhost = mail.example",
            "            ^^^^^^^^^^^^",
        ),
    ] {
        let (shown, marked) = shown(text);
        assert_eq!(
            (shown.as_str(), marked.as_str()),
            (line, marks),
            "{text}\n{}",
            told(text)
        );
    }
}

/// Where `@` stands for the secret.
const WRONG: [&str; 47] = [
    "auth = { \"x password=@\" = 1, size = 1 }",
    "relayhost = [\"a:1\", \"host:x;user=u;p'asswd=@\"]",
    "relayhost = \"host:x?password=@\"",
    "relayhost = [\"a:1\", \"host:x;user=u;passwd=@\"]",
    "size = \"starttls,secret=@\"",
    "auth = { user = \"token=@\", size = 1 }",
    "size = \"\"\"\nx\nkey=@\"\"\"",
    "auth = { password = \"@\", usr = \"x\" }",
    "auth = { user = \"x\", passwrd = \"@\" }",
    "auth = \"@\"",
    "auth = [\"@\"]",
    "password = \"@\"",
    "password = @",
    "password @",
    "password: @",
    "[auth]\npassword = 5 @",
    "[auth]\nuser = \"x\"\npass word = \"@\"",
    "[auth\nuser = \"x\"\npassword = \"@\"\n[x]\ny = 1",
    "[auth]\nsecret = \"@\" \"x\"",
    "password = \"\"\"\n@\n",
    "password = \"\"\"\n@\nsize = 5\n@\n",
    "password = \"\"\"\n@\n\"\"\"\nsize = x",
    "password = [\n \"@\",\n",
    "password = '@",
    "auth = { user = \"x\", password = \"@\"",
    "auth = { user = x, token = \"@\" }\nsize = 6",
    "relayhost = \"smtp://u:@@host\"",
    "relayhost = \"smtp://u:@@host",
    "relayhost = [\"a:1\", \"u:@@host:587\"]",
    "relayhost = \"redis://:@@h\", \"x\"",
    "relayhost = \"0@0123456789abc.zen.dq.spamhaus.net\" x",
    "relayhost = \"0@0123456789abc.zen.dq.spamhaus.net:1\"",
    "@",
    "mail.example\n@\n",
    "[mail.example.org]:587 user:@",
    "mail.example.org:user:@",
    "AuthUser=x\nAuthPass=@",
    "machine mail.example login x password @",
    "size = x # password is @",
    "size = \"x\" # token @",
    "nonsense = \"@\"",
    "[nonsense]\nmore = [1, \"@\"]",
    "nonsense.\"a.b\" = { c = \"@\" }",
    "auth = { token = { command = [\"/bin/x\", \"@\"] }, usr = 5 }",
    "auth = { password_file = \"@\", usr = 5 }",
    "key = \"@\" 5",
    "size = 5 password = \"@\"",
];

#[test]
fn a_secret_is_shown_of_no_wrong_file() {
    for text in WRONG {
        let text = text
            .replace('@', "s3cretW0rd")
            .replace("dW0rds3cretW0rdhost", "dW0rd@host");
        let text = text.replace("s3cretW0rds3cretW0rd", "s3cretW0rd@");
        let told = told(&text);
        assert!(!told.is_empty(), "{text}");
        assert!(!told.contains("3cretW0"), "{text}\n{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_secret_is_shown_of_no_file_wherever_that_is_broken_once_more(
        which in 0..WRONG.len(),
        other in 0..WRONG.len(),
        secret in "[a-zA-Z][0-9][a-zA-Z0-9]{4,10}[a-zA-Z]",
        sign in "[!%/+]?",
        at in 0usize..200,
        breaks in "[a-z\"'\\[\\]{}=,# \n]?",
        cut in any::<bool>(),
    ) {
        let sign = if [which, other].iter().any(|it| WRONG[*it].contains(".dq.")) { "" } else { &sign };
        let secret = format!("{secret}{sign}q");
        let filled = |text: &str| {
            let text = text.replace("@@", "@\u{0}").replace('@', &secret);
            text.replace('\u{0}', "@")
        };
        let mut text = format!("{}\n{}", filled(WRONG[which]), filled(WRONG[other]));
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        // Not within the secret, or the name that it is in.
        let name = secret.len().saturating_add("0123456789abc".len());
        let places = text.match_indices(&secret);
        let mut places = places.map(|(from, _)| from..from.saturating_add(name));
        let is_within = places.any(|it| it.start <= at && at <= it.end);
        if !is_within {
            if cut {
                text.truncate(at);
            } else {
                text.insert_str(at, &breaks);
            }
        }
        let told = told(&text);
        prop_assert!(!told.contains(&secret), "{}\n{}", text, told);
    }
}
