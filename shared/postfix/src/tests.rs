//! Values as postconf shows them, and values without end.

use crate::{Settings, expand::Expanded};

fn value(more: &str, of: &str) -> Expanded {
    let more = format!("{more}asked = {of}\n");
    Settings::read(&more, "mx.example.org").expanded("asked")
}

#[test]
fn names_choices_and_comparisons_are_those_of_postconf() {
    let more = "a = x\nempty =\nindirect = $empty\ncompatibility_level = 3.6\nlist = $a, ${a}\n";
    for (written, wanted) in [
        ("$a ${a} $(a) $$a", "x x x $a"),
        ("${a?y}${empty?y}${indirect?y}${none?y}", "y"),
        ("${a?{y}:{z}}${empty?{y}:{z}}${none?{y}:{z}}", "yzz"),
        ("[${a:y}] ${empty:y} ${none:{y z}}", "[] y y z"),
        (
            "${{$compatibility_level} <level {2} ? {subnet} : {host}}",
            "host",
        ),
        (
            "${{$compatibility_level} >=level {3.10} ? {new} : {old}}",
            "old",
        ),
        ("${{$a} == {x} ? {yes} : {no}}", "yes"),
        ("${{10} < {9} ? {text} : {number}}", "number"),
        ("$list", "x, x"),
        ("$mydomain", "example.org"),
        ("a$a-b", "ax-b"),
    ] {
        let found = value(more, written);
        assert_eq!(found.text, wanted, "{written}");
        assert!(found.unknown.is_empty() && !found.endless, "{written}");
    }
    let unknown = value("", "[$nobody]$too");
    assert_eq!(unknown.text, "[]");
    assert_eq!(unknown.unknown.len(), 2);
}

#[test]
fn settings_that_name_each_other_without_end_are_cut_and_it_is_told() {
    let all = "$a".repeat(5000);
    for text in [
        "a = $b\nb = $a\n".to_owned(),
        "a = $a\n".to_owned(),
        format!("a = {all}\n"),
        format!("a = $b$b$b$b\nb = {}\n", "x".repeat(1 << 19)),
        format!("a = {}x", "${a?".repeat(50_000)),
    ] {
        let found = value(&text, "$a");
        // What is never closed is no setting; it only has to end.
        let told = found.endless || !found.unknown.is_empty() || text.contains('?');
        assert!(told, "{} bytes: {text:.20}", text.len());
        assert!(found.text.len() <= 1 << 20);
    }
}
