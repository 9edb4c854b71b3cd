//! Mail that the agent writes itself: bounces, warnings of delays, and notices to the administrators.
//!
//! Contract: in the queue, and durable, when a function returns; the sender is null, so nothing of it is ever bounced.
//! RFC 3464; RFC 5321 §4.5.5.

use std::io::Read as _;

use mail::{
    address::{Address, LocalPart, Mailbox},
    clock::{self, Timestamp},
    envelope::{Content, Envelope, Mail, Rcpt, Recipient, Ret},
    message::{
        Header,
        rewrite::{self, Caller},
    },
    notice::{self, Bounce},
    outcome::{Failure, Outcome},
};
use queue::rate::Window;
use settings::last_good::Fault;
use spool::{Body, Hold, QueueId, Repeats, Stored};

use super::{
    Agent,
    budget::notice::{self as over, Census},
    outage::Outage,
    storms::digest::{self, Storm},
};
use crate::{deposit, identity};

/// Largest part of a body that a bounce returns.
const RETURNED: usize = 64 * 1024;

/// Tells the sender whom the message did not reach; nothing to do if that is nobody, or there is no sender.
pub(super) fn bounce(
    agent: &Agent,
    stored: &Stored,
    failed: &[(u32, Failure)],
) -> Result<Option<QueueId>, String> {
    let whole = stored.envelope.ret == Some(Ret::Full) && !failed.is_empty();
    let body = whole.then(|| beginning(&stored.body)).transpose();
    let body = body.map_err(|error| error.to_string())?;
    report(agent, stored, failed, body.as_deref(), &notice::bounce)
}

/// Tells the sender who still waits for the message, and until when it is tried.
pub(super) fn delay(
    agent: &Agent,
    stored: &Stored,
    late: &[(u32, Failure)],
) -> Result<Option<QueueId>, String> {
    let give_up = stored.arrival.after(agent.settings.retry.lifetime);
    report(agent, stored, late, None, &|report| {
        notice::delay(report, give_up)
    })
}

/// Tells the sender who was reached, where NOTIFY=SUCCESS asks for it and the relayhost does not tell (RFC 3461 §5.2.2).
pub(super) fn success(
    agent: &Agent,
    stored: &Stored,
    tried: &[u32],
    outcomes: &[Outcome],
) -> Result<Option<QueueId>, String> {
    let indexes: Vec<usize> = tried
        .iter()
        .filter_map(|&index| usize::try_from(index).ok())
        .collect();
    let recipients = stored.envelope.with_only(&indexes).recipients;
    let reached = notice::reached(&stored.envelope.sender, &recipients, outcomes);
    let Some((to, reached)) = reached else {
        return Ok(None);
    };
    queue_report(agent, stored, &to, &[], None, &|facts| {
        notice::success(facts, &reached)
    })
    .map(Some)
}

fn report(
    agent: &Agent,
    stored: &Stored,
    about: &[(u32, Failure)],
    body: Option<&[u8]>,
    compose: &dyn Fn(&Bounce<'_>) -> Vec<u8>,
) -> Result<Option<QueueId>, String> {
    let sender = stored.envelope.sender.address();
    let Some(to) = sender.filter(|_| !about.is_empty()) else {
        return Ok(None);
    };
    let recipient = |index: &u32| {
        let index = usize::try_from(*index).ok()?;
        stored.envelope.recipients.get(index).cloned()
    };
    let about: Vec<_> = about
        .iter()
        .filter_map(|(index, failure)| Some((recipient(index)?, failure.clone())))
        .collect();
    queue_report(agent, stored, to, &about, body, compose).map(Some)
}

fn queue_report(
    agent: &Agent,
    stored: &Stored,
    to: &Address,
    failed: &[(Recipient, Failure)],
    body: Option<&[u8]>,
    compose: &dyn Fn(&Bounce<'_>) -> Vec<u8>,
) -> Result<QueueId, String> {
    let text = compose(&Bounce {
        hostname: &agent.settings.hostname,
        queue_id: &stored.id.to_string(),
        arrival: stored.arrival,
        now: clock::now(),
        to,
        envid: stored.envelope.envid.as_deref(),
        failed,
        header: &stored.header,
        body,
    });
    let envelope = Envelope {
        recipients: sender_now(agent, stored, to),
        origin: format!("report on {}", stored.id),
        uid: stored.envelope.uid,
        ..Envelope::default()
    };
    queue(agent, envelope, &text)
}

/// Who gets what is written to a sender: for one of this machine's users, whom aliases and `admin` name.
fn sender_now(agent: &Agent, stored: &Stored, sender: &Address) -> Vec<Recipient> {
    let user = stored.envelope.uid.map(|uid| identity::caller(uid).user);
    let mut tables = agent.tables();
    let (rules, _) = tables.refresh(clock::now());
    let local = rewrite::account_of(sender, user.as_deref(), rules);
    let to = local.map_or_else(|| Mailbox::Address(sender.clone()), Mailbox::Local);
    rewrite::resolve(&Rcpt::from(to), rules).unwrap_or_else(|_| vec![sender.clone().into()])
}

/// Writes to root, whom aliases and `admin` redirect.
pub(super) fn to_root(agent: &Agent, subject: &str, text: &str) -> Result<QueueId, String> {
    let root = LocalPart::new("root").map_err(|error| error.to_string())?;
    let root = [Rcpt::from(Mailbox::Local(root))];
    let caller = Caller {
        user: "root".to_owned(),
        full_name: String::new(),
    };
    let rewritten = {
        let mut tables = agent.tables();
        let (rules, _) = tables.refresh(clock::now());
        rewrite::rewrite(
            &Mail::default(),
            &root,
            &mut Header::default(),
            &caller,
            rules,
        )
    };
    let (mut envelope, _) = rewritten.map_err(|error| format!("{error:?}"))?;
    let to: Vec<Address> = envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.clone())
        .collect();
    let settings = &agent.settings;
    let text = notice::notice(&settings.hostname, clock::now(), &to, subject, text);
    "the agent".clone_into(&mut envelope.origin);
    envelope.uid = Some(0);
    queue(agent, envelope, &text)
}

/// Tells root that the configuration is wrong, and what the agent does about it.
pub(super) fn fault(agent: &Agent, fault: &Fault) -> Result<QueueId, String> {
    let host = &agent.settings.hostname;
    let text = format!(
        "The configuration of the mail agent on {host} is wrong:\n\n{}\n\n\
         No mail is lost: {}.\n\
         The agent takes the mended file by itself. See also: sendmail-shim check\n",
        fault.text,
        fault.consequence(),
    );
    to_root(
        agent,
        &format!("{host}: the configuration of the mail agent is wrong"),
        &text,
    )
}

/// Tells root that the relayhost has not been reached for long.
pub(super) fn outage(agent: &Agent, outage: &Outage) -> Result<QueueId, String> {
    let (host, since) = (&agent.settings.hostname, outage.since.rfc5322());
    let relayhosts: Vec<_> = agent
        .settings
        .relayhost
        .iter()
        .map(ToString::to_string)
        .collect();
    let text = format!(
        "{host} could not hand over mail since {since}.\n\n\
         Relayhost: {}\nReason:    {}\nWaiting:   {} messages; none is lost, each is tried until it is {} hours old\n\n\
         This is the only warning of this outage. Look at the queue with `mailq`, and at the way to the relayhost\n\
         with `sendmail-shim check`.\n",
        relayhosts.join(", "),
        outage.reason,
        agent.spool.len(),
        agent.settings.retry.lifetime.as_secs() / 3600,
    );
    to_root(
        agent,
        &format!("{host}: the relayhost has not been reached since {since}"),
        &text,
    )
}

/// Tells root that automatic mail waits for the budget, if any does.
pub(super) fn over_budget(
    agent: &Agent,
    window: Window,
    room: Option<Timestamp>,
) -> Result<(), String> {
    let mut census = Census::default();
    let entries = agent.spool.entries().into_iter();
    for entry in entries.filter(|entry| entry.hold == Hold::OverBudget) {
        // One that leaves meanwhile, or cannot be read, is not counted.
        if let Ok(Some(stored)) = agent.spool.load(entry.id) {
            census.add(&stored.envelope.origin, &stored.header);
        }
    }
    if census.total() == 0 {
        return Ok(());
    }
    let (subject, text) = over::notice(&agent.settings.hostname, window, room, &census);
    to_root(agent, &subject, &text).map(drop)
}

/// Tells the recipients of a message for how many others it stands; goes in its place.
pub(super) fn digest(agent: &Agent, stored: &Stored, repeats: Repeats) -> Result<QueueId, String> {
    let body = beginning(&stored.body).map_err(|error| error.to_string())?;
    let (subject, text) = digest::digest(&Storm {
        hostname: &agent.settings.hostname,
        origin: &stored.envelope.origin,
        header: &stored.header,
        body: &body,
        first: stored.arrival,
        repeats,
    });
    let to: Vec<Address> = stored
        .envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.clone())
        .collect();
    let text = notice::notice(&agent.settings.hostname, clock::now(), &to, &subject, &text);
    let envelope = Envelope {
        origin: format!("digest of {}", stored.id),
        content: Content::default(),
        ..stored.envelope.clone()
    };
    queue(agent, envelope, &text)
}

fn queue(agent: &Agent, envelope: Envelope, text: &[u8]) -> Result<QueueId, String> {
    let uid = envelope.uid;
    let id = deposit::whole(&agent.spool, envelope, text).map_err(|error| error.to_string())?;
    agent.arrived(id, uid);
    Ok(id)
}

/// The first [`RETURNED`] bytes, cut at a line.
fn beginning(body: &Body) -> std::io::Result<Vec<u8>> {
    let mut bytes = match body {
        Body::Inline(bytes) => bytes
            .get(..bytes.len().min(RETURNED))
            .unwrap_or_default()
            .to_vec(),
        Body::File(file, _) => {
            let mut bytes = Vec::new();
            file.take(RETURNED as u64).read_to_end(&mut bytes)?;
            bytes
        }
    };
    if bytes.len() == RETURNED {
        let end = bytes.iter().rposition(|&byte| byte == b'\n');
        bytes.truncate(end.map_or(0, |at| at.saturating_add(1)));
    }
    Ok(bytes)
}
