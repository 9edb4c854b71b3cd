//! Mail of our own to the administrators: the driver of [`crate::notices`].
//!
//! Contract: a notice that cannot be queued is tried again; without anybody to tell it is a line in
//! the log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mail::{
    address::{Domain, Sender},
    clock::{self, Timestamp},
    envelope::{Envelope, Recipient},
};
use queue::{clock::Watch, notification::DEAD};
use settings::last_good::Fault;
use spool::SpoolError;
use system::log::{self, Level, line};
use tokio::{
    task::{block_in_place, spawn_blocking},
    time,
};

use super::Server;
use crate::{
    dispatch::Dispatch,
    notices::{Event, HOURS, Kind, News, Notice, OutageReport, Waiting},
    setup::Setup,
};

/// Where most of it comes from, in the queue.
const OURS: &str = "smarthost";
/// What the outage is called in which nothing can be queued.
const DISK: &str = "the queue";
/// And one in which nothing that is counted can be written; a shorter one is nobody's business.
const COUNTERS: &str = "writing the counters";
const COUNTERS_PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait without looking at the clock.
const LOOK: Duration = Duration::from_mins(1);
/// Messages that are looked at for the digest.
const MOST: usize = 20_000;

/// Tells what is to be told, as long as the daemon runs, and what the log has counted. What waits
/// at the end is kept.
pub(crate) async fn run(server: Arc<Server>) {
    let news = server.dispatch.news();
    let mut ending = server.ending.clone();
    let mut watch = Watch::new(clock::now(), clock::steady());
    loop {
        log::tell_repeats();
        of_counters(&server);
        if let Some(step) = watch.look(clock::now(), clock::steady()) {
            server.expected().stepped(step, clock::now());
            news.lock().stepped(step, clock::now());
        }
        let wait = if send(&server).await {
            let now = clock::now();
            let due = news.lock().deadline(now);
            let look = server.expected().next_look();
            let due = due.map_or(look, |due| due.min(look));
            due.since(now).min(LOOK)
        } else {
            LOOK
        };
        let ended = tokio::select! {
            _ = time::timeout(wait, news.awoken()) => false,
            () = server.state.turned() => false,
            _ = ending.wait_for(|ending| *ending) => true,
        };
        if ended {
            return;
        }
    }
}

/// What is to be told of mail that must come.
fn look(server: &Server, now: Timestamp) -> Vec<News> {
    let mut expected = server.expected();
    expected.look(now);
    let news = expected.news();
    drop(expected);
    if !news.is_empty() {
        server.state.changed();
    }
    news
}

/// Queues all that is due; whether that worked.
async fn send(server: &Server) -> bool {
    let (news, setup) = (server.dispatch.news(), server.current.get());
    let host = setup.config.hostname.as_ref();
    let twice = setup.enrolled.untold(host);
    let of_file = setup.enrolled.news_of_file(host);
    let day_is_over = {
        let now = clock::now();
        let mut told = server.limits().news();
        told.extend(look(server, now));
        let mut notices = news.lock();
        notices.set_host(host);
        told.extend(of_file);
        told.extend(twice.iter().map(|(_, news)| news.clone()));
        for news in told {
            notices.handle(Event::News(news), now);
        }
        notices.day_is_over(now)
    };
    if !twice.is_empty() {
        news.kept().await;
        let names: Vec<_> = twice.into_iter().map(|(name, _)| name).collect();
        block_in_place(|| setup.enrolled.told(&names));
    }
    if day_is_over {
        let dispatch = Arc::clone(&server.dispatch);
        let waiting = spawn_blocking(move || waiting(&dispatch, clock::now())).await;
        news.tell(Event::DayEnded {
            waiting: waiting.unwrap_or_default(),
            more: server.expected().digest(),
        });
    }
    loop {
        let due = news.lock().next_notice(clock::now());
        let Some(notice) = due else {
            return true;
        };
        if let Err(error) = queue(&server.dispatch, &setup, &notice).await {
            let text = format_args!("cannot queue a notice to the administrators: {error}");
            line(Level::Error, &text);
            news.lock().again(notice);
            return false;
        }
        news.kept().await;
        line(Level::Notice, &format_args!("notice: {}", notice.subject));
    }
}

async fn queue(dispatch: &Dispatch, setup: &Setup, notice: &Notice) -> Result<(), SpoolError> {
    let (to, origin) = match notice.kind {
        Kind::Limits | Kind::Full => (&setup.config.limits_notify, OURS),
        Kind::Dead => (&setup.config.admins, DEAD),
        _ => (&setup.config.admins, OURS),
    };
    if to.is_empty() {
        return Ok(());
    }
    let host = &setup.config.hostname;
    let message = mail::notice::notice(host, clock::now(), to, &notice.subject, &notice.text);
    let envelope = Envelope {
        sender: Sender::Null,
        recipients: to.iter().cloned().map(Recipient::from).collect(),
        origin: origin.to_owned(),
        ..Envelope::default()
    };
    let queued = dispatch.inject(&message, envelope, &setup.router).await;
    queued.map(drop)
}

/// Tells the administrators what is wrong with the configuration, and what the daemon does about
/// it.
pub(crate) fn of_fault(server: &Server, fault: &Fault) {
    let host = &server.current.get().config.hostname;
    let text = format!(
        "The configuration of smarthost on {host}, or a file that it names, is wrong:\n\n{}\n\n\
         No mail is lost: {}.\n\
         The daemon loads the mended file by itself. See also: smarthost check\n",
        fault.text,
        fault.consequence(),
    );
    server.dispatch.news().tell(Event::News(News {
        kind: Kind::Fault,
        headline: format!("{host}: the configuration of smarthost is wrong"),
        text,
        strangers: false,
    }));
}

/// Tells the administrators where clients cannot connect; mail comes in elsewhere.
pub(crate) fn of_no_listener(server: &Server, deaf: &[String]) {
    if deaf.is_empty() {
        return;
    }
    let host = &server.current.get().config.hostname;
    let text = format!(
        "On {host}, smarthost cannot listen on all its addresses:\n\n{}\n\n\
         The other addresses accept mail. See also: smarthost status\n",
        deaf.join("\n")
    );
    server.dispatch.news().tell(Event::News(News {
        kind: Kind::Fault,
        headline: format!("{host}: smarthost cannot listen on all its addresses"),
        text,
        strangers: false,
    }));
}

/// What was counted is gone.
pub(crate) fn of_damaged_counters(host: &Domain, lost: &str) -> Event {
    Event::News(News {
        kind: Kind::Fault,
        headline: format!("{host}: the counters of smarthost were damaged"),
        text: format!(
            "On {host} {lost}.\n\n\
             No mail is lost. Each client may send its whole limit again. When you have looked at \
             the old file, move it away: until then it is an alarm. See also: smarthost status\n"
        ),
        strangers: false,
    })
}

/// Whether counters can be written, where that has changed.
fn of_counters(server: &Server) {
    let news = server.dispatch.news();
    let (fault, is_out) = (server.state.fault(), news.lock().is_out(COUNTERS));
    let what = COUNTERS.to_owned();
    match fault {
        None if is_out => news.tell(Event::Ended { what }),
        Some((since, why)) if !is_out => {
            let host = &server.current.get().config.hostname;
            let text = format!(
                "On {host} what is counted cannot be written since {}:\n\n{why}\n\n\
                 Mail is taken and delivered. Limits are held from memory, and forgotten if the \
                 daemon ends meanwhile. Writing is tried again each second. See also: smarthost \
                 check\n",
                since.rfc5322()
            );
            news.tell(Event::Began(OutageReport {
                what,
                patience: COUNTERS_PATIENCE,
                headline: format!("{host}: the counters of smarthost cannot be written"),
                text,
                lasts: false,
                reason: None,
            }));
        }
        _ => {}
    }
}

/// No mail can be queued: the administrators are told as soon as there is room for that.
pub(super) fn of_no_room(server: &Server, error: &SpoolError) {
    let news = server.dispatch.news();
    if news.lock().is_out(DISK) {
        return;
    }
    let host = &server.current.get().config.hostname;
    let text = format!(
        "{host} could not accept mail:\n\n{error}\n\n\
         Clients get a temporary error (452 or 451); mail accepted before is kept and delivered.\n\
         This ends by itself with the first mail that is accepted. See also: smarthost check\n"
    );
    news.tell(Event::Began(OutageReport {
        what: DISK.to_owned(),
        patience: Duration::ZERO,
        headline: format!("{host}: no mail can be taken"),
        text,
        lasts: true,
        reason: None,
    }));
}

/// Mail was queued.
pub(super) fn has_room(server: &Server) {
    let news = server.dispatch.news();
    if news.lock().is_out(DISK) {
        let what = DISK.to_owned();
        news.tell(Event::Ended { what });
    }
}

/// Recipients that wait for hours, by domain.
fn waiting(dispatch: &Dispatch, now: Timestamp) -> Vec<Waiting> {
    let mut domains: BTreeMap<String, Waiting> = BTreeMap::new();
    let spool = dispatch.spool();
    // The queue knows how old mail is, whatever the clock was set to.
    let old = dispatch.lock().older(now.before(HOURS), MOST);
    let ids: Vec<_> = old.iter().map(|(id, _)| *id).collect();
    for ((id, arrival), known) in old.into_iter().zip(spool.known_of(&ids)) {
        // One that leaves meanwhile is not counted.
        let (Some(entry), Some(known)) = (spool.entry(id), known) else {
            continue;
        };
        for waits in &entry.waiting {
            let at = usize::try_from(waits.recipient).ok();
            let Some(to) = at.and_then(|at| known.envelope.recipients.get(at)) else {
                continue;
            };
            let domain = to.address.domain().to_string();
            let row = domains.entry(domain).or_insert_with_key(|to| Waiting {
                to: to.clone(),
                count: 0,
                oldest: arrival,
                reason: String::new(),
            });
            row.count += 1;
            row.oldest = row.oldest.min(arrival);
            if let Some(reason) = &waits.reason {
                row.reason = reason.to_string();
            }
        }
    }
    domains.into_values().collect()
}
