//! Destinations that worked today, and had no mail for a while.

use std::collections::BTreeMap;

use super::*;

const HEALTHY: u64 = 200;

/// Deliveries of messages from `number` on, one to each of so many destinations.
fn to_each(
    queue: &mut Queue,
    name: &str,
    count: u64,
    number: u64,
    now: Timestamp,
) -> Vec<Delivery> {
    let one = |it| {
        let mail = accepted(number + it, &[&format!("{name}{it}")]);
        deliveries(&tell(queue, mail, now))
    };
    (0..count).flat_map(one).collect()
}

/// A queue with destinations that answered at [`START`], each once.
fn proven(name: &str, count: u64) -> Queue {
    let mut queue = hundred();
    let mut flights = to_each(&mut queue, name, count, 100_000, START);
    while let Some(flight) = flights.pop() {
        let next = tell(&mut queue, finished(&flight, sent()), START);
        flights.extend(deliveries(&next));
    }
    assert!(queue.is_empty());
    queue
}

/// Mail to healthy destinations, of which each takes a tenth of a second, comes at an even pace.
struct Burst {
    queue: Queue,
    now: Timestamp,
    /// Deliveries under way, by their end.
    coming: BTreeMap<(Timestamp, u64), Delivery>,
    left: u64,
}

impl Burst {
    const MESSAGES: u64 = 4000;
    const PACE: Duration = Duration::from_millis(5);

    /// How many milliseconds it takes where they were idle for so long, and mail for so many
    /// silent destinations waits.
    fn takes(idle: Duration, silent: u64) -> u128 {
        let mut burst = Self {
            queue: proven("healthy", HEALTHY),
            now: START.after(idle),
            coming: BTreeMap::new(),
            left: Self::MESSAGES,
        };
        let mute = to_each(&mut burst.queue, "silent", silent, 200_000, burst.now);
        for flight in mute {
            burst.fly(flight);
        }
        let begins = burst.now.after(Duration::from_mins(1));
        burst.run(Some(begins));
        for number in 0..Self::MESSAGES {
            let name = format!("healthy{}", number % HEALTHY);
            burst.tell(accepted(300_000 + number, &[&name]));
            burst.run(Some(burst.now.after(Self::PACE)));
        }
        burst.run(None);
        burst.now.since(begins).as_millis()
    }

    fn fly(&mut self, flight: Delivery) {
        let took = match flight.patience {
            _ if flight.destination.starts_with("healthy") => Duration::from_millis(100),
            Patience::Short => Duration::from_secs(10),
            Patience::Full => Duration::from_mins(5),
        };
        let end = self.now.after(took);
        self.coming.insert((end, flight.ticket), flight);
    }

    fn tell(&mut self, event: Event) {
        let mut actions = tell(&mut self.queue, event, self.now);
        while let Some(action) = actions.pop() {
            match action {
                Action::Load { id, .. } => {
                    // That of a silent one, which is tried no more.
                    let event = Event::Remove { id };
                    actions.extend(tell(&mut self.queue, event, self.now));
                }
                Action::Deliver(flight) => self.fly(flight),
                _ => {}
            }
        }
    }

    /// Until then, or until all healthy mail has gone.
    fn run(&mut self, until: Option<Timestamp>) {
        while until.is_some() || self.left > 0 {
            let due = self.queue.deadline().map(|due| due.max(self.now));
            let ends = self.coming.keys().next().map(|(at, _)| *at);
            let next = [due, ends].into_iter().flatten().min().unwrap_or(self.now);
            if let Some(until) = until
                && (next > until || (due.is_none() && ends.is_none()))
            {
                self.now = until;
                return;
            }
            self.now = next;
            if ends != Some(next) {
                self.tell(Event::TimedOut);
                continue;
            }
            let (_, flight) = self.coming.pop_first().unwrap();
            let healthy = flight.destination.starts_with("healthy");
            self.left -= u64::from(healthy);
            let outcome = if healthy { sent() } else { silence() };
            self.tell(finished(&flight, outcome));
        }
    }
}

#[test]
fn hundreds_of_silent_destinations_hardly_slow_mail_to_those_that_worked_hours_ago() {
    for idle in [10, 31, 3600, 5 * 3600].map(Duration::from_secs) {
        let (alone, beside) = (Burst::takes(idle, 0), Burst::takes(idle, 300));
        assert!(
            alone * 100 >= beside * 95,
            "{alone} ms alone, {beside} ms beside silent ones, idle for {idle:?}"
        );
    }
}

#[test]
fn a_destination_that_failed_since_is_no_longer_trusted_until_it_answers() {
    let hours = 3600;
    let mut queue = proven("healthy", 1);
    to_each(&mut queue, "silent", 300, 0, later(hours));
    let mut trusted = to_each(&mut queue, "healthy", 1, 1000, later(hours));
    trusted.extend(to_each(&mut queue, "healthy", 1, 1001, later(hours)));
    assert_eq!(trusted.len(), 2, "as many as it takes to see");
    let none = to_each(&mut queue, "healthy", 1, 1002, later(hours));
    assert_eq!(none.len(), 0, "before it has answered");
    let failed = tell(
        &mut queue,
        finished(&trusted[0], unreachable()),
        later(hours),
    );
    assert_eq!(deliveries(&failed).len(), 0, "the other may fail as well");
    let answered = tell(&mut queue, finished(&trusted[1], sent()), later(hours + 1));
    let next = deliveries(&answered);
    assert_eq!(next.len(), 1);
    assert_eq!(*next[0].destination, "healthy0", "it works");
}

#[test]
fn hundreds_that_worked_hours_ago_and_are_silent_now_leave_places_to_those_that_work() {
    let mut queue = proven("once", 300);
    let worked = deliveries(&tell(&mut queue, accepted(0, &["works"]), later(3600))).remove(0);
    tell(&mut queue, finished(&worked, sent()), later(3600));
    let flights = to_each(&mut queue, "once", 300, 1000, later(3600));
    assert!((80..=90).contains(&flights.len()), "{}", flights.len());
    let short = flights.iter().filter(|it| it.patience == Patience::Short);
    assert!(short.count() >= 40, "they give their places back soon");
    let there: usize = (2000..2020)
        .map(|number| of(2, accepted(number, &["works"])))
        .map(|mail| deliveries(&tell(&mut queue, mail, later(3610))).len())
        .sum();
    assert!(there >= 6, "{there}");
    // In half an hour they are as silent as any others.
    let ended = tell(&mut queue, finished(&flights[0], silence()), later(3910));
    let next = deliveries(&ended);
    assert!(next.len() <= 1, "{next:?}");
}

#[test]
fn one_host_behind_many_domains_that_worked_hours_ago_is_asked_by_a_few_until_it_answers() {
    let host: Vec<Arc<str>> = vec![Arc::from("192.0.2.1")];
    let mut queue = proven("domain", 40);
    let mut open = to_each(&mut queue, "domain", 40, 0, later(3600));
    assert_eq!(open.len(), 40);
    let mut admitted = Vec::new();
    let mut steps = 0;
    while let Some(flight) = open.pop() {
        steps += 1;
        assert!(steps < 200, "it goes round and round");
        if queue.admits(&flight.destination, &host, later(3600)) {
            admitted.push(flight);
        } else {
            let ticket = flight.ticket;
            let actions = tell(&mut queue, Event::Withdrawn { ticket }, later(3600));
            open.extend(deliveries(&actions));
        }
    }
    assert!(admitted.len() <= 5, "{}", admitted.len());
    let mut ends = 0;
    while let Some(flight) = admitted.pop() {
        let actions = tell(&mut queue, finished(&flight, sent()), later(3601));
        ends += 1;
        for flight in deliveries(&actions) {
            assert!(queue.admits(&flight.destination, &host, later(3601)));
            admitted.push(flight);
        }
    }
    assert_eq!(ends, 40, "all of it goes once it has answered");
    assert!(queue.is_empty());
}
