//! `smarthost report rejected`: mail that was refused, from the daemon's database, and how to let a
//! sender pass (row C9).

use std::{collections::HashMap, fmt::Write as _, net::IpAddr, path::Path};

use mail::{
    address::{Address, Sender},
    clock::Timestamp,
};
use serde::Serialize;

use super::{failed::Failed, kept};
use crate::{
    config::Config,
    explain::shown,
    lookup::{Kind, TableName, access},
    policy::{
        access_table::Tables,
        refusals::{GREYLIST, Refusal, Refusals},
        rule::{Rule, Subject},
    },
};

/// `report …`
#[derive(clap::Subcommand, Debug)]
pub(super) enum Report {
    /// List the mail that was refused in the last 30 days, newest first, with the rule that refused
    /// it and how to let its sender pass
    #[command(after_help = "Examples:\n  \
        smarthost report rejected --to boss@example.org            why mail did not reach the boss\n  \
        smarthost report rejected --from example.com --since 2d\n  \
        smarthost report rejected --client 192.0.2.7 --json")]
    Rejected(Rejected),
}

#[derive(clap::Args, Debug)]
pub(super) struct Rejected {
    /// Only mail to a recipient that contains this
    #[arg(long, value_name = "TEXT", value_parser = console::text)]
    to: Option<String>,
    /// Only mail from a sender that contains this; <> is the null sender
    #[arg(long, value_name = "TEXT", value_parser = console::text)]
    from: Option<String>,
    /// Only mail refused since then: 2d, 12h, 2026-11-22, "2026-11-22 07:51"
    #[arg(long, value_name = "WHEN", value_parser = console::when)]
    since: Option<Timestamp>,
    /// Only mail from this client address
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Rejected {
    fn means(&self, row: &Refusal) -> bool {
        let has = |text: &Option<String>, part: &str| {
            let text = text.as_deref().map(str::to_lowercase);
            text.is_some_and(|text| !part.is_empty() && text.contains(&part.to_lowercase()))
        };
        let from = |part: &str| match part {
            "<>" => row.sender.as_deref() == Some(""),
            part => has(&row.sender, part),
        };
        let of = |client: IpAddr| {
            row.client
                .ends_with(&format!("[{}]", client.to_canonical()))
        };
        self.to
            .as_deref()
            .is_none_or(|part| has(&row.recipient, part))
            && self.from.as_deref().is_none_or(from)
            && self.since.is_none_or(|since| row.last >= since)
            && self.client.is_none_or(of)
    }
}

pub(super) fn run(config: &Path, report: &Report) -> Result<String, Failed> {
    let Report::Rejected(wanted) = report;
    // What was refused is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let (_, kept) = kept::database(&config, "what was refused")?;
    let mut refusals = Refusals::default();
    for (key, record) in kept.refusals {
        refusals.restore(key, &record);
    }
    let remedies = Remedies::of(&config);
    let rows = refusals.list().into_iter().filter(|row| wanted.means(row));
    let mut text = String::new();
    for row in rows {
        let remedy = remedies.find(row);
        if wanted.json {
            let line = serde_json::to_string(&Told::of(row, remedy.as_deref()));
            // Texts and numbers always have a JSON form.
            text.push_str(&line.unwrap_or_default());
            text.push('\n');
        } else {
            describe(&mut text, row, remedy.as_deref());
        }
    }
    if text.is_empty() && !wanted.json {
        text.push_str("nothing was refused");
    }
    Ok(text)
}

/// A row for programs.
#[derive(Serialize)]
struct Told<'a> {
    first: String,
    last: String,
    count: u64,
    client: &'a str,
    helo: Option<&'a str>,
    sender: Option<&'a str>,
    recipient: Option<&'a str>,
    stage: &'a str,
    rule: Option<&'a str>,
    /// Who had no more left of a limit.
    counted: Option<&'a str>,
    reply: &'a str,
    temporary: bool,
    /// When the mail came again and was taken.
    accepted: Option<String>,
    remedy: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(row: &'a Refusal, remedy: Option<&'a str>) -> Self {
        Self {
            first: row.first.rfc3339(),
            last: row.last.rfc3339(),
            count: row.count,
            client: &row.client,
            helo: row.helo.as_deref(),
            sender: row.sender.as_deref(),
            recipient: row.recipient.as_deref(),
            stage: &row.stage,
            rule: row.rule.as_deref(),
            counted: row.counted.as_deref(),
            reply: &row.reply,
            temporary: row.is_temporary(),
            accepted: row.accepted.map(Timestamp::rfc3339),
            remedy,
        }
    }
}

/// `date client <sender> -> <recipient>`, and below it why.
fn describe(text: &mut String, row: &Refusal, remedy: Option<&str>) {
    let address = |address: &Option<String>| match address {
        Some(address) => format!("<{}>", shown(address)),
        None => "-".to_owned(),
    };
    let (sender, recipient) = (address(&row.sender), address(&row.recipient));
    let (date, client) = (row.last.rfc3339(), shown(&row.client));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{date} {client} {sender} -> {recipient}");
    let rule = row.rule.as_deref().unwrap_or("protocol");
    let _ = writeln!(text, "    {}: {}", shown(rule), shown(&row.reply));
    let mut counted = Vec::new();
    if row.count > 1 {
        counted.push(format!("{} times since {}", row.count, row.first.rfc3339()));
    }
    if let Some(at) = row.accepted {
        counted.push(format!("came again and was accepted at {}", at.rfc3339()));
    } else if row.rule.as_deref() == Some(GREYLIST) {
        counted.push("has not come again".to_owned());
    } else if row.is_temporary() {
        counted.push("temporary: the client keeps it".to_owned());
    }
    if !counted.is_empty() {
        let _ = writeln!(text, "    {}", counted.join("; "));
    }
    if let Some(remedy) = remedy {
        let _ = writeln!(text, "    to let it pass: {}", shown(remedy));
    }
}

/// What would let mail pass, by the configuration as it is.
struct Remedies<'a> {
    config: &'a Config,
    tables: Tables,
    /// Tables of senders, each with its place among the restrictions.
    senders: Vec<(usize, &'a TableName)>,
    /// Where each rule stands.
    rules: HashMap<&'a str, usize>,
}

impl<'a> Remedies<'a> {
    fn of(config: &'a Config) -> Self {
        let rules = config.restrictions.iter().enumerate();
        let of_senders = |(at, rule): (usize, &'a Rule)| match rule.table() {
            Some((Subject::Sender, table)) if rule.as_str().starts_with("check_sender_access") => {
                Some((at, table))
            }
            _ => None,
        };
        let files = config.read_access();
        Self {
            config,
            tables: files.map_or_else(|_| Tables::new(), |(files, _)| files.tables().collect()),
            senders: rules.clone().filter_map(of_senders).collect(),
            rules: rules.map(|(at, rule)| (rule.as_str(), at)).collect(),
        }
    }

    /// One sentence; `None`: nothing that an administrator writes would.
    fn find(&self, row: &Refusal) -> Option<String> {
        let rule = row.rule.as_deref()?;
        let sender = row.sender.as_deref()?;
        let name = rule.split(' ').next().unwrap_or_default();
        let (_, client) = row.client.rsplit_once('[').unwrap_or_default();
        let client = client.trim_end_matches(']');
        Some(match name {
            "hop_limit" | "defer_if_permit" => return None,
            "client_limit" => {
                let counted = row.counted.as_deref().unwrap_or(client);
                format!("smarthost limits show {counted}")
            }
            "reject_unauth_destination" => format!(
                "relaying: add {client} to networks if it is yours, or the recipient's domain to domains"
            ),
            "reject_unlisted_recipient" | "alias_expansion" | "check_recipient_access" => {
                let recipient = row.recipient.as_deref().unwrap_or_default();
                format!("the recipient is refused for every sender: smarthost explain {recipient}")
            }
            "check_sender_access" if let Some(place) = self.entry(sender) => {
                format!("change the entry of the sender, {place}")
            }
            _ if row.stage != "RCPT" => return None,
            _ => self.of_sender(rule, sender)?,
        })
    }

    /// A line of a table of senders that is asked before the rule.
    fn of_sender(&self, rule: &str, sender: &str) -> Option<String> {
        let key = if sender.is_empty() { "<>" } else { sender };
        let plain = key.bytes().all(|byte| byte.is_ascii_graphic()) && !key.starts_with('#');
        if !plain {
            return None;
        }
        let at = self.rules.get(rule).copied().unwrap_or(usize::MAX);
        let before = self.senders.iter().find(|(place, table)| {
            *place < at && matches!(table.kind, Kind::Text | Kind::Database)
        });
        if let Some((_, table)) = before {
            return Some(format!(
                "add the line \"{key} OK\" to {}",
                table.path.display()
            ));
        }
        let file = self.config.directory().join("senders");
        Some(format!(
            "put \"check_sender_access senders\" in front of {rule} in restrictions, and the line \"{key} OK\" into {}",
            file.display()
        ))
    }

    /// Where a table of senders says something of this one.
    fn entry(&self, sender: &str) -> Option<String> {
        let sender = match sender {
            "" => Sender::Null,
            sender => Sender::Address(Address::parse(sender).ok()?),
        };
        let keys = access::sender(&sender, self.config.recipient_delimiter);
        let mut tables = self.senders.iter();
        tables.find_map(|(_, name)| {
            let table = self.tables.get(*name)?;
            let found = (**table).as_ref().first(&keys)?;
            Some(format!("{}: {}", found.place, found.value))
        })
    }
}
