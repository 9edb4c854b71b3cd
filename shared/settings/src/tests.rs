use std::{path::Path, time::Duration};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use mail::nexthop::Nexthop;

mod in_layers {
    use std::path::PathBuf;

    use super::{
        super::faults,
        super::layers::{Layer, answers},
        super::rows::quote,
        *,
    };

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        hostname: Option<String>,
        #[serde(alias = "admin")]
        admins: OneOrMany<String>,
        retry: Option<Retry>,
    }

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Retry {
        minimal: Option<String>,
        maximal: Option<String>,
    }

    fn read(texts: &[&str]) -> Result<Sample, String> {
        let layers: Vec<Layer> = ["config.toml", "credential.toml", "debconf.toml"]
            .iter()
            .zip(texts)
            .map(|(name, text)| (PathBuf::from(name), (*text).to_owned()))
            .collect();
        faults::read(&layers, &[("admin", "admins")], Ok).map_err(|error| error.text)
    }

    #[test]
    fn what_a_file_leaves_open_the_next_one_decides_key_by_key() {
        let own = "admin = \"own\"\nretry.minimal = \"1m\"\n";
        let below = "hostname = \"h\"\nadmins = [\"a\", \"b\"]\n[retry]\nminimal = \"9m\"\nmaximal = \"9h\"\n";
        let both = read(&[own, below, "hostname = \"last\""]).unwrap();
        assert_eq!(both.hostname.as_deref(), Some("h"));
        assert_eq!(both.admins.0, ["own"], "a second name is the same key");
        let retry = both.retry.unwrap();
        assert_eq!(
            (retry.minimal.as_deref(), retry.maximal.as_deref()),
            (Some("1m"), Some("9h"))
        );
        let nobody = read(&["admins = []", "admin = \"a\""]).unwrap();
        assert_eq!(
            nobody.admins.0,
            <[String; 0]>::default(),
            "an empty list is an answer"
        );
        assert_eq!(read(&[]), Ok(Sample::default()));
    }

    #[test]
    fn a_mistake_is_told_in_its_file() {
        let told = read(&["", "\nhostnam = \"h\""]).unwrap_err();
        assert!(
            told.starts_with("credential.toml:2:1: unknown setting"),
            "{told}"
        );
    }

    #[test]
    fn answers_become_settings_and_cannot_become_anything_else() {
        let given = [
            "hostname=h",
            "admins= a,b  c ",
            "retry.minimal=",
            "retry.maximal=\"\\\u{7f}\n1",
        ];
        let text = answers(&given.map(str::to_owned)).unwrap();
        let expected = "hostname = \"h\"\nadmins = [\"a\", \"b\", \"c\"]\nretry.maximal = [\"\\\"\\\\\\u007F\", \"1\"]\n";
        assert_eq!(text, expected);
        for wrong in ["hostname", "host name=h", "x\ny=1"] {
            assert!(answers(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_back_as_it_was_given(words in proptest::collection::vec("[^\\s,]{1,9}", 0..4), text in ".*") {
            let read = |toml: &str| parse::<Sample>(Path::new("x"), toml).unwrap();
            let given = format!("admins={}", words.join(" , "));
            prop_assert_eq!(read(&answers(&[given]).unwrap()).admins.0, words);
            prop_assert_eq!(read(&format!("hostname = {}", quote(&text))).hostname.unwrap(), text);
        }
    }
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sample {
    hostname: String,
    #[serde(default)]
    relayhost: OneOrMany<Nexthop>,
    tls: Option<Tls>,
    lifetime: Option<Span>,
    message_size: Option<Size>,
    listen: Option<OneOrMany<Listen>>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Tls {
    StartTls,
    Wrapped,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Listen {
    address: String,
}

fn error(text: &str) -> String {
    parse::<Sample>(Path::new("/etc/x/config.toml"), text)
        .unwrap_err()
        .to_string()
}

#[test]
fn one_value_or_a_list_and_units_are_read() {
    let text = "hostname = \"h\"\nrelayhost = \"[a]:25\"\nlifetime = \"1d12h\"\nmessage_size = \"25MiB\"\nlisten = { address = \"x\" }";
    let sample: Sample = parse(Path::new("x"), text).unwrap();
    assert_eq!(sample.relayhost.0, [Nexthop::parse("[a]:25").unwrap()]);
    assert_eq!(sample.lifetime, Some(Span(Duration::from_hours(36))));
    assert_eq!(sample.message_size, Some(Size(25 * 1024 * 1024)));
    assert_eq!(
        sample.listen,
        Some(OneOrMany(vec![Listen {
            address: "x".into()
        }]))
    );
    let sample: Sample = parse(
        Path::new("x"),
        "hostname = \"h\"\nrelayhost = [\"a\", \"b:1\"]\nmessage_size = 5000",
    )
    .unwrap();
    assert_eq!(sample.relayhost.0.len(), 2);
    assert_eq!(sample.message_size, Some(Size(5000)));
}

#[test]
fn a_misspelt_setting_is_shown_in_its_line_with_the_right_word() {
    assert_eq!(
        error("# mail\nhostname = \"h\"\nrelay-host = \"a\"\n"),
        "/etc/x/config.toml:3:1: unknown setting `relay-host`; did you mean `relayhost`?\n  |\n3 | relay-host = \"a\"\n  | ^^^^^^^^^^"
    );
    assert!(error("hostname = \"h\"\nquux = 1").contains("known here: hostname, relayhost, tls"));
    assert!(
        error("hostname = \"h\"\ntls = \"starttsl\"")
            .contains("unknown value \"starttsl\"; did you mean `starttls`?")
    );
}

#[test]
fn every_kind_of_mistake_names_its_place_and_a_remedy() {
    for (text, place, remedy) in [
        ("hostname = 5", ":1:12:", "put it in double quotes: \"5\""),
        ("tls = \"wrapped\"", ":1:1:", "`hostname` is missing"),
        (
            "hostname = \"h\"\nlifetime = 30",
            ":2:12:",
            "written with its unit, such as \"30s\"",
        ),
        (
            "hostname = \"h\"\nlifetime = \"5 fortnights\"",
            ":2:12:",
            "written with its unit",
        ),
        (
            "hostname = \"h\"\nlifetime = \"99999999999999999w\"",
            ":2:12:",
            "longer than 100 years",
        ),
        (
            "hostname = \"h\"\nmessage_size = \"25 parsecs\"",
            ":2:16:",
            "\"25MiB\"",
        ),
        ("hostname = \"h\"\nmessage_size = -1", ":2:16:", "\"25MiB\""),
        (
            "hostname = \"h\"\nrelayhost = [\"a\", \"b:x\"]",
            ":2:13:",
            "from 1 to 65535",
        ),
        (
            "hostname = \"h\"\nrelayhost = \"[b\"",
            ":2:13:",
            "closing bracket",
        ),
        (
            "hostname = \"h\"\nlisten = { adress = \"x\" }",
            ":2:12:",
            "did you mean `address`?",
        ),
        ("hostname = \"h\n", ":1:", "double quote"),
        (
            "hostname = \"a\"\nhostname = \"b\"",
            ":2:1:",
            "duplicate key",
        ),
    ] {
        let message = error(text);
        assert!(
            message.starts_with(&format!("/etc/x/config.toml{place}")),
            "{text:?}: {message}"
        );
        assert!(message.contains(remedy), "{text:?}: {message}");
        assert!(message.ends_with('^'), "{message}");
    }
}

#[test]
fn a_check_after_parsing_marks_its_place_even_in_a_long_line() {
    let text = format!(
        "a = 1\nb = [{}\"here\", \"after\"]\n",
        "\"é\", ".repeat(200)
    );
    let start = text.find("\"here\"").unwrap();
    let message = error_at(Path::new("f"), &text, start..start + 6, "no").to_string();
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("f:2:1006: no"), "{message}");
    let shown = lines[2]
        .find("\"here\"")
        .map(|byte| lines[2][..byte].chars().count());
    assert_eq!(shown, lines[3].find("^^^^^^"), "{message}");
}

#[test]
fn a_span_is_printed_as_it_may_be_written() {
    for text in ["0s", "45s", "5m", "1d12h", "30d", "1h1s"] {
        assert_eq!(Span::try_from(text.to_owned()).unwrap().to_string(), text);
    }
}

proptest! {
    #[test]
    fn no_text_and_no_place_makes_the_error_itself_fail(text in ".{0,60}", start in 0usize..80, length in 0usize..80) {
        let _ = parse::<Sample>(Path::new("x"), &text);
        let message = error_at(Path::new("x"), &text, start..start + length, "what").to_string();
        prop_assert!(message.starts_with("x:"));
        let _ = (Span::try_from(text.clone()), Size::try_from(text));
    }
}

#[test]
fn files_that_the_units_hide_are_found_wherever_they_are_named() {
    let text = "a = \"/home/key\"\nb = [\"/etc/x\", \"hash:/tmp/table\"]\nc = { d = { e = \"unix:/var/tmp/s\" } }\n\
        f = \"/etc/tmp/x\"\ng = \"home/x\"\nh = \"see /tmp/x\"\ni = \"/run/user/0/x\"\nj = \"/tmpfile\"\nk = 5\n";
    let found = layers::hidden(&[("config.toml".into(), text.to_owned())]);
    let found: Vec<_> = found
        .iter()
        .map(|(key, path)| (key.as_str(), path.as_str()))
        .collect();
    let expected = [
        ("a", "/home/key"),
        ("b", "/tmp/table"),
        ("c.d.e", "/var/tmp/s"),
        ("i", "/run/user/0/x"),
    ];
    assert_eq!(found, expected);
}
