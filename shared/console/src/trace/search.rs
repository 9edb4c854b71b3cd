//! The ids that belong together, and their lines.
//!
//! Contract: the log is read once to find the messages that are meant, then as often as other ids
//! turn up that belong to them: what a message is called at the next hop, and at the one before,
//! bounces, warnings, digests. What is kept is bounded by messages and lines, not by the log.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
};

use control::listing::Row;
use mail::clock::Timestamp;

use super::{
    entry::Entry,
    said::{Attempt, Said},
    source::Source,
    wanted::Wanted,
};

/// Messages that are followed at once.
pub(super) const MOST: usize = 2000;
/// Lines that are kept of one message, and of all.
const LINES: usize = 5000;
const ALL_LINES: usize = 100_000;
/// Steps from id to id.
const STEPS: usize = 12;
/// Peers whose last TLS connection is known.
const PEERS: usize = 10_000;
/// So many times as many messages as are wanted are kept while it is looked for the newest.
const SPARE: usize = 4;

/// A line about a message, with the TLS connection that it was about to be over.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) entry: Entry,
    pub(super) tls: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the id of the message.
    pub(super) lines: BTreeMap<String, Vec<Line>>,
    /// Those that are meant themselves, and not by what belongs to them.
    pub(super) meant: HashSet<String>,
    /// Lines that were too many.
    pub(super) left_out: HashMap<String, usize>,
    /// What was refused, and never was a message.
    pub(super) refusals: Vec<Refusal>,
    /// There are older ones.
    pub(super) more: bool,
}

/// A line about what was refused.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Refusal {
    time: Option<String>,
    #[serde(skip)]
    at: Option<Timestamp>,
    program: String,
    host: String,
    text: String,
}

impl Refusal {
    pub(super) fn when(&self) -> &str {
        self.time.as_deref().unwrap_or("(no time)")
    }

    /// `RCPT from client[address]: 554 …`
    pub(super) fn text(&self) -> &str {
        let text = self.text.strip_prefix("NOQUEUE: ").unwrap_or(&self.text);
        text.strip_prefix("reject: ").unwrap_or(text)
    }
}

impl Found {
    fn add(&mut self, id: &str, line: Line, all: &mut usize) {
        let lines = self.lines.entry(id.to_owned()).or_default();
        if lines.len() < LINES && *all < ALL_LINES {
            lines.push(line);
            *all += 1;
        } else {
            *self.left_out.entry(id.to_owned()).or_default() += 1;
        }
    }
}

/// Reads the logs; the newest `last` messages that are meant, there or in the queues (`waiting`),
/// and all that belongs to them.
pub(super) fn search(
    sources: &[Source],
    wanted: &Wanted,
    waiting: &HashMap<String, Row>,
    last: usize,
    since: Timestamp,
    now: Timestamp,
) -> io::Result<Found> {
    let mut met = Met {
        newest: Newest::new(last),
        refusals: Vec::new(),
        named: HashSet::new(),
        copies: Copies::default(),
    };
    for (id, row) in waiting {
        if wanted.ids().any(|wanted| wanted == *id) {
            met.named.insert(id.clone());
        }
        met.newest.add(id, Some(row.arrival));
    }
    let is_late = |entry: &Entry| entry.time.is_none_or(|time| time >= since);
    for source in sources {
        met.copies.next_log();
        source.read(now, &mut |entry| {
            if is_late(&entry) {
                met.note(entry, wanted, last);
            }
        })?;
    }
    let mut refusals = met.refusals;
    refusals.sort_by_key(|refusal| refusal.at);
    let excess = refusals.len().saturating_sub(last);
    refusals.drain(..excess);
    let (mut ids, more) = met.newest.take();
    ids.extend(met.named);
    let followed = follow(sources, ids.clone(), now)?;
    Ok(Found {
        refusals,
        more: more || excess > 0,
        meant: ids,
        ..followed
    })
}

/// What a first reading has met.
struct Met {
    newest: Newest,
    refusals: Vec<Refusal>,
    /// Messages that were asked for by their ids.
    named: HashSet<String>,
    copies: Copies,
}

impl Met {
    fn note(&mut self, entry: Entry, wanted: &Wanted, last: usize) {
        if let Some((id, said)) = entry.of_message() {
            if wanted.ids().any(|wanted| wanted == id) {
                self.named.insert(id.to_owned());
            }
            if wanted.means(id, &Said::parse(said)) {
                self.newest.add(id, entry.time);
            }
        } else if entry.text.starts_with("NOQUEUE: ")
            && wanted.means_line(&entry)
            && self.copies.is_new(&entry)
        {
            self.refusals.push(Refusal {
                time: entry.time.map(Timestamp::rfc3339),
                at: entry.time,
                program: entry.program,
                host: entry.host,
                text: entry.text,
            });
            if self.refusals.len() > last * SPARE {
                self.refusals.drain(..last * SPARE - last);
                self.newest.more = true;
            }
        }
    }
}

/// The lines of these messages, and of those that belong to them.
fn follow(sources: &[Source], mut ids: HashSet<String>, now: Timestamp) -> io::Result<Found> {
    let mut found = Found::default();
    for _ in 0..STEPS {
        let mut others = HashSet::new();
        found = collect(sources, &ids, &mut others, now)?;
        others.retain(|id| !ids.contains(id));
        if others.is_empty() || ids.len() >= MOST {
            break;
        }
        ids.extend(others);
    }
    Ok(found)
}

/// The lines of these messages; `others`: which belong to them.
fn collect(
    sources: &[Source],
    ids: &HashSet<String>,
    others: &mut HashSet<String>,
    now: Timestamp,
) -> io::Result<Found> {
    let (mut found, mut all) = (Found::default(), 0);
    let mut copies = Copies::default();
    if ids.is_empty() {
        return Ok(found);
    }
    for source in sources {
        let mut peers = Peers::default();
        copies.next_log();
        source.read(now, &mut |entry| {
            let Some((id, text)) = entry.of_message() else {
                peers.note(&entry);
                return;
            };
            let said = Said::parse(text);
            let other = said.other().filter(|_| others.len() < MOST);
            match other {
                Some(other) if ids.contains(id) => others.insert(other.to_owned()),
                Some(other) if ids.contains(other) => others.insert(id.to_owned()),
                _ => false,
            };
            if ids.contains(id) && copies.is_new(&entry) {
                let id = id.to_owned();
                let tls = peers.of(&entry, &said);
                found.add(&id, Line { entry, tls }, &mut all);
            }
        })?;
    }
    for lines in found.lines.values_mut() {
        lines.sort_by_key(|line| line.entry.time);
    }
    Ok(found)
}

/// Lines that stand in several logs (`mail.log`, `syslog`) are one each: of a line there are as
/// many as in the log that has most of it.
#[derive(Default)]
struct Copies {
    /// Up to the log before, and in this one.
    known: HashMap<u64, u32>,
    here: HashMap<u64, u32>,
}

impl Copies {
    fn next_log(&mut self) {
        for (line, count) in self.here.drain() {
            let known = self.known.entry(line).or_default();
            *known = (*known).max(count);
        }
    }

    /// Whether no log before this one has it. Beyond [`ALL_LINES`] all are new.
    fn is_new(&mut self, entry: &Entry) -> bool {
        let mut hasher = DefaultHasher::new();
        let second = entry.time.map(Timestamp::as_secs);
        (second, &entry.program, &entry.text).hash(&mut hasher);
        let line = hasher.finish();
        if self.here.len() >= ALL_LINES && !self.here.contains_key(&line) {
            return true;
        }
        let here = self.here.entry(line).or_default();
        *here = here.saturating_add(1);
        *here > self.known.get(&line).copied().unwrap_or_default()
    }
}

/// The messages that were spoken of last.
struct Newest {
    most: usize,
    /// By when.
    ids: HashMap<String, Option<Timestamp>>,
    more: bool,
}

impl Newest {
    fn new(most: usize) -> Self {
        Self {
            most,
            ids: HashMap::new(),
            more: false,
        }
    }

    fn add(&mut self, id: &str, time: Option<Timestamp>) {
        match self.ids.get_mut(id) {
            Some(known) => *known = (*known).max(time),
            None => {
                self.ids.insert(id.to_owned(), time);
            }
        }
        if self.ids.len() > self.most * SPARE {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.ids.len() <= self.most {
            return;
        }
        self.more = true;
        let mut all: Vec<_> = self.ids.drain().collect();
        all.sort_by(|(id, time), (other, than)| (than, other).cmp(&(time, id)));
        all.truncate(self.most);
        self.ids.extend(all);
    }

    fn take(mut self) -> (HashSet<String>, bool) {
        self.prune();
        (self.ids.into_keys().collect(), self.more)
    }
}

/// The last TLS connection to and from each peer.
#[derive(Default)]
pub(super) struct Peers(HashMap<(String, String), String>);

impl Peers {
    /// A line about a session: `Verified TLS connection established to mx[192.0.2.1]:25: TLSv1.3
    /// …`.
    pub(super) fn note(&mut self, entry: &Entry) {
        let Some((standing, rest)) = entry.text.split_once(" TLS connection established ") else {
            return;
        };
        let rest = rest
            .strip_prefix("to ")
            .or_else(|| rest.strip_prefix("from "));
        let Some((peer, summary)) = rest.and_then(|rest| rest.split_once(": ")) else {
            return;
        };
        if self.0.len() >= PEERS {
            self.0.clear();
        }
        let told = format!("{standing} TLS connection: {summary}");
        self.0.insert(key(entry, peer), told);
    }

    /// That of the attempt, or of the client that a line tells of.
    pub(super) fn of(&self, entry: &Entry, said: &Said<'_>) -> Option<String> {
        let peer = match said {
            Said::Attempt(Attempt { relay, .. }) => relay,
            Said::Taken { client, .. } => client,
            _ => return None,
        };
        self.0.get(&key(entry, peer)).cloned()
    }
}

/// A peer, of one program on one machine.
fn key(entry: &Entry, peer: &str) -> (String, String) {
    let program = entry.program.split('/').next().unwrap_or_default();
    (format!("{} {program}", entry.host), peer.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn found(log: &str, wanted: &str, last: usize) -> Found {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(log.as_bytes()).unwrap();
        let sources = [Source::File(file.path().to_owned())];
        let now = Timestamp::parse("2026-11-23").unwrap();
        search(
            &sources,
            &Wanted::new(wanted),
            &HashMap::new(),
            last,
            Timestamp::default(),
            now,
        )
        .unwrap()
    }

    #[test]
    fn ids_are_joined_over_every_hop_in_both_directions() {
        let mut log = String::new();
        for (id, next) in [
            ("AA0001", "BB0001"),
            ("BB0001", "CC0001"),
            ("CC0001", "DD0001"),
        ] {
            log += "2026-11-22T07:51:52Z x[1]: ";
            log += id;
            log += ": to=<a@b.example>, relay=n, delay=1, dsn=2.0.0, status=sent (250 queued as ";
            log += next;
            log += ")\n";
        }
        log.push_str(
            "2026-11-22T07:51:52Z x[1]: DD0001: sender non-delivery notification: EE0001\n",
        );
        log.push_str("2026-11-22T07:51:52Z x[1]: EE0001: removed\n2026-11-22T07:51:52Z x[1]: FF0001: removed\n");
        for wanted in ["AA0001", "CC0001", "EE0001"] {
            let ids: Vec<_> = found(&log, wanted, 20).lines.into_keys().collect();
            assert_eq!(
                ids,
                ["AA0001", "BB0001", "CC0001", "DD0001", "EE0001"],
                "{wanted}"
            );
        }
    }

    #[test]
    fn of_very_many_messages_the_newest_are_kept_and_it_is_said_that_there_are_more() {
        let line = |n: usize| {
            format!(
                "2026-11-22T{:02}:{:02}:52Z x[1]: AA{n:04}: from=<a@b.example>, size=1, nrcpt=1 (queue active)\n",
                n / 60,
                n % 60
            )
        };
        // Two files that were rotated, given in the wrong order.
        let log: String = (700..1400).chain(0..700).map(line).collect();
        let found = found(&log, "a@b.example", 3);
        assert_eq!(
            found.lines.into_keys().collect::<Vec<_>>(),
            ["AA1397", "AA1398", "AA1399"]
        );
        assert!(found.more);
    }

    #[test]
    fn the_newest_are_chosen_among_what_waits_and_what_the_log_tells() {
        let row = |id: &str, arrival: &str| Row {
            queue_id: id.to_owned(),
            queue_name: "deferred".to_owned(),
            arrival: Timestamp::parse(arrival).unwrap(),
            size: 1,
            sender: "a@b.example".to_owned(),
            recipients: Vec::new(),
            next_attempt: None,
            origin: String::new(),
        };
        let waiting = [("BB0001", "2026-11-21"), ("BB0002", "2026-11-22 09:00")];
        let waiting = waiting.map(|(id, arrival)| (id.to_owned(), row(id, arrival)));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let line = "2026-11-22T07:51:52Z x[1]: AA0001: from=<a@b.example>, size=1, nrcpt=1 (queue active)\n";
        file.write_all(line.as_bytes()).unwrap();
        let sources = [Source::File(file.path().to_owned())];
        let now = Timestamp::parse("2026-11-23").unwrap();
        for (last, ids) in [
            (1, &["BB0002"][..]),
            (2, &["AA0001", "BB0002"]),
            (3, &["AA0001", "BB0001", "BB0002"]),
        ] {
            let (wanted, waiting) = (Wanted::new("a@b.example"), HashMap::from(waiting.clone()));
            let found = search(&sources, &wanted, &waiting, last, Timestamp::default(), now);
            let found = found.unwrap();
            let mut meant: Vec<_> = found.meant.into_iter().collect();
            meant.sort();
            assert_eq!(meant, ids);
            assert_eq!(found.more, last < 3);
        }
    }

    #[test]
    fn a_line_in_two_logs_is_one_and_what_is_older_than_since_is_not_looked_for() {
        let line = "2026-11-22T07:51:52Z x[1]: AA0001: to=<a@b.example>, relay=n, delay=1, dsn=4.0.0, status=deferred (x)\n";
        let refusal = "2026-11-22T07:51:52Z x[1]: NOQUEUE: reject: RCPT from x[1.2.3.4]: 554 no; from=<> to=<a@b.example> proto=SMTP helo=<h>\n";
        let log = |lines: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(lines.as_bytes()).unwrap();
            file
        };
        let once = log(&[line, refusal].concat());
        // The other form of syslog, and twice the same.
        let twice = log(&[
            line.replace("52Z", "52.000Z"),
            line.to_owned(),
            refusal.to_owned(),
        ]
        .concat());
        let sources = [&once, &twice, &once].map(|file| Source::File(file.path().to_owned()));
        let now = Timestamp::parse("2026-11-23").unwrap();
        let search = |wanted, since: &str| {
            let since = Timestamp::parse(since).unwrap();
            search(
                &sources,
                &Wanted::new(wanted),
                &HashMap::new(),
                9,
                since,
                now,
            )
            .unwrap()
        };
        let found = search("a@b.example", "2026-11-21");
        assert_eq!(found.lines["AA0001"].len(), 2);
        assert_eq!(found.refusals.len(), 1);
        assert_eq!(search("AA0001", "2026-11-21").lines.len(), 1);
        assert!(search("AA0001", "2026-11-22T08:00:00Z").lines.is_empty());
    }

    #[test]
    fn a_message_with_very_many_lines_is_told_in_part() {
        let line = "2026-11-22T07:51:52Z x[1]: AA0001: to=<a@b.example>, relay=n, delay=1, dsn=4.0.0, status=deferred (x)\n";
        let found = found(&line.repeat(LINES + 7), "AA0001", 3);
        assert_eq!(
            (found.lines["AA0001"].len(), found.left_out["AA0001"]),
            (LINES, 7)
        );
    }
}
