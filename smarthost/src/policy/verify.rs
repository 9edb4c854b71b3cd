//! Whether a recipient exists where its mail goes: what is remembered, when it is asked, and what
//! counts while nobody answers.
//!
//! Contract: pure and bounded. Only a refusal that is about the address is a no; a next hop that
//! cannot be reached, or refuses *us*, is an outage, which is told once and ends by itself with the
//! first answer. Trouble is remembered for [`Settings::trouble`] at most, and forgotten when the
//! next hop answers again.
//! See also: `state`, which keeps answers over a restart; `delivery`, which asks.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome, Stage},
};

mod outage;

pub use outage::OutageMode;

use crate::{network::Network, oldest};

/// Addresses that are remembered.
const MOST: usize = 50_000;
/// Networks whose questions are counted.
const CLIENTS: usize = 10_000;
/// Addresses nobody knows that one network may ask for in [`WINDOW`]; those that turn out to exist
/// do not count.
const QUESTIONS: u32 = 30;
const WINDOW: Duration = Duration::from_mins(1);
/// After so long an outage, mail for everybody is taken.
const LONG: Duration = Duration::from_hours(24);
/// So many recipients refused as if we were the reason, and none answered for in between, say that
/// we are.
const DOUBTS: usize = 3;
/// A catch-all is looked for so often.
const CATCH_ALL: Duration = Duration::from_hours(1);
/// Largest message that is taken without knowing its recipient, bytes.
pub const CAP: u64 = 1024 * 1024;
/// Longest reason, in characters.
const REASON: usize = 200;

/// The administrator's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub outage: OutageMode,
    /// How long a yes, a no and trouble are believed.
    pub positive: Duration,
    pub negative: Duration,
    pub trouble: Duration,
}

/// What is known of a recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verified {
    Yes,
    /// And why.
    No(String),
    /// Nobody can say now, and why.
    Unsure(String),
    /// Nobody can say, and so it gets small mail.
    Unverified,
}

/// What to do about a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Known(Verified),
    /// Ask the next hop, and tell [`Recipients::answered`].
    Probe,
}

/// What administrators have to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// `refuses`: it is there, and wants nothing of us.
    Outage {
        place: String,
        why: String,
        refuses: bool,
    },
    Over {
        place: String,
    },
    CatchAll {
        place: String,
        domain: String,
    },
}

#[derive(Clone, Debug)]
struct Known {
    /// The reason of a no.
    no: Option<String>,
    at: Timestamp,
}

#[derive(Clone, Debug)]
struct Outage {
    since: Timestamp,
    last: Timestamp,
    why: String,
    refuses: bool,
    /// It did at some time.
    refused: bool,
    /// It said so of recipients, one by one: others are asked about all the same.
    single: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    known: HashMap<String, Known>,
    /// Temporary refusals of single recipients.
    troubled: HashMap<String, (Timestamp, String)>,
    /// By next hop.
    outages: HashMap<String, Outage>,
    /// Recipients for whom a next hop said that it wants nothing of us, since it last said anything
    /// else.
    doubts: HashMap<String, HashSet<String>>,
    /// When a domain was last looked at for a catch-all, and whether it is one.
    catch_alls: HashMap<String, (Timestamp, bool)>,
    clients: HashMap<Network, (Timestamp, u32)>,
    dirty: HashSet<String>,
}

impl Recipients {
    /// A client names a recipient, whose mail goes to this place.
    pub fn ask(
        &mut self,
        client: IpAddr,
        about: (&str, &str),
        settings: &Settings,
        now: Timestamp,
    ) -> Step {
        if let Some(known) = self.recall(about, settings, now) {
            return Step::Known(known);
        }
        if self.is_too_curious(client, now) {
            let why = "too many recipients that are not known to exist; try again later";
            return Step::Known(Verified::Unsure(why.to_owned()));
        }
        Step::Probe
    }

    /// What counts without asking anybody; `None`: nothing is known.
    pub fn recall(
        &mut self,
        (recipient, place): (&str, &str),
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Verified> {
        if let Some(known) = self.known.get_mut(recipient) {
            if known.at > now {
                self.dirty.insert(recipient.to_owned());
            }
            let age = known.at.age(now);
            match &known.no {
                None if age < settings.positive => {
                    return Some(Verified::Yes);
                }
                Some(why) if age < settings.negative => {
                    return Some(Verified::No(why.clone()));
                }
                _ => {}
            }
        }
        if let Some(outage) = self.outages.get_mut(place) {
            outage.since.noted(now);
            if outage.last.age(now) < settings.trouble && !outage.single {
                return Some(self.meanwhile(place, settings, now));
            }
        }
        let (at, why) = self.troubled.get_mut(recipient)?;
        (at.age(now) < settings.trouble).then(|| Verified::Unsure(why.clone()))
    }

    fn is_too_curious(&mut self, client: IpAddr, now: Timestamp) -> bool {
        if self.clients.len() >= CLIENTS {
            self.clients.retain(|_, (since, _)| since.age(now) < WINDOW);
        }
        let network = Network::of(client, 32, 64);
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(&network) {
            return true;
        }
        let (since, count) = self.clients.entry(network).or_insert((now, 0));
        if since.age(now) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count > QUESTIONS
    }

    /// A recipient exists for whom this client had the next hop asked.
    pub fn gives_back(&mut self, client: IpAddr) {
        if let Some((_, count)) = self.clients.get_mut(&Network::of(client, 32, 64)) {
            *count = count.saturating_sub(1);
        }
    }

    /// What the next hop said to a probe.
    pub fn answered(
        &mut self,
        (recipient, place): (&str, &str),
        outcome: &Outcome,
        settings: &Settings,
        now: Timestamp,
    ) -> (Verified, Option<News>) {
        let failure = match outcome {
            Outcome::Delivered(_) => {
                self.learn(recipient, None, now);
                return (Verified::Yes, self.answers(place));
            }
            Outcome::Deferred(failure) | Outcome::Failed(failure) => failure,
        };
        let why: String = failure.text.chars().take(REASON).collect();
        match about(failure) {
            About::Recipient => {
                self.learn(recipient, Some(why.clone()), now);
                (Verified::No(why), self.answers(place))
            }
            About::Moment => {
                self.trouble(recipient, &why, now);
                (Verified::Unsure(why), self.answers(place))
            }
            About::UsOrRecipient => {
                self.trouble(recipient, &why, now);
                let news = self.doubt(recipient, place, &why, now);
                (Verified::Unsure(why), news)
            }
            about @ (About::Us | About::Place) => {
                let refuses = about == About::Us;
                let news = self.fails(place, why, (refuses, false), now);
                (self.meanwhile(place, settings, now), news)
            }
        }
    }

    fn learn(&mut self, recipient: &str, no: Option<String>, now: Timestamp) {
        if self.known.len() >= MOST && !self.known.contains_key(recipient) {
            // A no is cheap to find out again.
            let known = self.known.iter();
            let ages = known.map(|(key, known)| ((known.no.is_none(), known.at), key));
            for key in oldest::tenth(MOST, ages) {
                self.known.remove(&key);
                self.dirty.insert(key);
            }
        }
        self.known
            .insert(recipient.to_owned(), Known { no, at: now });
        self.dirty.insert(recipient.to_owned());
    }

    fn trouble(&mut self, recipient: &str, why: &str, now: Timestamp) {
        if self.troubled.len() >= CLIENTS {
            self.troubled.clear();
        }
        self.troubled
            .insert(recipient.to_owned(), (now, why.to_owned()));
    }

    /// A list may take mail of its members alone; a next hop that says so of everybody wants
    /// nothing of us.
    fn doubt(&mut self, who: &str, place: &str, why: &str, now: Timestamp) -> Option<News> {
        if self.doubts.len() >= CLIENTS && !self.doubts.contains_key(place) {
            self.doubts.clear();
        }
        let doubts = self.doubts.entry(place.to_owned()).or_default();
        if doubts.len() < DOUBTS {
            doubts.insert(who.to_owned());
        }
        let sure = doubts.len() >= DOUBTS || self.outages.contains_key(place);
        sure.then(|| self.fails(place, why.to_owned(), (true, true), now))
            .flatten()
    }

    /// The next hop answers: whatever the trouble was, it is over.
    fn answers(&mut self, place: &str) -> Option<News> {
        self.doubts.remove(place);
        let outage = self.outages.remove(place)?;
        self.troubled.clear();
        drop(outage);
        Some(News::Over {
            place: place.to_owned(),
        })
    }

    /// `single`: it said so of one recipient.
    fn fails(
        &mut self,
        place: &str,
        why: String,
        (refuses, single): (bool, bool),
        now: Timestamp,
    ) -> Option<News> {
        if let Some(outage) = self.outages.get_mut(place) {
            // That is worse than silence, and told once in an outage.
            let worse = refuses && !outage.refused;
            outage.refused |= refuses;
            (outage.last, outage.refuses, outage.single) = (now, refuses, single);
            outage.why.clone_from(&why);
            return worse.then(|| News::Outage {
                place: place.to_owned(),
                why,
                refuses,
            });
        }
        let outage = Outage {
            since: now,
            last: now,
            why: why.clone(),
            refuses,
            refused: refuses,
            single,
        };
        self.outages.insert(place.to_owned(), outage);
        Some(News::Outage {
            place: place.to_owned(),
            why,
            refuses,
        })
    }

    /// What counts for an unknown recipient during an outage.
    fn meanwhile(&self, place: &str, settings: &Settings, now: Timestamp) -> Verified {
        let Some(outage) = self.outages.get(place) else {
            return Verified::Unsure("try again".to_owned());
        };
        let long = now.since(outage.since) >= LONG;
        match settings.outage {
            // It is there, and would refuse what is taken for it; nobody but the administrator can
            // end that.
            _ if outage.refuses => Verified::Unsure(outage.why.clone()),
            OutageMode::AcceptAll => Verified::Unverified,
            OutageMode::AcceptKnown if long => Verified::Unverified,
            OutageMode::AcceptKnown | OutageMode::Defer => Verified::Unsure(outage.why.clone()),
        }
    }

    /// Whether it is time to ask for a name that nobody has, and to tell
    /// [`Recipients::strange_name`].
    pub fn looks_for_catch_all(&mut self, domain: &str, now: Timestamp) -> bool {
        let looked = self.catch_alls.get_mut(domain);
        let due = looked.is_none_or(|(at, _)| at.age(now) >= CATCH_ALL);
        if due && self.catch_alls.len() < CLIENTS {
            let was = self.catch_alls.get(domain).is_some_and(|(_, is)| *is);
            self.catch_alls.insert(domain.to_owned(), (now, was));
        }
        due
    }

    /// What was said to such a name.
    pub fn strange_name(&mut self, place: &str, domain: &str, taken: bool) -> Option<News> {
        let (_, was) = self.catch_alls.get_mut(domain)?;
        let before = std::mem::replace(was, taken);
        (taken && !before).then(|| News::CatchAll {
            place: place.to_owned(),
            domain: domain.to_owned(),
        })
    }

    /// Whether every next hop answers, and what is known, in words; `None`: nobody was asked about.
    pub fn standing(&self) -> Option<(bool, String)> {
        if self.known.is_empty() && self.outages.is_empty() {
            return None;
        }
        let refused = self.known.values().filter(|it| it.no.is_some()).count();
        let known = self.known.len().saturating_sub(refused);
        let mut text = format!("{known} recipients exist, {refused} do not");
        if !self.outages.is_empty() {
            let mut places: Vec<_> = self.outages.keys().map(String::as_str).collect();
            places.sort_unstable();
            text = format!("no answer of {}; {text}", places.join(", "));
        }
        Some((self.outages.is_empty(), text))
    }

    /// A line for each outage, and for each domain that takes every name.
    pub fn alarms(&self, settings: &Settings, now: Timestamp) -> Vec<String> {
        let outages = self.outages.iter().map(|(place, outage)| {
            let what = if outage.refuses {
                "refuses us"
            } else {
                "does not answer"
            };
            let doing = match self.meanwhile(place, settings, now) {
                Verified::Unverified => "small mail is accepted for everybody",
                _ => "only mail for known recipients is accepted",
            };
            format!(
                "verification: {place} {what} since {}: {}; {doing}",
                outage.since.mailq(),
                outage.why
            )
        });
        let all = self.catch_alls.iter().filter(|(_, (_, is))| *is);
        let all = all.map(|(domain, _)| {
            format!("verification has no effect for {domain}: every recipient is accepted there")
        });
        outages.chain(all).collect()
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |key: &String| {
            let known = self.known.get(key)?;
            let sign = if known.no.is_none() { '+' } else { '-' };
            let why = known.no.as_deref().unwrap_or_default();
            Some(format!("{sign} {} {why}", known.at.as_secs()))
        };
        dirty
            .into_iter()
            .map(|key| (key.clone(), record(&key)))
            .collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.known.keys().cloned());
    }

    /// Takes back a row; whether it is one.
    pub fn restore(&mut self, key: String, record: &str) -> bool {
        let mut words = record.splitn(3, ' ');
        let (sign, at, why) = (words.next(), words.next(), words.next().unwrap_or_default());
        let at = at.and_then(|at| at.parse().ok()).map(Timestamp::from_secs);
        let (Some(sign @ ("+" | "-")), Some(at)) = (sign, at) else {
            return false;
        };
        if self.known.len() < MOST {
            let no = (sign == "-").then(|| why.to_owned());
            self.known.insert(key, Known { no, at });
        }
        true
    }
}

/// Whom a failed probe says something of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Recipient,
    /// This recipient, and only now.
    Moment,
    /// The next hop wants nothing of us, or this recipient nothing of strangers.
    UsOrRecipient,
    /// The next hop wants nothing of us.
    Us,
    /// The next hop cannot be reached.
    Place,
}

fn about(failure: &Failure) -> About {
    let Some(code) = failure.reply.map(mail::status::ReplyCode::value) else {
        return About::Place;
    };
    let at_recipient = failure.stage == Stage::Recipient;
    let status = failure.status;
    let of_policy = status.subject() == 7;
    match code {
        421 => About::Place,
        // 550 without a code of its own is "no such mailbox" since RFC 821.
        500.. if at_recipient && !of_policy => {
            let of_address = status.subject() == 1 && matches!(status.detail(), 1..=3 | 6 | 10);
            // As Exchange says of whom it does not know.
            let unknown = failure.text.contains("Recipient address rejected");
            let plain = matches!(code, 550 | 551 | 553) && (status.subject() != 4 || unknown);
            if of_address || plain {
                About::Recipient
            } else {
                About::Moment
            }
        }
        500.. if at_recipient => About::UsOrRecipient,
        500.. => About::Us,
        _ if at_recipient => About::Moment,
        _ => About::Place,
    }
}

#[cfg(test)]
mod tests;
