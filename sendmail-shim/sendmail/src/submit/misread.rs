//! News for the sender of addresses that could not be read: a caller such as cron does not look at
//! the exit status.
//!
//! Contract: goes to the envelope sender with the null sender, so that nothing answers it; holds
//! the message as far as nobody else has it. It quotes no field of blind recipients. Where the
//! envelope sender is not who called, it tells of a blind recipient only if he stands alone in what
//! could not be read: the envelope sender may be one of those who do not know of him.

use std::io::Read as _;

use mail::{
    address::{Address, LocalPart, Mailbox, list::Problem},
    clock,
    envelope::{Mail, Origin, Rcpt},
    limits,
    message::{Misplaced, recipients},
    notice,
};

use super::ready::Ready;
use crate::{
    compose::read::{self, Message},
    identity,
    plan::{Submission, malformed, not_served},
};

/// Most of the message that is quoted, bytes.
const QUOTED: u64 = 50_000;

/// An address that could not be read.
pub(super) struct Misread {
    /// For who called.
    pub(super) whole: String,
    /// For anybody else.
    discreet: String,
}

impl Misread {
    /// In the header.
    pub(super) fn named(problem: &Problem) -> Self {
        let whole = malformed(problem);
        let discreet = if !problem.blind || is_alone(&problem.text) {
            whole.clone()
        } else {
            format!("a bad address of blind recipients: {}", problem.error)
        };
        Self { whole, discreet }
    }

    /// On the command line, which nobody else has seen.
    pub(super) fn argument(problem: &Problem) -> Self {
        Self::named(&Problem {
            blind: true,
            ..problem.clone()
        })
    }

    /// Where no field can be.
    pub(super) fn misplaced(misplaced: &Misplaced) -> Self {
        let whole = not_served(misplaced);
        let discreet = if misplaced.withheld {
            "a field of blind recipients stood where no field can be: it was left out, and goes to nobody".to_owned()
        } else {
            whole.clone()
        };
        Self { whole, discreet }
    }
}

/// Whether a text cannot hold an address beside the bad one.
fn is_alone(text: &str) -> bool {
    let apart = |c: char| c.is_whitespace() || c.is_control() || ",;:<>()[]\"'\\".contains(c);
    !text.contains(apart)
}

/// The message that tells of `problems`; `None` if there is nobody to tell. `served`: others get
/// the message.
pub(super) fn news(
    submission: &Submission,
    message: &Message,
    problems: &[Misread],
    served: bool,
    hostname: &str,
) -> Option<Ready> {
    let caller = || identity::caller(rustix::process::getuid().as_raw()).user;
    let (to, is_caller) = match submission.mail.origin() {
        Origin::Null => return None,
        Origin::Given(sender) => {
            let named = matches!(sender, Mailbox::Local(name) if name.as_str() == caller());
            (sender.clone(), named)
        }
        Origin::Caller => (Mailbox::Local(LocalPart::new(&caller()).ok()?), true),
    };
    let shown = match &to {
        Mailbox::Address(address) => address.clone(),
        Mailbox::Local(name) => Address::new(name.as_str(), hostname).ok()?,
    };
    let quoted = quoted(message, served)?;
    let told = |problem: &Misread| {
        if is_caller {
            problem.whole.clone()
        } else {
            problem.discreet.clone()
        }
    };
    let told: Vec<_> = problems.iter().map(told).collect();
    let (subject, what, who) = if served {
        let subject = "Mail was not sent to all: an address could not be read";
        (subject, "header", "It was sent to all others.")
    } else {
        let subject = "Undelivered mail: an address could not be read";
        (subject, "beginning", "It was sent to nobody.")
    };
    let text = format!(
        "Not all recipients of your message could be read:\n\n  {}\n\n{who} Its {what}:\n\n{}\n",
        told.join("\n  "),
        String::from_utf8_lossy(&quoted).replace('\r', ""),
    );
    let text = notice::notice(hostname, clock::now(), &[shown], subject, &text);
    Some(Ready {
        submission: Submission {
            mail: Mail::default(),
            ..Submission::default()
        },
        message: read::message(text.as_slice(), &mut || limits::MESSAGE).ok()?,
        recipients: vec![Rcpt::from(to)],
    })
}

/// The header; where nobody has the message, the beginning of all of it.
fn quoted(message: &Message, served: bool) -> Option<Vec<u8>> {
    let mut header = message.header.clone();
    recipients::show_no_blind(&mut header);
    let most = if served {
        header.to_bytes().len() as u64
    } else {
        QUOTED
    };
    let mut quoted = Vec::new();
    let text = message.reader_with(&header).ok()?;
    text.take(most).read_to_end(&mut quoted).ok()?;
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_called_hears_of_the_neighbours_of_a_blind_recipient_that_cannot_be_read() {
        let list = |header: &str| {
            let header = mail::message::Header::parse(header.as_bytes());
            let problems = recipients::extract(&header).problems;
            assert!(!problems.is_empty());
            let told = problems.iter().map(Misread::named);
            let told: Vec<_> = told.map(|it| (it.whole, it.discreet)).collect();
            told
        };
        for (header, shown) in [
            ("To: hid@d.example, broken@@d.example\r\n", true),
            ("To: bad hid\r\n", true),
            ("Bcc: hid@d.example, broken@@d.example\r\n", true),
            ("Bcc: bad hid\r\n", false),
            ("Resent-To: a@d.example\r\nResent-Bcc: bad hid\r\n", false),
            ("To: a@d.example Bcc: bad hid, b@d.example\r\n", false),
        ] {
            for (whole, discreet) in list(header) {
                assert_eq!(whole == discreet, shown, "{header}: {discreet}");
                assert!(shown || !discreet.contains("hid"), "{header}: {discreet}");
            }
        }
    }
}
