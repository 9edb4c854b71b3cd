//! Which TLSA records speak for a mail host. Pure: questions out, answers in.
//!
//! | what DNS says of the host | what follows |
//! |---|---|
//! | its addresses are secure | TLSA at the end of its aliases, then at its own name |
//! | they are not, but the name is an alias by DNSSEC | TLSA at its own name |
//! | neither | no question: servers of unsigned zones often fail for such names |
//! | TLSA cannot be asked, or is bogus | [`Verdict::Failed`]: nothing is sent to this host |
//!
//! RFC 7672 §2.2.2, §2.2.3, §3.1.3.

use std::{collections::VecDeque, net::IpAddr};

use relay::tlsa::{Tlsa, Usable};

/// A host as DNS knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    pub name: String,
    pub addresses: Vec<IpAddr>,
    /// DNSSEC proves the addresses, and all aliases on the way to them.
    pub secure: bool,
    /// The name at the end of its aliases, if it is one.
    pub canonical: Option<String>,
}

/// What is to be asked of DNS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Whether the name is an alias by DNSSEC: [`Answer::Alias`].
    Alias(String),
    /// The TLSA records that DNSSEC proves for a name with port and protocol: [`Answer::Tlsa`].
    Tlsa(String),
}

/// What DNS said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Alias(bool),
    Tlsa(Vec<Tlsa>),
    /// Nobody could say, or it is bogus; and why.
    Failed(String),
}

/// What becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// TLS, with a certificate that one of these fits; the name where they stand.
    Usable { base: String, records: Usable },
    /// There are records, none of which SMTP can use: TLS, whoever answers.
    Unusable,
    /// DANE does not apply, and why not.
    None(&'static str),
    /// Nothing may be sent to this host now, and why.
    Failed(String),
}

/// The search for one host.
#[derive(Debug)]
pub struct Search {
    port: u16,
    alias: Option<String>,
    /// Names under which records may stand.
    bases: VecDeque<String>,
    verdict: Option<Verdict>,
}

impl Search {
    pub fn new(host: &Host, port: u16) -> Self {
        let own = host.name.clone();
        let mut search = Self {
            port,
            alias: None,
            bases: VecDeque::new(),
            verdict: None,
        };
        if host.secure {
            search.bases = host.canonical.clone().into_iter().chain([own]).collect();
        } else if host.canonical.is_some() {
            search.alias = Some(own);
        } else {
            search.verdict = Some(Verdict::None("no DANE: address not secure"));
        }
        search
    }

    /// What to ask next, or what follows.
    pub fn next_question(&self) -> Result<Question, Verdict> {
        match (&self.verdict, &self.alias, self.bases.front()) {
            (Some(verdict), _, _) => Err(verdict.clone()),
            (None, Some(name), _) => Ok(Question::Alias(name.clone())),
            (None, None, Some(base)) => Ok(Question::Tlsa(format!("_{}._tcp.{base}", self.port))),
            (None, None, None) => Err(Verdict::None("no DANE: no TLSA records")),
        }
    }

    /// Takes the answer to the last question.
    pub fn handle(&mut self, answer: Answer) {
        match (answer, self.alias.take()) {
            (Answer::Failed(why), _) => self.verdict = Some(Verdict::Failed(why)),
            (Answer::Alias(true), Some(name)) => self.bases.push_back(name),
            (Answer::Alias(false), Some(_)) => {
                self.verdict = Some(Verdict::None("no DANE: address not secure"));
            }
            (Answer::Tlsa(records), None) => {
                let base = self.bases.pop_front();
                if let Some(base) = base.filter(|_| !records.is_empty()) {
                    self.verdict = Some(match Usable::of(&records) {
                        Some(records) => Verdict::Usable { base, records },
                        None => Verdict::Unusable,
                    });
                }
            }
            // Another answer than was asked for says nothing.
            _ => self.verdict = Some(Verdict::Failed("unexpected answer".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlsa(usage: u8) -> Tlsa {
        Tlsa {
            usage,
            selector: 1,
            matching: 1,
            data: vec![7; 32],
        }
    }

    /// What is asked, in order, and what follows, where DNS answers so.
    fn search(secure: bool, canonical: Option<&str>, answers: &[Answer]) -> (Vec<String>, Verdict) {
        let host = Host {
            name: "mx.example.net".to_owned(),
            addresses: Vec::new(),
            secure,
            canonical: canonical.map(str::to_owned),
        };
        let mut search = Search::new(&host, 25);
        let mut asked = Vec::new();
        let mut answers = answers.iter();
        loop {
            match search.next_question() {
                Ok(Question::Alias(name)) => asked.push(format!("alias {name}")),
                Ok(Question::Tlsa(name)) => asked.push(name),
                Err(verdict) => return (asked, verdict),
            }
            search.handle(answers.next().unwrap().clone());
        }
    }

    /// Whether addresses are secure, the end of aliases, answers, what is asked, what follows.
    type Row<'a> = (bool, Option<&'a str>, Vec<Answer>, Vec<&'a str>, Verdict);

    fn usable(base: &str) -> Verdict {
        Verdict::Usable {
            base: base.to_owned(),
            records: Usable::of(&[tlsa(3)]).unwrap(),
        }
    }

    fn rows() -> Vec<Row<'static>> {
        use Answer::{Alias, Failed, Tlsa};
        const OWN: &str = "_25._tcp.mx.example.net";
        const END: &str = "_25._tcp.edge.example";
        let none = || Tlsa(Vec::new());
        let some = || Tlsa(vec![tlsa(3)]);
        let insecure = Verdict::None("no DANE: address not secure");
        let missing = Verdict::None("no DANE: no TLSA records");
        let bogus = || Failed("SERVFAIL".to_owned());
        let failed = Verdict::Failed("SERVFAIL".to_owned());
        let edge = Some("edge.example");
        vec![
            (
                true,
                None,
                vec![some()],
                vec![OWN],
                usable("mx.example.net"),
            ),
            (true, None, vec![none()], vec![OWN], missing.clone()),
            (true, None, vec![bogus()], vec![OWN], failed.clone()),
            (
                true,
                None,
                vec![Tlsa(vec![tlsa(0), tlsa(1)])],
                vec![OWN],
                Verdict::Unusable,
            ),
            (
                true,
                None,
                vec![Tlsa(vec![tlsa(1), tlsa(3)])],
                vec![OWN],
                usable("mx.example.net"),
            ),
            (true, edge, vec![some()], vec![END], usable("edge.example")),
            (
                true,
                edge,
                vec![none(), some()],
                vec![END, OWN],
                usable("mx.example.net"),
            ),
            (true, edge, vec![none(), none()], vec![END, OWN], missing),
            (
                true,
                edge,
                vec![none(), bogus()],
                vec![END, OWN],
                failed.clone(),
            ),
            (true, edge, vec![bogus()], vec![END], failed.clone()),
            (false, None, vec![], vec![], insecure.clone()),
            (
                false,
                edge,
                vec![Alias(false)],
                vec!["alias mx.example.net"],
                insecure,
            ),
            (
                false,
                edge,
                vec![bogus()],
                vec!["alias mx.example.net"],
                failed,
            ),
            (
                false,
                edge,
                vec![Alias(true), some()],
                vec!["alias mx.example.net", OWN],
                usable("mx.example.net"),
            ),
        ]
    }

    #[test]
    fn records_are_asked_for_only_where_dnssec_says_who_the_host_is() {
        for (secure, canonical, answers, asked, verdict) in rows() {
            let found = search(secure, canonical, &answers);
            let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
            assert_eq!(
                found,
                (asked, verdict),
                "{secure} {canonical:?} {answers:?}"
            );
        }
    }
}
