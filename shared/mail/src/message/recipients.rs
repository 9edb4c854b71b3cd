//! Recipients that a header names (`sendmail -t`), and the fields that never leave the machine.
//!
//! Contract: the recipients are exactly those of To, Cc and Bcc; or, in a resent message, those of
//! Resent-To, Resent-Cc and Resent-Bcc of the first block, which is the latest resending. Folded,
//! grouped, commented and quoted forms are all read.
//! RFC 5322 §3.6.3, §3.6.6.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashSet;

use crate::{
    address::{
        Mailbox,
        list::{self, BLIND, RECIPIENTS},
    },
    message::{Field, Header},
};

/// What [`extract`] finds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Named {
    /// In order.
    pub recipients: Vec<Mailbox>,
    /// What is no address; blind where its field is.
    pub problems: Vec<list::Problem>,
    /// Those of the recipients who may not be meant.
    pub doubts: Vec<list::Doubt>,
}

/// The recipients that the header names.
pub fn extract(header: &Header) -> Named {
    let mut named = Named::default();
    for field in fields(header) {
        let list = list::parse(field.body());
        named.doubts.extend(list.doubts());
        named
            .recipients
            .extend(list.entries.into_iter().map(|entry| entry.target));
        let blind = is_blind(field);
        let problems = list.problems.into_iter().map(|problem| list::Problem {
            blind: problem.blind || blind,
            ..problem
        });
        named.problems.extend(problems);
    }
    named
}

fn is_blind(field: &Field) -> bool {
    BLIND.iter().any(|name| field.is(name))
}

fn fields(header: &Header) -> Vec<&Field> {
    let resent: Vec<&Field> = first_block(header);
    if resent.is_empty() {
        return header
            .fields()
            .iter()
            .filter(|f| f.is("To") || f.is("Cc") || f.is("Bcc"))
            .collect();
    }
    resent
        .into_iter()
        .filter(|f| f.is("Resent-To") || f.is("Resent-Cc") || f.is("Resent-Bcc"))
        .collect()
}

/// The Resent- fields up to the first name that comes again, with which the block before it begins.
/// Where the fields of recipients alone come again, it is one block: no resending is without who
/// resent it. What servers wrote (Received) stands between two resendings all the same.
fn first_block(header: &Header) -> Vec<&Field> {
    let fields = || header.fields().iter().skip_while(|field| !is_resent(field));
    let mut names = HashSet::new();
    let together = fields().take_while(|field| !is_trace(field));
    let together = together.filter(|field| is_resent(field));
    let mut others = together.filter(|field| !RECIPIENTS.iter().any(|name| field.is(name)));
    let is_one = others.all(|field| names.insert(field.name().to_ascii_lowercase()));
    let mut block: Vec<&Field> = Vec::new();
    let mut seen = HashSet::new();
    let mut apart = !is_one;
    for field in fields() {
        apart |= is_trace(field);
        if !is_resent(field) {
            continue;
        }
        if !seen.insert(field.name().to_ascii_lowercase()) && apart {
            break;
        }
        block.push(field);
    }
    block
}

fn is_trace(field: &Field) -> bool {
    field.is("Received") || field.is("Return-Path")
}

fn is_resent(field: &Field) -> bool {
    let start = field.name().split_at_checked(7);
    start.is_some_and(|(start, _)| start.eq_ignore_ascii_case("Resent-"))
}

/// Removes what must not leave the machine: Bcc and Resent-Bcc (blind recipients), Return-Path and
/// Content-Length (the last delivery's business). How many fields went.
pub fn withhold(header: &mut Header) -> usize {
    let names = BLIND.iter().chain(&["Return-Path", "Content-Length"]);
    names.map(|name| header.remove(name)).sum()
}

/// Leaves no field that names blind recipients, on another field's line either: for a header that
/// is quoted as it was written.
pub fn show_no_blind(header: &mut Header) {
    header.remove_where(|field| {
        let list = list::parse(field.body());
        let entries = list.entries.iter().map(|entry| entry.blind);
        let mut blind = entries.chain(list.problems.iter().map(|problem| problem.blind));
        is_blind(field) || blind.any(|blind| blind)
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::conform;

    fn extracted(text: &str) -> Vec<String> {
        let named = extract(&Header::parse(text.as_bytes()));
        assert_eq!(named.problems, []);
        named.recipients.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn recipients_come_from_to_cc_and_bcc_in_all_their_forms() {
        let text = "From: x@x\r\nto: root, \"A, B\" <a@x>\r\nCC: g: c@x (d@x),\r\n e@x;\r\nBcc:\r\n f@x\r\nReply-To: no@x\r\n";
        assert_eq!(extracted(text), ["root", "a@x", "c@x", "e@x", "f@x"]);
        assert_eq!(extracted("Subject: To: a@x\r\n"), Vec::<String>::new());
    }

    #[test]
    fn a_resent_message_goes_to_its_latest_resent_recipients_alone() {
        let text = "Resent-From: a@x\r\nResent-To: new@x\r\nResent-Bcc: blind@x\r\nReceived: y\r\n\
                    Resent-From: b@x\r\nResent-To: old@x\r\nResent-Cc: older@x\r\nTo: first@x\r\n";
        assert_eq!(extracted(text), ["new@x", "blind@x"]);
        assert_eq!(
            extracted("Resent-From: a@x\r\nTo: first@x\r\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn blind_recipients_leave_no_trace() {
        let mut header = Header::parse(
            b"Bcc: a@x,\r\n b@x\r\nSubject: s\r\nRESENT-BCC : c@x\r\nbCC:\r\n d@x\r\nReturn-Path: <e@x>\r\nTo: t@x\r\n",
        );
        assert_eq!(withhold(&mut header), 4);
        assert_eq!(header.to_bytes(), b"Subject: s\r\nTo: t@x\r\n");
    }

    #[test]
    fn a_header_that_is_quoted_as_it_was_written_names_no_blind_recipient() {
        let mut header = Header::parse(
            b"To: a@x, b@@x\r\nBCC : hid@x\r\nCc: c@x Bcc: hid@x\r\nCc: d@x Bcc: hid@@x\r\nResent-Bcc: g:\r\n hid@x;\r\nSubject: s\r\n",
        );
        show_no_blind(&mut header);
        assert_eq!(header.to_bytes(), b"To: a@x, b@@x\r\nSubject: s\r\n");
    }

    #[test]
    fn every_address_that_stands_in_a_field_is_served_and_the_rest_is_told() {
        for (text, served, told) in [
            ("To: ops@x Cc: boss@x", "ops@x boss@x", ""),
            ("To: ops@x, Cc: boss@x", "ops@x boss@x", ""),
            ("To: <ops@x> Cc: <boss@x>", "ops@x boss@x", ""),
            ("To: <ops@x>Cc:<boss@x>", "ops@x boss@x", ""),
            ("To: Ops <ops@x> Cc: The Boss <boss@x>", "ops@x boss@x", ""),
            ("To: a@x b@x Cc: c@x d@x", "a@x b@x c@x d@x", ""),
            ("To: ops Cc: boss", "ops boss", ""),
            ("To: x@x\r\n Subject: s", "x@x", "Subject: s"),
            ("To: root\r\n Subject: s", "root", "Subject: s"),
            ("To: root\r\n List-Id: s", "root", "List-Id: s"),
            (
                "To: x@x\r\n Subject: disk: full",
                "x@x",
                "Subject: disk: full",
            ),
            ("To: ops@x:25", "ops@x", "25"),
            ("To: ops@x:", "ops@x", ""),
            ("To: <ops@x>:", "ops@x", ""),
            ("To: a@x (Ops, b@x", "a@x b@x", "Ops"),
            ("To: a@x [Ops, b@x", "a@x b@x", "Ops"),
            ("To: \"Bob <b@x>, c@x", "b@x c@x", ""),
            ("To: a@x, \"Ops <ops@x>", "a@x ops@x", ""),
            ("To: \"Bob b@x", "b@x", ""),
            ("To: ops@x Cc: Boss <boss@x>", "ops@x boss@x", ""),
            ("To: a@x> <b@x", "a@x b@x", ""),
            ("To: 'a@x> <b@x'", "", "'a@x> <b@x'"),
            ("To: a@x <b@x>", "b@x", ""),
            ("To: John a@x", "a@x", ""),
            ("To: John Q. Public a@x \"b c\" d@x", "a@x d@x", ""),
            ("To: root a@x", "a@x", "root"),
            ("To: x@ a@x", "a@x", "x@"),
            ("To: =?utf-8?Q?a=40x?=, b@x", "b@x", "=?utf-8?Q?a=40x?="),
            (
                "To: A <=?utf-8?b?YUB4?=>, b@x",
                "b@x",
                "A <=?utf-8?b?YUB4?=>",
            ),
            ("To: =?utf-8?q?a=40x.y?=, b@x", "b@x", "=?utf-8?q?a=40x.y?="),
            ("To: g: a@x; b@x", "a@x b@x", ""),
            ("To: g: a@x; Bob <b@x>, c@x", "a@x b@x c@x", ""),
            ("To: g: a@x; h: b@x; c@x", "a@x b@x c@x", ""),
            ("Bcc: b@x c: d@x", "b@x d@x", ""),
            ("Bcc: b@x my team: d@x, e@x;", "b@x d@x e@x", "my"),
            ("To: g: a@x, b@x; c@x", "a@x b@x c@x", ""),
            ("To: a@x: b@x;", "a@x b@x", ""),
            // A group's name of several words; without its end a line of another field.
            ("Cc: the\r\n cc: b@x, c@x;", "b@x c@x", ""),
            ("Cc: the\r\n cc: b@x;, d@x", "b@x d@x", ""),
            ("To: All\r\n sender: b@x (x);", "b@x", ""),
            ("Bcc: the\r\n to: b@x;", "b@x", ""),
            ("Cc: ops\r\n Cc: b@x", "ops b@x", ""),
            ("Cc: ops\r\n Cc: b@x; c@x", "ops b@x c@x", ""),
            ("Cc: ops\r\n Cc: b@x;\r\n To: c@x;", "ops b@x c@x", ""),
            ("To: My Team: a@x, b;, c@x", "a@x b c@x", ""),
            ("To: =?utf-8?Q?M=C3=BC,_(J.)?= <a@x>", "a@x", ""),
        ] {
            let header = Header::parse(format!("{text}\r\n").as_bytes());
            let named = extract(&header);
            let to: Vec<_> = named.recipients.iter().map(ToString::to_string).collect();
            let problems: Vec<_> = named.problems.iter().map(|p| p.text.as_str()).collect();
            assert_eq!(
                (to.join(" "), problems.join("|")),
                (served.to_owned(), told.into()),
                "{text}"
            );
            // What the header shows is what the envelope holds.
            let mut shown = header;
            conform::conform(&mut shown, "me", &|_| true);
            assert_eq!(extract(&shown).recipients, named.recipients, "{text}");
        }
    }

    #[test]
    fn a_bracket_that_is_never_closed_is_known() {
        for (text, unclosed) in [
            ("To: <a@x", "a@x"),
            ("To: Ann <a@x, <b@x>", "a@x"),
            ("Bcc: <a@x>, Bob <b@x", "b@x"),
            ("To: a@x> <b@x", "b@x"),
            ("To: <root", "root"),
            ("To: <a@x>, Bob <b@x>, c@x", ""),
        ] {
            let named = extract(&Header::parse(format!("{text}\r\n").as_bytes()));
            let told = named.doubts.iter().filter_map(|doubt| match doubt {
                list::Doubt::Unclosed(served) => Some(served),
                list::Doubt::Named(..) => None,
            });
            assert!(told.clone().all(|it| named.recipients.contains(it)));
            let told: Vec<_> = told.map(ToString::to_string).collect();
            assert_eq!(told.join(" "), unclosed, "{text}");
        }
    }

    #[test]
    fn a_blind_recipient_on_another_fields_line_is_served_and_shown_to_nobody() {
        for (text, served, shown) in [
            ("To: ops@x Bcc: boss@x", "ops@x boss@x", "ops@x"),
            ("To: <ops@x> Bcc: <boss@x>", "ops@x boss@x", "ops@x"),
            ("To: ops@x Bcc: The Boss <boss@x>", "ops@x boss@x", "ops@x"),
            (
                "To: ops@x\r\n Bcc: b@x, c@x; d@x",
                "ops@x b@x c@x d@x",
                "ops@x",
            ),
            ("To: ops@x bcc: b@x Cc: c@x", "ops@x b@x c@x", "ops@x c@x"),
            ("Cc: Bcc: b@x, c@x", "b@x c@x", ""),
        ] {
            let mut header = Header::parse(format!("{text}\r\n").as_bytes());
            let names = |header: &Header| {
                let named = extract(header).recipients;
                let named: Vec<_> = named.iter().map(ToString::to_string).collect();
                named.join(" ")
            };
            assert_eq!(names(&header), served, "{text}");
            conform::conform(&mut header, "me", &|_| true);
            assert_eq!(names(&header), shown, "{text}");
        }
    }

    #[test]
    fn two_fields_of_recipients_in_one_resending_are_both_served() {
        for text in [
            "Resent-To: a@x\r\nResent-Bcc: b@x\r\nResent-Bcc: c@x\r\n",
            "Resent-From: f@x\r\nResent-To: a@x\r\nResent-To: b@x\r\nResent-Cc: c@x\r\nReceived: y\r\n\
             Resent-From: g@x\r\nResent-To: old@x\r\n",
            "Resent-To: a@x\r\nX-Mailer: y\r\nResent-To: b@x\r\nSubject: s\r\nResent-Cc: c@x\r\n",
            "Resent-From: f@x\r\nResent-To: a@x\r\nX: y\r\nResent-To: b@x\r\nTo: t@x\r\nResent-Cc: c@x\r\n\
             Received: y\r\nResent-To: old@x\r\n",
        ] {
            assert_eq!(extracted(text), ["a@x", "b@x", "c@x"], "{text}");
        }
        let two = "Resent-To: a@x\r\nResent-From: f@x\r\nResent-To: old@x\r\nResent-From: g@x\r\n";
        assert_eq!(extracted(two), ["a@x"]);
        let two = "Resent-From: f@x\r\nResent-To: a@x\r\nX: y\r\nResent-From: g@x\r\nResent-To: old@x\r\n";
        assert_eq!(extracted(two), ["a@x"]);
    }

    #[test]
    fn an_address_before_a_name_is_served_and_one_in_its_place_is_told() {
        for (text, served, told) in [
            ("Bcc: h@x Joe <i@x>", "h@x i@x", ""),
            ("Bcc: h@x joe <i@x>", "h@x i@x", ""),
            ("To: h@x\r\n \"Joe\" <i@x>", "h@x i@x", ""),
            ("Cc: h@x =?utf-8?q?j?= <i@x>", "h@x i@x", ""),
            ("Cc: Ann <h@x> i@x Joe <j@x>", "h@x i@x j@x", ""),
            ("Cc: h@x i@x <j@x>", "h@x i@x j@x", ""),
            ("To: h@x Joe <@r:i@x>", "h@x i@x", ""),
            ("To: h@x <i@x>", "i@x", "h@x"),
            ("To: i@x <i@X>, J@x <J@x>", "i@X J@x", ""),
        ] {
            let named = extract(&Header::parse(format!("{text}\r\n").as_bytes()));
            let to: Vec<_> = named.recipients.iter().map(ToString::to_string).collect();
            assert_eq!(named.problems, [], "{text}");
            assert_eq!(to.join(" "), served, "{text}");
            assert_eq!(doubted(&named), told, "{text}");
        }
    }

    /// Who stands in the place of a name.
    fn doubted(named: &Named) -> String {
        let told = named.doubts.iter().filter_map(|doubt| match doubt {
            list::Doubt::Named(name, _) => Some(name.as_str()),
            list::Doubt::Unclosed(_) => None,
        });
        told.collect::<Vec<_>>().join(" ")
    }

    /// Each `@` is an address of its own.
    const FORMS: &[&str] = &[
        "@",
        "<@>",
        "Joe <@>",
        "joe <@>",
        "\"Joe, J.\" <@>",
        "=?utf-8?q?j?= <@>",
        "(c) @",
        "@ (c)",
        "my team: @;",
        "team: @, Joe <@>;",
        "Ops: night <@>",
        "@ Joe: <@>",
        "<smtp:@>",
        "@ <@>",
        "<@",
        "@>",
        "x:y: @",
    ];
    const LABELS: &[&str] = &[
        "Bcc:",
        "bcc :",
        "\"Bcc\":",
        "Bcc (c):",
        "Bcc:Bcc:",
        "Resent-Bcc:",
    ];
    const BETWEEN: &[&str] = &[" ", ", ", "; ", "\r\n ", "\r\n\t", ",\r\n "];

    /// The words with addresses of their own, which begin so.
    fn filled(words: &[(&str, &str)], start: &str, addresses: &mut Vec<String>) -> String {
        let mut out = String::new();
        for (between, form) in words {
            out += between;
            for (index, part) in form.split('@').enumerate() {
                if index > 0 {
                    addresses.push(format!("{start}{}@d.example", addresses.len()));
                    out += addresses.last().unwrap();
                }
                out += part;
            }
        }
        out
    }

    fn words() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
        let word = (prop::sample::select(BETWEEN), prop::sample::select(FORMS));
        prop::collection::vec(word, 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn however_it_is_written_nobody_behind_bcc_is_shown_and_everybody_is_served_or_told(
            seen in words(),
            label in prop::sample::select(LABELS),
            between in prop::sample::select(BETWEEN),
            blind in words(),
        ) {
            let mut addresses = Vec::new();
            let seen = filled(&seen, "seen", &mut addresses);
            let blind = filled(&blind, "blind", &mut addresses);
            let text = format!("To:{seen}{between}{label}{blind}\r\n");
            let mut header = Header::parse(text.as_bytes());
            let named = extract(&header);
            let served: Vec<_> = named.recipients.iter().map(ToString::to_string).collect();
            for address in &addresses {
                let told = named.problems.iter().any(|problem| problem.text.contains(address.as_str()));
                let told = told || doubted(&named).contains(address.as_str());
                prop_assert!(told || served.contains(address), "{address} of {text:?}: {named:?}");
            }
            conform::conform(&mut header, "me", &|_| true);
            let shown = String::from_utf8_lossy(&header.to_bytes()).into_owned();
            prop_assert!(!shown.contains("blind"), "{text:?}: {shown}");
        }
    }

    #[test]
    fn of_several_words_between_commas_the_addresses_are_served_and_the_others_told() {
        for (text, served, told) in [
            ("To: good@x, bad bad@x\r\n", "good@x bad@x", "bad"),
            ("To: a@b.c d@e.f root\r\n", "a@b.c d@e.f", "root"),
            (
                "To: root a@b.c admin ops d@e.f\r\n",
                "a@b.c d@e.f",
                "root|admin ops",
            ),
            (
                "Cc: a@b.c,, x@y@z d@e.f (boss) x@\r\n",
                "a@b.c d@e.f",
                "x@y@z|x@",
            ),
            ("Bcc: a@b.c root, admin\r\n", "a@b.c admin", "root"),
            ("To: Arne Kock, a@b.c\r\n", "a@b.c", "Arne Kock"),
            ("To: a @ b.c d@e.f\r\n", "d@e.f", "a @ b.c"),
        ] {
            let mut header = Header::parse(text.as_bytes());
            let named = extract(&header);
            let to: Vec<_> = named.recipients.iter().map(ToString::to_string).collect();
            let problems: Vec<_> = named.problems.iter().map(|p| p.text.as_str()).collect();
            assert_eq!(
                (to.join(" "), problems.join("|")),
                (served.to_owned(), told.to_owned()),
                "{text}"
            );
            // None of those that are told is shown as a recipient.
            conform::conform(&mut header, "me", &|_| true);
            let shown = extract(&header);
            if !text.starts_with("Bcc") {
                assert_eq!(
                    (shown.recipients, shown.problems),
                    (named.recipients, vec![]),
                    "{text}"
                );
            }
        }
    }
}
