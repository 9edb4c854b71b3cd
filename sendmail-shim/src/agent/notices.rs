//! Mail that the agent writes itself beside reports: notices to the administrators, and digests.
//!
//! Contract: in the queue, and durable, when a function returns; the sender is null, so nothing of
//! it is ever bounced.
//! RFC 5321 §4.5.5.

use std::{io, time::Duration};

use mail::{
    address::{Address, LocalPart, Mailbox},
    clock::{self, Timestamp},
    envelope::{Content, Envelope, Mail, Rcpt},
    message::{
        Header,
        rewrite::{self, Caller},
    },
    notice,
    outcome::{Failure, Outcome},
};
use queue::rate::Window;
use settings::last_good::Fault;
use spool::{Hold, QueueId, Repeats, Stored};

use super::{
    budget::notice::{self as over, Census},
    duplicates::digest::{self, Digest},
    maillog,
    state::Agent,
    unchanged::digest::Digest as OfReports,
};

/// How much of a message the digest of those like it is made from, bytes.
const SHOWN: u64 = 64 * 1024;
/// Where most of it comes from, in the queue.
pub(super) const OURS: &str = "the agent";
/// A relayhost that refused nothing for so long has ended its refusals.
const QUIET: Duration = Duration::from_hours(24);

/// Writes to root, whom aliases and `admin` redirect; `origin`: what the notice is, in the queue.
/// What fails is logged.
pub(super) fn tell_root(agent: &Agent, subject: &str, text: &str, origin: &str) -> Option<QueueId> {
    let told = to_root(agent, subject, text, origin);
    let warn = |why| maillog::warning(&format!("the administrator cannot be written to: {why}"));
    told.map_err(warn).ok()
}

fn to_root(agent: &Agent, subject: &str, text: &str, origin: &str) -> Result<QueueId, String> {
    let root = LocalPart::new("root").map_err(|error| error.to_string())?;
    let root = [Rcpt::from(Mailbox::Local(root))];
    let caller = Caller {
        user: "root".to_owned(),
        full_name: String::new(),
    };
    let rewritten = agent.with_rules(|rules| {
        rewrite::rewrite(
            &Mail::default(),
            &root,
            &mut Header::default(),
            &caller,
            rules,
        )
    });
    let (mut envelope, _) = rewritten.map_err(|error| format!("{error:?}"))?;
    let to: Vec<Address> = envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.clone())
        .collect();
    let settings = &agent.settings;
    let text = notice::notice(&settings.hostname, clock::now(), &to, subject, text);
    origin.clone_into(&mut envelope.origin);
    envelope.uid = Some(0);
    queue(agent, &envelope, &text)
}

/// Tells root that the configuration is wrong, and what the agent does about it.
pub(super) fn fault(agent: &Agent, fault: &Fault) {
    let consequence = format!(": {}", fault.consequence());
    wrong(agent, "the configuration", &fault.text, &consequence);
}

/// Tells root that an alias file is wrong.
pub(super) fn tables(agent: &Agent, refused: &str) {
    let consequence = ", and none goes to anybody else: over a restart, too";
    wrong(agent, "an alias file", refused, consequence);
}

fn wrong(agent: &Agent, what: &str, why: &str, consequence: &str) {
    let host = &agent.settings.hostname;
    let subject = format!("{host}: {what} of the mail agent is wrong");
    let text = format!(
        "On {host} {what} of the mail agent is wrong:\n\n{why}\n\n\
         No mail is lost{consequence}.\n\
         The agent loads the mended file by itself. See also: sendmail-shim check\n"
    );
    tell_root(agent, &subject, &text, OURS);
}

/// Tells root that the password for the relayhost cannot be read, and what the agent does about it.
pub(super) fn password(agent: &Agent, wrong: &str) {
    let host = &agent.settings.hostname;
    let text = format!(
        "The password with which {host} hands over mail cannot be read:\n\n{wrong}\n\n\
         No mail is lost, and none is sent without the password.\n\
         The agent loads the mended file by itself. See also: sendmail-shim check\n"
    );
    let subject = format!("{host}: the password for the relayhost cannot be read");
    tell_root(agent, &subject, &text, OURS);
}

/// No relayhost can be used: `mailq` says why, and root is told once of an outage that lasts, or of
/// a refusal of this machine.
pub(super) fn unreached(agent: &Agent, failure: &Failure) {
    let (outages, now) = (&agent.outages, clock::now());
    let of_all = !failure.refuses_mail();
    kept_or_logged(outages.goes_on(&failure.log_text(), of_all, now));
    if failure.remedy.is_some() {
        return refused_for(agent, failure);
    }
    lasts(agent, "has not been reached", now);
}

/// The relayhost answers, and says "later" to all mail: told as an outage.
pub(super) fn deferred(agent: &Agent, failure: &Failure) {
    let now = clock::now();
    // Each message has its own reason.
    let known = agent.outages.goes_on(&failure.log_text(), false, now);
    kept_or_logged(known);
    lasts(agent, "has taken no mail", now);
}

/// Root is told once of an outage that lasts.
fn lasts(agent: &Agent, what: &str, now: Timestamp) {
    let (outages, patience) = (&agent.outages, agent.settings.warning);
    let outage = patience.and_then(|patience| outages.to_tell(patience, now));
    if let Some(outage) = outage {
        kept_or_logged(outages.told());
        let host = &agent.settings.hostname;
        let since = outage.since.rfc5322();
        let subject = format!("{host}: the relayhost {what} since {since}");
        let begin = format!("{host} could not hand over mail since {since}.");
        let end = "This is the only warning of this outage.";
        waiting(agent, &subject, (&begin, end), &outage.reason);
    }
}

/// What the relayhost refuses for reasons of this machine, if it does.
pub(super) fn refused(agent: &Agent, outcomes: &[Outcome]) {
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Deferred(failure) if failure.remedy.is_some() => Some(failure),
        _ => None,
    });
    if let Some(failure) = refused {
        refused_for(agent, failure);
    }
}

/// What one of several relayhosts refuses for reasons of this machine, while others take the mail.
pub(super) fn refused_elsewhere(agent: &Agent, failures: &[Failure]) {
    for failure in failures {
        maillog::warning(&failure.log_text());
        refused_for(agent, failure);
    }
}

/// Root is told once, until that has been over for a day; of what concerns all mail also where it
/// is known of one sender.
fn refused_for(agent: &Agent, failure: &Failure) {
    let (refusals, now) = (&agent.refusals, clock::now());
    refusals.ended_if_quiet(QUIET, now);
    if !failure.of_sender && refusals.reason().is_none() {
        refusals.ended();
    }
    let of_all = !failure.of_sender || refusals.reason().is_some();
    kept_or_logged(refusals.goes_on(&failure.log_text(), of_all, now));
    if let Some(refusal) = refusals.to_tell(Duration::ZERO, now) {
        kept_or_logged(refusals.told());
        let host = &agent.settings.hostname;
        let (whose, what) = if of_all {
            ("of this machine", "whatever is in it")
        } else {
            (
                "of a sender",
                "as the reason says, and may take that of others",
            )
        };
        let subject = format!("{host}: the relayhost refuses mail {whose}");
        let begin = format!("The relayhost of {host} refuses mail {whose}, {what}.");
        let end = "This is the only warning, until the refusals have been over for a day.";
        waiting(agent, &subject, (&begin, end), &refusal.reason);
    }
}

fn kept_or_logged(kept: io::Result<()>) {
    if let Err(error) = kept {
        maillog::warning(&format!("the reason of the outage is not kept: {error}"));
    }
}

fn waiting(agent: &Agent, subject: &str, (begin, end): (&str, &str), reason: &str) {
    let relayhosts = agent.settings.relayhost.iter().map(ToString::to_string);
    let text = format!(
        "{begin}\n\n\
         Relayhost: {}\nReason:    {reason}\nWaiting:   {} messages; none is lost, each is tried until it is {} hours old\n\n\
         {end} Look at the queue with `mailq`, and at the way to the relayhost\n\
         with `sendmail-shim check`.\n",
        relayhosts.collect::<Vec<_>>().join(", "),
        agent.dispatch.spool.len(),
        agent.settings.retry.lifetime.as_secs() / 3600,
    );
    tell_root(agent, subject, &text, OURS);
}

/// Tells root that automatic mail waits for the budget, if any does.
pub(super) fn over_budget(agent: &Agent, window: Window, room: Option<Timestamp>) {
    let mut census = Census::default();
    let spool = &agent.dispatch.spool;
    let entries = spool.entries().into_iter();
    for entry in entries.filter(|entry| entry.hold == Hold::OverBudget) {
        // One that leaves meanwhile, or cannot be read, is not counted.
        if let Ok(Some(stored)) = spool.load(entry.id) {
            census.add(&stored.envelope.origin, &stored.header);
        }
    }
    if census.total() > 0 {
        let (subject, text) = over::notice(&agent.settings.hostname, window, room, &census);
        tell_root(agent, &subject, &text, OURS);
    }
}

/// Tells the recipients of a message for how many others it stands; goes in its place.
pub(super) fn digest(agent: &Agent, stored: &Stored, repeats: Repeats) -> Result<QueueId, String> {
    let body = stored.beginning(SHOWN).map_err(|error| error.to_string())?;
    let (subject, text) = digest::digest(&Digest {
        hostname: &agent.settings.hostname,
        origin: &stored.envelope.origin,
        header: &stored.header,
        body: &body,
        first: stored.arrival,
        repeats,
    });
    in_place_of(agent, stored, &subject, &text)
}

/// Tells the recipients of reports that say nothing new; goes in their place. `first`: one of them.
pub(super) fn unchanged(
    agent: &Agent,
    first: &Stored,
    digest: OfReports,
) -> Result<QueueId, String> {
    let (subject, text) = digest.finish();
    in_place_of(agent, first, &subject, &text)
}

/// Queues a digest from and to whom a message is; which of several were blind is not known, so none
/// of them is shown.
fn in_place_of(
    agent: &Agent,
    stored: &Stored,
    subject: &str,
    text: &str,
) -> Result<QueueId, String> {
    let to = match stored.envelope.recipients.as_slice() {
        [alone] => std::slice::from_ref(&alone.address),
        _ => &[],
    };
    let text = notice::notice(&agent.settings.hostname, clock::now(), to, subject, text);
    let envelope = Envelope {
        origin: format!("digest of {}", stored.id),
        content: Content::default(),
        ..stored.envelope.clone()
    };
    queue(agent, &envelope, &text)
}

fn queue(agent: &Agent, envelope: &Envelope, text: &[u8]) -> Result<QueueId, String> {
    let queued = agent.dispatch.inject(envelope, text);
    queued.map_err(|error| error.to_string())
}
