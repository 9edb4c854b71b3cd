//! Restrictions that depend on DNS: what is asked, and what the answers lead to.
//!
//! Contract: a sure no is final, trouble is temporary and becomes a refusal only if nothing else
//! decides; a block list in trouble refuses nobody.
//! RFC 7505 §4.2 (null MX), RFC 7372 §3.3 (client names), RFC 5782 (lists).

use std::sync::Arc;

use mail::{address::Domain, status::EnhancedStatus};
use smtp::reply::Reply;

use super::{
    Answer, ClientName, Listing, MailDomain, Query,
    dnsbl::List,
    greylist::Decision,
    names,
    rule::Subject,
    view::{Opinion, View},
};

/// The HELO name: an address, or an MX.
pub(super) fn unknown_helo(see: &View<'_>) -> Opinion {
    let Some(name) = &see.facts.session.helo else {
        return Opinion::Pass;
    };
    if name.starts_with('[') {
        return names::invalid_literal(see, name);
    }
    let missing = || see.rejection(Subject::Helo, 450, (4, 7, 1), "Host not found");
    let Ok(name) = Domain::name(names::truncated(name)) else {
        return Opinion::Refuse(missing());
    };
    match see.mail_domain(&name) {
        Err(query) => Opinion::Ask(vec![query]),
        // A host may be called so and take no mail.
        Ok(MailDomain::Found | MailDomain::NullMx) => Opinion::Pass,
        Ok(MailDomain::Missing) => Opinion::Refuse(missing()),
        Ok(MailDomain::Unknown) => Opinion::DeferIfPermit(missing()),
    }
}

/// The sender's or the recipient's domain, unless its mail ends here.
pub(super) fn unknown_domain(see: &View<'_>, subject: Subject) -> Opinion {
    let Some(address) = see.address(subject) else {
        return Opinion::Pass;
    };
    let domain = address.domain();
    if domain.as_literal().is_some() || see.policy.router().is_local(address) {
        return Opinion::Pass;
    }
    let of_sender = subject == Subject::Sender;
    let detail = if of_sender { 8 } else { 2 };
    let reply = |code, class| see.rejection(subject, code, (class, 1, detail), "Domain not found");
    match see.mail_domain(domain) {
        Err(query) => Opinion::Ask(vec![query]),
        Ok(MailDomain::Found) => Opinion::Pass,
        Ok(MailDomain::NullMx) => {
            let text = format!("Domain {domain} does not accept mail (nullMX)");
            let (code, status) = if of_sender {
                (550, (5, 7, 27))
            } else {
                (556, (5, 1, 10))
            };
            Opinion::Refuse(see.rejection(subject, code, status, &text))
        }
        Ok(MailDomain::Missing) => Opinion::Refuse(reply(550, 5)),
        Ok(MailDomain::Unknown) => Opinion::DeferIfPermit(reply(450, 4)),
    }
}

/// The client's address has a name that has the address.
pub(super) fn unknown_client(see: &View<'_>) -> Opinion {
    let reply = |code: u16, class| {
        let text = "Client host rejected: cannot find your hostname";
        see.about_client(code, EnhancedStatus::new(class, 7, 25), text)
    };
    match see.client_name() {
        Err(query) => Opinion::Ask(vec![query]),
        Ok(ClientName::Confirmed(_)) => Opinion::Pass,
        Ok(ClientName::Missing | ClientName::Unconfirmed(_)) => Opinion::Refuse(reply(550, 5)),
        // At once: rules behind may go by the name.
        Ok(ClientName::Unknown | ClientName::Doubtful(_)) => Opinion::Refuse(reply(450, 4)),
    }
}

/// The client's address has a name, whatever that is worth.
pub(super) fn unknown_reverse_client(see: &View<'_>) -> Opinion {
    let reply = |code: u16, class| {
        let text = "Client host rejected: cannot find your reverse hostname";
        see.about_client(code, EnhancedStatus::new(class, 7, 1), text)
    };
    match see.client_name() {
        Err(query) => Opinion::Ask(vec![query]),
        Ok(ClientName::Missing) => Opinion::Refuse(reply(550, 5)),
        Ok(ClientName::Unknown) => Opinion::Refuse(reply(450, 4)),
        Ok(_) => Opinion::Pass,
    }
}

/// The client's address in a list, which blocks it or (`good`) lets it through.
pub(super) fn listed_address(see: &View<'_>, list: &Arc<List>, good: bool) -> Opinion {
    let client = see.facts.session.address;
    let Some(name) = list.of_address(client, see.policy.keys()) else {
        return Opinion::Pass;
    };
    match see.listing(list, name) {
        Err(query) => Opinion::Ask(vec![query]),
        Ok(Listing::Listed(_)) if good => Opinion::Permit,
        Ok(Listing::Listed(why)) => blocked(
            Subject::Client,
            &format!("[{client}]"),
            &list.name(),
            why.as_ref(),
        ),
        Ok(Listing::NotListed | Listing::Unknown) => Opinion::Pass,
    }
}

/// A name in a list.
pub(super) fn listed_name(see: &View<'_>, subject: Subject, list: &Arc<List>) -> Opinion {
    let (name, shown) = match subject {
        Subject::Client => match see.client_name() {
            Err(query) => return Opinion::Ask(vec![query]),
            Ok(name) => match name.confirmed() {
                Some(name) => (name.to_owned(), format!("[{name}]")),
                None => return Opinion::Pass,
            },
        },
        Subject::Helo => {
            let name = see.facts.session.helo.clone().unwrap_or_default();
            let shown = format!("[{name}]");
            (name, shown)
        }
        Subject::Sender | Subject::Recipient => match see.address(subject) {
            Some(address) => (address.domain().to_string(), format!("[{address}]")),
            None => return Opinion::Pass,
        },
    };
    let Some(asked) = list.of_name(&name, see.policy.keys()) else {
        return Opinion::Pass;
    };
    match see.listing(list, asked) {
        Err(query) => Opinion::Ask(vec![query]),
        Ok(Listing::Listed(why)) => blocked(subject, &shown, &list.name(), why.as_ref()),
        Ok(Listing::NotListed | Listing::Unknown) => Opinion::Pass,
    }
}

/// The client's lists, added up.
struct Score {
    /// To be asked before the rest is right.
    ask: Vec<Query>,
    sum: i32,
    /// Who lists it, and the first reason.
    names: Vec<String>,
    reason: Option<String>,
}

fn add_up(see: &View<'_>) -> Score {
    let client = see.facts.session.address;
    let (mut ask, mut sum, mut names, mut reason) = (Vec::new(), 0i32, Vec::new(), None);
    for list in &see.policy.scores().lists {
        let Some(name) = list.of_address(client, see.policy.keys()) else {
            continue;
        };
        match see.listing(list, name) {
            Err(query) => ask.push(query),
            Ok(Listing::Listed(why)) => {
                sum = sum.saturating_add(list.weight);
                if list.weight > 0 {
                    names.push(list.name());
                    reason = reason.or_else(|| why.clone());
                }
            }
            Ok(Listing::NotListed | Listing::Unknown) => {}
        }
    }
    Score {
        ask,
        sum,
        names,
        reason,
    }
}

/// What the client's lists add up to.
pub(super) fn score(see: &View<'_>) -> Opinion {
    let client = see.facts.session.address;
    let Score {
        ask,
        sum,
        names,
        reason,
    } = add_up(see);
    if !ask.is_empty() {
        return Opinion::Ask(ask);
    }
    see.notes
        .say(|| format!("score {sum}, threshold {}", see.policy.scores().threshold));
    if sum < see.policy.scores().threshold || names.is_empty() {
        return Opinion::Pass;
    }
    blocked(
        Subject::Client,
        &format!("[{client}]"),
        &names.join(", "),
        reason.as_ref(),
    )
}

/// Row B10: whoever nobody knows comes again, or only those of whom something is known that speaks
/// against them.
pub(super) fn greylist(see: &View<'_>) -> Opinion {
    let session = &see.facts.session;
    if see.policy.greylists_listed_only() {
        let mut score = add_up(see);
        let name = see.client_name();
        if let Err(query) = &name {
            score.ask.push(query.clone());
        }
        if !score.ask.is_empty() {
            return Opinion::Ask(score.ask);
        }
        see.notes.say(|| format!("score {}", score.sum));
        if score.sum <= 0 && name.is_ok_and(|name| name.confirmed().is_some()) {
            return Opinion::Pass;
        }
    }
    let (sender, recipient) = (see.shown(Subject::Sender), see.shown(Subject::Recipient));
    let query = Query::Greylist(session.address, sender, recipient);
    match see.answer(&query) {
        None => Opinion::Ask(vec![query]),
        Some(Answer::Greylist(Decision::Wait(wait))) => {
            let text = format!("Greylisted, try again in {} seconds", wait.as_secs().max(1));
            Opinion::Refuse(see.rejection(Subject::Recipient, 450, (4, 2, 0), &text))
        }
        Some(_) => Opinion::Pass,
    }
}

fn blocked(subject: Subject, shown: &str, lists: &str, why: Option<&String>) -> Opinion {
    let mut text = format!(
        "Service unavailable; {} {shown} blocked using {lists}",
        subject.words()
    );
    if let Some(why) = why {
        text.push_str("; ");
        text.push_str(why);
    }
    Opinion::Refuse(Reply::new(554, EnhancedStatus::new(5, 7, 1), text))
}

impl View<'_> {
    /// What is known of a domain, or what is to be asked.
    fn mail_domain(&self, domain: &Domain) -> Result<MailDomain, Query> {
        let query = Query::MailDomain(domain.clone());
        match self.answer(&query) {
            Some(Answer::MailDomain(found)) => Ok(*found),
            Some(_) => Ok(MailDomain::Unknown),
            None => Err(query),
        }
    }

    /// What the client is called, or what is to be asked.
    pub(super) fn client_name(&self) -> Result<&ClientName, Query> {
        let query = Query::ClientName(self.facts.session.address);
        match self.answer(&query) {
            Some(Answer::ClientName(name)) => Ok(name),
            Some(_) => Ok(&ClientName::Unknown),
            None => Err(query),
        }
    }

    /// What a list says, or what is to be asked.
    pub(super) fn listing(&self, list: &Arc<List>, name: String) -> Result<&Listing, Query> {
        let query = Query::Listed(Arc::clone(list), name);
        match self.answer(&query) {
            Some(Answer::Listed(listing)) => Ok(listing),
            Some(_) => Ok(&Listing::Unknown),
            None => Err(query),
        }
    }

    fn about_client(&self, code: u16, status: EnhancedStatus, text: &str) -> Reply {
        let text = format!("{text}, [{}]", self.facts.session.address);
        Reply::new(code, status, text)
    }
}
