//! `sendmail-shim explain`: what would become of a message, each change with the file and line that
//! caused it. Sends nothing.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use ::relay::relayhost::{By, Relayhost};
use clap::Args;
use mail::{
    address::list,
    clock,
    envelope::Rcpt,
    message::{Header, recipients, rewrite::Caller},
    nexthop::Nexthop,
    outcome::escape,
};
use smtp::client::Security;
use system::{patient::Patient, sysexits::Exit};

use super::terminal::{CommandError, complain, say};
use crate::{
    agent::duplicates::likeness,
    compose::read::{self, Message},
    config::{settings::Settings, tables::Tables},
    identity, plan,
    prepare::{Prepared, Submitted, prepare},
    relay,
};

/// Longest line shown, bytes.
const WIDTH: usize = 1000;

/// As for `sendmail`.
#[derive(Debug, Args)]
pub struct Options {
    /// Envelope sender, as for sendmail -f.
    #[arg(short = 'f', value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// Full name, as for sendmail -F.
    #[arg(short = 'F', value_name = "NAME")]
    pub full_name: Option<String>,
    /// Take recipients from the header, as for sendmail -t.
    #[arg(short = 't')]
    pub from_header: bool,
    /// As if this user had sent it; by default you.
    #[arg(long, value_name = "NAME", value_parser = console::text)]
    pub user: Option<String>,
    /// Recipients.
    #[arg(value_parser = console::text)]
    pub recipients: Vec<String>,
}

/// Reads the message (none on a terminal) and tells.
pub fn run(settings: &Settings, options: &Options) -> Result<Exit, CommandError> {
    let input = Patient(io::stdin().lock());
    let message = if io::stdin().is_terminal() {
        read::message(io::empty(), &mut || settings.message_size)
    } else {
        read::message(input, &mut || settings.message_size)
    }
    .map_err(|error| CommandError::new(error.exit(), error))?;
    // What the agent goes on with where a file is wrong or gone.
    let mut tables = Tables::recalled(settings);
    let (rules, problems) = tables.refresh(clock::now());
    let is_gone = |path: &Path| !path.exists();
    let is_in_doubt =
        !problems.is_empty() || is_gone(&settings.aliases) || is_gone(&settings.revaliases);
    for problem in problems {
        complain("sendmail-shim", problem);
    }
    if is_in_doubt && !rustix::process::geteuid().is_root() && settings.spool.exists() {
        let text = "an alias file is wrong or not there: what the agent has kept of it, root sees here, \
                    and sendmail -bv tells";
        complain("sendmail-shim", text);
    }
    let uid = rustix::process::getuid().as_raw();
    let mut caller = match &options.user {
        Some(user) => Caller {
            user: user.clone(),
            full_name: String::new(),
        },
        None => identity::caller(uid),
    };
    if let Some(name) = &options.full_name {
        caller.full_name.clone_from(name);
    }
    let recipients = recipients(options, &message);
    for told in plan::misplaced(&message.misplaced, options.from_header, &recipients) {
        complain("sendmail-shim", plan::not_served(told));
    }
    let submitted = Submitted {
        caller: &caller,
        uid,
        id: "EXPLAIN",
        now: clock::now(),
        mail: &plan::sender(options.sender.as_deref(), None)
            .map_err(|refusal| CommandError::new(refusal.exit, refusal.text))?,
        recipients: &recipients,
        content: message.content,
        charset: message.charset,
    };
    let prepared = prepare(&submitted, message.header.clone(), rules)
        .map_err(|error| CommandError::new(Exit::DataErr, error))?;
    tell(&message.header, &prepared);
    route(settings);
    let sender = &prepared.envelope.sender;
    if let Some(unchanged) = &settings.unchanged
        && likeness::is_automatic(&prepared.header)
        && unchanged.covers(&caller.user, sender)
    {
        say(format_args!(
            "\nunchanged:\n  an automatic report of these senders: if it says the same as the last one of its job, it waits for a digest"
        ));
    }
    if let Some(budget) = settings.budget
        && likeness::is_automatic(&prepared.header)
    {
        say(format_args!(
            "\nbudget:\n  automatic mail: costs one of {budget}; beyond that it waits in the queue"
        ));
    }
    Ok(Exit::Ok)
}

fn recipients(options: &Options, message: &Message) -> Vec<Rcpt> {
    let malformed = |problem: &list::Problem| complain("sendmail-shim", plan::malformed(problem));
    let doubt = |doubt: &list::Doubt| complain("sendmail-shim", plan::doubt(doubt));
    let typed = options.recipients.iter().flat_map(|text| {
        let list = list::argument(text);
        list.problems.iter().for_each(malformed);
        list.doubts().for_each(|it| doubt(&it));
        list.entries.into_iter().map(|entry| entry.target)
    });
    let mut named = recipients::Named::default();
    if options.from_header {
        named = recipients::extract(&message.header);
        named.problems.iter().for_each(malformed);
        named.doubts.iter().for_each(doubt);
    }
    typed.chain(named.recipients).map(Rcpt::from).collect()
}

fn tell(before: &Header, prepared: &Prepared) {
    say(format_args!(
        "envelope sender     <{}>",
        prepared.envelope.sender
    ));
    for recipient in &prepared.envelope.recipients {
        match &recipient.original {
            Some(original) => say(format_args!(
                "envelope recipient  <{}> (from <{original}>)",
                recipient.address
            )),
            None => say(format_args!("envelope recipient  <{}>", recipient.address)),
        }
    }
    say("\nchanges:");
    for change in &prepared.changes {
        say(format_args!(
            "  {}: {} -> {}    ({})",
            change.what, change.before, change.after, change.because
        ));
    }
    if prepared.changes.is_empty() {
        say("  none");
    }
    let fields = |header: &Header| {
        header
            .fields()
            .iter()
            .map(|field| field.raw().to_vec())
            .collect::<Vec<_>>()
    };
    let (old, new) = (fields(before), fields(&prepared.header));
    say("\nheader (- removed or replaced, + added or changed):");
    for field in old.iter().filter(|field| !new.contains(field)) {
        say(format_args!("- {}", shown(field)));
    }
    for field in &new {
        let mark = if old.contains(field) { ' ' } else { '+' };
        say(format_args!("{mark} {}", shown(field)));
    }
}

fn shown(field: &[u8]) -> String {
    let lines = field.trim_ascii_end().split(|&byte| byte == b'\n');
    lines
        .map(|line| escape(line.strip_suffix(b"\r").unwrap_or(line), WIDTH).replace("\\x09", "\t"))
        .collect::<Vec<_>>()
        .join("\n  ")
}

/// A relayhost as it is found.
fn told(settings: &Settings, relayhost: &Relayhost) -> String {
    let Nexthop { host, port, .. } = &relayhost.nexthop;
    let port = port.unwrap_or_else(|| settings.default_port());
    match relayhost.by {
        By::Text => format!("{host}, port {port}"),
        By::Mx => format!("the MX of {host}, port {port}"),
        By::Srv => {
            let wrapped = settings.security == Security::Wrapped;
            format!("as {} says", relayhost.service(wrapped))
        }
    }
}

/// Where it would go, whom it would trust there, and as whom it would come.
fn route(settings: &Settings) {
    say("\nroute:");
    for relayhost in relay::ordered(settings) {
        say(format_args!("  {}", told(settings, relayhost)));
    }
    if settings.relayhost.is_empty() {
        return say("  none: no relayhost is set, mail is queued and not sent");
    }
    let tls = match settings.security {
        Security::None => return say("  without TLS: whoever answers gets it, in clear text"),
        Security::Wrapped => "TLS from the first byte",
        Security::StartTls | Security::Opportunistic => "STARTTLS or nothing",
    };
    say(format_args!("  {tls}"));
    for pin in &settings.pins {
        say(format_args!("  key {pin}"));
    }
    if settings.pins.is_empty() {
        say("  certificate for the configured name, from a public certificate authority");
    }
    if let Some(auth) = &settings.auth {
        say(format_args!("  as user {}", auth.user));
    }
    if let Some((certificate, _)) = &settings.identity {
        say(format_args!(
            "  showing the certificate {}",
            certificate.display()
        ));
    }
}
