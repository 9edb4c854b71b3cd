//! Explanations as text or JSON. Pure.

use std::fmt::Write as _;

use mail::outcome::escape;

use super::{Decision, End, Entry, Place, Rule, Stage, Way};

/// Longest text of others in a line, bytes.
const WIDTH: usize = 1000;

/// Text of others, without what a terminal would obey.
pub fn shown(text: &str) -> String {
    let safe = |c: char| c == ' ' || c.is_alphanumeric() || c.is_ascii_graphic();
    if text.chars().all(safe) && text.len() <= WIDTH {
        return text.to_owned();
    }
    escape(text.as_bytes(), WIDTH)
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    // Texts and numbers always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

fn place(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| {
        format!(" ({}:{})", shown(&place.file), place.line)
    })
}

fn entry(entry: &Entry) -> String {
    let at = format!("{}:{}", shown(&entry.place.file), entry.place.line);
    format!("{at}: {}", shown(&entry.value))
}

/// Lines, each below the one before.
struct Text(String);

impl Text {
    fn line(&mut self, indent: usize, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:indent$}{text}", "");
    }
}

pub(super) fn of_decision(decision: &Decision) -> String {
    let mut text = Text(String::new());
    let own = if decision.own { "in" } else { "not in" };
    text.line(
        0,
        &format!("client     {} ({own} networks)", decision.client),
    );
    let sender = shown(&decision.sender);
    text.line(0, &format!("sender     <{sender}>"));
    let recipient = &decision.recipient;
    let class = recipient.class.map_or_else(
        || "not a domain of ours".to_owned(),
        |class| format!("{class} domain{}", place(recipient.place.as_ref())),
    );
    let address = shown(&recipient.address);
    text.line(0, &format!("recipient  <{address}>, {class}"));
    for stage in &decision.stages {
        of_stage(&mut text, stage);
    }
    if decision.accepted && !decision.milters.is_empty() {
        text.line(0, "");
        text.line(0, "asked besides, at each command and about the message");
        for milter in &decision.milters {
            let (address, at) = (shown(&milter.address), place(milter.place.as_ref()));
            let without = milter.on_failure;
            text.line(2, &format!("{address}{at}: without an answer {without}"));
        }
    }
    text.line(0, "");
    text.line(0, "counted");
    if decision.exempt {
        text.line(2, "not at all: limits.exempt");
    }
    for report in &decision.limits {
        let mut line = format!("{}: {}", report.client, report.usage());
        if let Some(ordered) = report.ordered() {
            let _ = write!(line, "; {ordered}");
        }
        text.line(2, &line);
    }
    if decision.limits.is_empty() && !decision.exempt {
        text.line(2, &format!("{}: no limit is set", decision.client));
    }
    warnings(&mut text, &decision.warnings);
    let word = if decision.accepted {
        "accepted"
    } else {
        "refused"
    };
    text.line(0, "");
    text.line(0, &format!("{word}: the client hears"));
    for line in decision.reply.lines() {
        text.line(2, &shown(line));
    }
    text.0
}

fn of_stage(text: &mut Text, stage: &Stage) {
    if stage.rules.is_empty() && stage.reply.starts_with('2') {
        return;
    }
    text.line(0, "");
    text.line(0, &shown(&stage.command));
    for rule in &stage.rules {
        of_rule(text, rule);
    }
    if !stage.not_reached.is_empty() {
        text.line(2, "not reached:");
        for rule in &stage.not_reached {
            let source = shown(&rule.source());
            text.line(4, &format!("{} ({source})", shown(&rule.rule)));
        }
    }
    for line in stage.reply.lines() {
        text.line(2, &format!("=> {}", shown(line)));
    }
}

fn of_rule(text: &mut Text, rule: &Rule) {
    let source = shown(&rule.source());
    let head = format!("{} ({source}): {}", shown(&rule.rule), rule.verdict);
    text.line(2, &head);
    for entry in rule.entries.iter().map(entry) {
        text.line(6, &entry);
    }
    for exchange in &rule.asked {
        let (question, answer) = (shown(&exchange.question), shown(&exchange.answer));
        text.line(6, &format!("{question}: {answer}"));
    }
    for because in &rule.because {
        text.line(6, &shown(because));
    }
    if let Some(reply) = &rule.text {
        text.line(6, &shown(reply));
    }
}

fn warnings(text: &mut Text, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    text.line(0, "");
    for warning in warnings {
        text.line(0, &format!("warning: {}", shown(warning)));
    }
}

pub(super) fn of_way(way: &Way) -> String {
    let mut text = Text(String::new());
    let class = way.class.map_or_else(
        || "not a domain of ours: only clients of our own may send there".to_owned(),
        |class| format!("{class} domain{}", place(way.place.as_ref())),
    );
    text.line(0, &format!("{}: {class}", shown(&way.address)));
    if let Some(table) = way.unlisted {
        text.line(0, &format!("refused at RCPT: not in the {table}"));
    }
    for step in &way.steps {
        let becomes: Vec<_> = step.becomes.iter().map(|it| shown(it)).collect();
        text.line(0, "");
        let arrow = format!("{} -> {}", shown(&step.address), becomes.join(", "));
        text.line(0, &arrow);
        for entry in step.entries.iter().map(entry) {
            text.line(6, &entry);
        }
        if step.entries.is_empty() {
            text.line(6, "admins: no other address is set");
        }
    }
    if let Some(failure) = &way.failure {
        text.line(0, "");
        text.line(0, &format!("goes nowhere: {}", shown(failure)));
    }
    for end in &way.ends {
        of_end(&mut text, end);
    }
    warnings(&mut text, &way.warnings);
    text.0
}

fn of_end(text: &mut Text, end: &End) {
    text.line(0, "");
    text.line(0, &format!("<{}>", shown(&end.address)));
    if !end.destination.is_empty() {
        let because = format!("{}{}", end.because, place(end.place.as_ref()));
        text.line(
            2,
            &format!("to         {} by {because}", shown(&end.destination)),
        );
    }
    if let (Some(outcome), Some(failure)) = (end.outcome, &end.failure) {
        let mut line = format!("{outcome:<11}{}", shown(failure));
        if end.destination.is_empty() && !end.because.is_empty() {
            let _ = write!(line, " by {}{}", end.because, place(end.place.as_ref()));
        }
        text.line(2, &line);
    }
    if let Some(line) = end.entry.as_ref().map(entry) {
        text.line(13, &line);
    }
    if let Some(pace) = end.transport.as_ref().filter(|pace| !pace.is_empty()) {
        text.line(2, &format!("transport  {pace}"));
    }
    for host in &end.hosts {
        let mut line = format!("host       {}", shown(&host.name));
        if host.port != 0 {
            let _ = write!(line, ":{}", host.port);
        }
        if !host.addresses.is_empty() {
            let _ = write!(line, " [{}]", host.addresses.join(", "));
        }
        if let Some(tls) = &host.tls {
            let _ = write!(line, "; {}", shown(tls));
        }
        if let Some(failure) = &host.failure {
            let _ = write!(line, ": {}", shown(failure));
        }
        text.line(2, &line);
    }
    if !end.tls.is_empty() {
        text.line(2, &format!("TLS        {}", shown(&end.tls)));
    }
    if !end.lifetime.is_empty() {
        text.line(2, &format!("tried for  {}", end.lifetime));
    }
}
