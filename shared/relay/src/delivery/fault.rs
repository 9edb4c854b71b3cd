//! What an answer means for the way of a message: whether another address, another host or another
//! try may fare better. Whom a refusal is about is told by `fault/refusal`.

mod refusal;
pub(super) mod words;

use mail::{
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};

use smtp::client::{Security, is_retraction};

pub use refusal::{Refusal, with_remedy};
pub(super) use refusal::{about_us, speaks_of_recipient};
use words::Words;

use super::{
    address::{self, Locality},
    interface::{Host, Place, Sent},
};

/// Whether another address of ours might fare better: a refusal for reasons of policy, not of the
/// mailbox.
pub(super) fn about_address(failure: &Failure) -> bool {
    let text = failure.text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let names_address = says(&[
        "ipv6",
        "ptr",
        "reverse",
        "client host",
        "ip address",
        "relay",
    ]);
    match failure.stage {
        Stage::Recipient | Stage::Data => failure.status.subject() == 7 || names_address,
        Stage::Body | Stage::Message => says(&["ipv6", " ptr", "reverse dns", "rdns"]),
        Stage::Local => false,
        _ => failure.reply.is_some(),
    }
}

/// The end of the message was sent, and no answer came: another try elsewhere would make it two.
pub(super) fn is_taken_perhaps(failure: &Failure) -> bool {
    failure.stage == Stage::Message && failure.reply.is_none()
}

/// No answer came: the peer was silent, the connection ended, or what came is no answer.
pub(super) fn is_unanswered(outcome: &Outcome) -> bool {
    let Outcome::Deferred(failure) = outcome else {
        return false;
    };
    let is_no_smtp =
        || failure.blame == Blame::Peer && failure.status == EnhancedStatus::new(4, 5, 0);
    failure.reply.is_none() && (failure.blame == Blame::Network || is_no_smtp())
}

/// Whether a "not now" of a relayhost would meet any other mail, too: it goes away, is in trouble
/// itself (4.3.x), or says so before it has heard of any recipient; unless that is the sender's
/// address (4.1.x).
pub(super) fn speaks_of_host(failure: &Failure) -> bool {
    let Some(code) = failure.reply else {
        return false;
    };
    let subject = failure.status.subject();
    let is_early = failure.stage == Stage::Mail && subject != 1 && !is_retraction(failure);
    (400..500).contains(&code.value()) && (code.value() == 421 || subject == 3 || is_early)
}

pub(super) fn is_delivered(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered(_))
}

/// At which recipient a peer went away, or said what is no reply, with none accepted before: it may
/// be this one on which it does so.
pub(super) fn broken_off_at(sent: &Sent, named: bool) -> Option<usize> {
    let of_recipient = |outcome| cut(outcome).is_some_and(|it| about_us(it, named).is_none());
    let none = !sent.open && sent.accepted == 0;
    sent.outcomes.iter().position(of_recipient).filter(|_| none)
}

/// Why the session ended while recipients were named.
pub(super) fn cut(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Deferred(failure)
            if failure.stage == Stage::Recipient
                && failure.reply.is_none_or(|code| code.value() == 421) =>
        {
            Some(failure)
        }
        _ => None,
    }
}

/// A peer takes no more messages over this connection: another one is as good as new.
pub(super) fn is_about_connection(failure: &Failure) -> bool {
    let names_it = || {
        Words::of(&failure.text).say(&[
            "this connection",
            "this session",
            "per connection",
            "per session",
            "one connection",
            "one session",
        ])
    };
    failure.reply.is_some() && failure.stage <= Stage::Data && names_it()
}

pub(super) fn is_full(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Deferred(failure) | Outcome::Failed(failure)
        if is_about_connection(failure))
}

/// Why mail is not given to an address that leads back to this host; if the administrator named
/// that, it is no fault of the sender's.
pub(super) fn leads_back(host: &Host, place: &Place, locality: Locality) -> Failure {
    let to_many = matches!(place, Place::Tcp(address) if address::is_of_many(address.ip()));
    let place = match place {
        Place::Tcp(address) => address.ip().to_string(),
        Place::Unix(path) => path.display().to_string(),
    };
    let at = format!("{}[{place}]", host.name);
    let class = if host.named { 4 } else { 5 };
    let (class, detail, text) = match locality {
        Locality::Nowhere if to_many => {
            let text = "has a multicast or broadcast address, which no mail can be sent to";
            (class, 4, format!("{at} {text}"))
        }
        // Who answers in the network that is meant may answer again.
        Locality::Collision => {
            let text = "a name collision: in the public DNS this name is another one than in the \
                        network that it is meant in";
            (4, 4, format!("{at} is {text}"))
        }
        _ => (class, 6, format!("mail for {at} loops back to myself")),
    };
    let status = EnhancedStatus::new(class, 4, detail);
    Failure::new(Blame::Policy, Stage::Lookup, status, &text)
}

/// Whether a peer whose handshake failed is tried once more in clear text: where anybody is
/// believed (RFC 7435).
pub fn clear_text_goes_on(
    failure: &Failure,
    security: Security,
    clear_text_is_as_good: bool,
) -> bool {
    failure.stage == Stage::Tls && security == Security::Opportunistic && clear_text_is_as_good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_exchanger_with_an_address_of_many_is_no_loop_but_no_address_that_takes_mail() {
        let host = Host {
            named: false,
            ..Host::named("mx.example".to_owned(), 25)
        };
        let told = |address: &str| {
            let place = Place::Tcp((address.parse::<std::net::IpAddr>().unwrap(), 25).into());
            let failure = leads_back(&host, &place, Locality::Nowhere);
            format!("{} {}", failure.status, failure.text)
        };
        for address in ["224.0.0.1", "255.255.255.255", "ff02::1"] {
            let expected = format!(
                "5.4.4 mx.example[{address}] has a multicast or broadcast address, which no mail \
                 can be sent to"
            );
            assert_eq!(told(address), expected);
        }
        assert!(told("127.0.0.1").ends_with("loops back to myself"));
    }
}
