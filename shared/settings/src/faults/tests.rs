use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::{OneOrMany, Span, first, syntax::MOST};

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    #[serde(alias = "admin")]
    admins: OneOrMany<String>,
    size: Option<u32>,
    waits: OneOrMany<Span>,
    peer: Option<Peer>,
    wanted: Vec<Wanted>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Peer {
    #[expect(dead_code, reason = "only its form matters")]
    user: u8,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[expect(dead_code, reason = "only its form matters")]
    name: String,
    #[expect(dead_code, reason = "only its form matters")]
    every: Option<Span>,
}

/// Two that must not stand together, and one that is about two others.
fn sense(sample: Sample) -> Result<Sample, Wrong> {
    let admins = sample.admins.0.iter().enumerate();
    let mut twice = admins.filter(|(index, it)| sample.admins.0[..*index].contains(it));
    if let Some((index, admin)) = twice.next() {
        return Err(Wrong::of(&["admins"], format!("{admin} twice")).item(index));
    }
    if sample.size.is_none() && !sample.waits.0.is_empty() {
        return Err(Wrong::of(&["waits"], "set size").with(&["size"]));
    }
    Ok(sample)
}

fn told(texts: &[&str]) -> Vec<String> {
    let names = ["a", "b", "c"].iter().map(PathBuf::from);
    let texts = texts.iter().map(|text| (*text).to_owned());
    let layers: Vec<_> = names.zip(texts).collect();
    let error = read(&layers, &[("admin", "admins")], sense).map(drop);
    let text = error.err().map_or_else(String::new, |error| error.text);
    let all = text.split("\n\n").filter(|it| !it.is_empty());
    all.map(str::to_owned).collect()
}

/// The place and the words of each, without the line that is shown.
fn heads(texts: &[&str]) -> Vec<String> {
    let all = told(texts).into_iter();
    all.map(|it| it.lines().next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_fault_is_told_at_once_each_in_its_place() {
    let text = "admins = [\"x\", \"y\", \"x\"]\n\
                sise = 5\n\
                waits = [\"1d\", \"2\", \"3h\", 4]\n\
                [peer]\n\
                user = \"root\"\n\
                [[wanted]]\n\
                name = \"one\"\n\
                [[wanted]]\n\
                name = \"two\"\n\
                every = \"never\"\n\
                what is this\n";
    let heads = heads(&[text]);
    let expected = [
        "a:1:21: x twice",
        "a:2:1: unknown setting `sise`; did you mean `size`?",
        "a:3:16: `2` is not",
        "a:3:27: `4` is not",
        "a:5:8: \"root\" does not fit here; write a whole number from 0 to 255",
        "a:10:9: `never` is not",
        "a:11:",
    ];
    assert_eq!(heads.len(), expected.len(), "{heads:#?}");
    for (head, expected) in heads.iter().zip(expected) {
        assert!(head.starts_with(expected), "{head}: {expected}");
    }
    // Of a list the item is underlined, and not the whole.
    let item = &told(&[text])[2];
    assert!(item.ends_with("\n  |                ^^^"), "{item}");
}

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
struct Ranged {
    many: Option<crate::form::Number>,
    free: Option<u64>,
    wait: Option<Listed>,
    name: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(try_from = "String")]
struct Listed;

impl TryFrom<String> for Listed {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("`{text}` is none; write \"1/day\""))
    }
}

#[test]
fn what_is_to_be_written_in_place_of_another_type_is_what_the_setting_may_be() {
    const MANY: crate::form::Form<crate::form::Number> = crate::form::Form::open("many").some();
    for (text, told) in [
        (
            "many = \"5\"",
            "a:1:8: \"5\" does not fit here; write a number from 1 to 1000000",
        ),
        (
            "many = true",
            "a:1:8: `true` does not fit here; write a number from 1 to 1000000",
        ),
        (
            "free = \"5\"",
            "a:1:8: \"5\" does not fit here; write a whole number",
        ),
        ("wait = 5", "a:1:8: `5` is none; write \"1/day\""),
        (
            "name = 5",
            "a:1:8: `5` is not text; put it in double quotes: \"5\"",
        ),
    ] {
        let layers = [("a".into(), text.to_owned())];
        let made = read(&layers, &[], |ranged: Ranged| {
            MANY.read_or(ranged.many, crate::form::Number(1))
        });
        let error = made.unwrap_err().text;
        assert!(error.starts_with(told), "{text}: {error}");
        assert!(!error.contains("9223372036854775807"), "{text}: {error}");
    }
}

#[test]
fn what_only_follows_from_another_fault_is_not_told() {
    for (text, expected) in [
        // `waits` wants a size, which there would be.
        ("size = \"x\"\nwaits = \"1d\"", &["a:1:8: "][..]),
        ("sise = 1\nwaits = \"1d\"", &["a:1:1: "]),
        ("size = 1 2\nwaits = \"1d\"", &["a:1:8: "]),
        ("size 1\nwaits = \"1d\"", &["a:1:6: "]),
        ("waits = \"1d\"", &["a:1:1: set size"]),
        // A table is no shorter for what was wrong in it.
        ("[peer]\nusr = 1", &["a:2:1: "]),
        ("[peer]\nuser 1", &["a:2:6: "]),
        ("[peer]", &["a:1:1: the setting `user` is missing"]),
        (
            "wanted = [{ name = 1 }, {}, { name = \"x\", evry = 1 }]",
            &["a:1:20: ", "a:1:25: the setting `name`", "a:1:43: "],
        ),
        ("admin = \"x\"\nadmins = \"y\"", &["a:2:1: duplicate"]),
        ("size = 1\nsize = 2\nsize = 3", &["a:2:1: ", "a:3:1: "]),
    ] {
        let heads = heads(&[text]);
        assert_eq!(heads.len(), expected.len(), "{text}: {heads:#?}");
        for (head, expected) in heads.iter().zip(expected) {
            assert!(head.starts_with(expected), "{text}: {head}: {expected}");
        }
    }
}

#[test]
fn each_of_several_files_is_looked_into_and_what_is_wrong_together_has_its_place() {
    let heads = heads(&[
        "admin = [\"x\", \"x\"]\nbad = 1",
        "\nwaits = [\"1d\"]\nnone",
        "# é\nsize = \"x\"\nwaits = [\"2\"]",
    ]);
    let expected = [
        "a:1:15: x twice",
        "a:2:1: ",
        "b:3:5: ",
        "c:2:8: ",
        "c:3:10: ",
    ];
    assert_eq!(heads.len(), expected.len(), "{heads:#?}");
    for (head, expected) in heads.iter().zip(expected) {
        assert!(head.starts_with(expected), "{head}: {expected}");
    }
}

#[test]
fn very_many_faults_are_told_up_to_a_bound_and_of_a_very_long_text_the_first() {
    let many = (0..500).map(|number| format!("unknown{number} = 1"));
    let many = many.collect::<Vec<_>>().join("\n");
    let all = told(&[&many]);
    assert_eq!(all.len(), MOST + 1);
    assert!(all[MOST].contains("there may be more"), "{}", all[MOST]);
    let unread = "no\n".repeat(500);
    assert_eq!(told(&[&unread]).len(), MOST + 1);
    let long = format!("# {}\na = 1\nb = 1\n", "x".repeat(256 * 1024));
    assert_eq!(told(&[&long]).len(), 1);
    let list = format!("waits = [{}\"no\"]", "\"1d\",".repeat(20_000));
    assert_eq!(heads(&[&list])[0].split(':').nth(2), Some("100010"));
}

#[test]
fn a_log_hears_the_first_and_how_many_others_there_are() {
    let fault = |text: &str| crate::last_good::Fault {
        text: text.to_owned(),
        remembered: true,
    };
    let all = told(&["bad = 1\nworse = 2\nno"]).join("\n\n");
    assert_eq!(first(&all).1, 2);
    let summary = fault(&all).summary();
    assert!(
        summary.starts_with("a:1:1: ") && summary.ends_with(" (and 2 more)"),
        "{summary}"
    );
    assert!(!summary.contains('\n'), "{summary}");
    let one = told(&["bad = 1"]).concat();
    assert_eq!(Some(&*fault(&one).summary()), one.lines().next());
}
