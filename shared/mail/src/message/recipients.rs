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
        list::{self, BLIND},
    },
    message::{Field, Header},
};

/// What [`extract`] finds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Named {
    /// In order.
    pub recipients: Vec<Mailbox>,
    /// What is no address.
    pub problems: Vec<list::Problem>,
    /// Those of the recipients whose `<` is never closed.
    pub unclosed: Vec<Mailbox>,
}

/// The recipients that the header names.
pub fn extract(header: &Header) -> Named {
    let mut named = Named::default();
    for field in fields(header) {
        let list = list::parse(field.body());
        let unclosed = list.entries.iter().filter(|entry| entry.unclosed);
        named
            .unclosed
            .extend(unclosed.map(|entry| entry.target.clone()));
        named
            .recipients
            .extend(list.entries.into_iter().map(|entry| entry.target));
        named.problems.extend(list.problems);
    }
    named
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
fn first_block(header: &Header) -> Vec<&Field> {
    let mut block: Vec<&Field> = Vec::new();
    let mut names = HashSet::new();
    for field in header.fields() {
        let resent = field
            .name()
            .split_at_checked(7)
            .is_some_and(|(start, _)| start.eq_ignore_ascii_case("Resent-"));
        if !resent {
            continue;
        }
        if !names.insert(field.name().to_ascii_lowercase()) {
            break;
        }
        block.push(field);
    }
    block
}

/// Removes what must not leave the machine: Bcc and Resent-Bcc (blind recipients), Return-Path and
/// Content-Length (the last delivery's business). How many fields went.
pub fn withhold(header: &mut Header) -> usize {
    let names = BLIND.iter().chain(&["Return-Path", "Content-Length"]);
    names.map(|name| header.remove(name)).sum()
}

#[cfg(test)]
mod tests {
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
            let told: Vec<_> = named.unclosed.iter().map(ToString::to_string).collect();
            assert_eq!(told.join(" "), unclosed, "{text}");
            assert!(
                named
                    .unclosed
                    .iter()
                    .all(|it| named.recipients.contains(it))
            );
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
