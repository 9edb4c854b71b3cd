//! Orders of administrators: whatever dies, forgets or is cut off, in the end they hold at all.

use std::{collections::HashMap, time::Duration};

use super::super::orders::{Due, Orders, What};
use super::*;

const LONG: Duration = Duration::from_hours(24);

impl World {
    /// Everybody is up, and has heard of everything.
    fn quiet(&mut self) {
        for node in &mut self.nodes {
            node.up = true;
        }
        for _ in 0..8 {
            self.all_tick();
        }
    }

    fn all_tick(&mut self) {
        self.now += 1000;
        for node in 0..NODES {
            self.tick(node);
            self.keep(node);
        }
    }

    fn order(&mut self, node: usize, what: What) {
        let (client, at) = (self.id.client.clone(), self.at(node));
        let node = &mut self.nodes[node];
        let (raised, kept) = match what {
            What::Raise { limit, lasts } => (Some((limit, at.wall + millis(lasts))), lasts),
            What::Reset => (None, LONG),
        };
        node.raised = raised;
        node.site.order(&client, what, millis(kept), at);
    }

    /// What is in force at a node.
    fn in_force(&self, node: usize) -> u32 {
        let raised = self.nodes[node].raised;
        let raised = raised.filter(|(_, until)| *until > self.at(node).wall);
        raised.map_or(LIMIT, |(limit, _)| limit)
    }

    fn all_in_force(&self) -> Vec<u32> {
        (0..NODES).map(|node| self.in_force(node)).collect()
    }

    /// What goes wrong while nobody sends anything.
    fn trouble(&mut self) {
        let node = usize::try_from(self.dice.below(NODES as u64)).unwrap();
        match self.dice.below(12) {
            0..3 => self.nodes[node].up = false,
            3..5 => self.nodes[node].up = true,
            5..7 => self.crash(node),
            7 => self.store.wipe(),
            8 => self.store.lose_orders(),
            _ => {}
        }
        self.all_tick();
    }

    /// All that comes through these nodes until the limit of each is reached.
    fn spend(&mut self, nodes: std::ops::Range<usize>) -> usize {
        let before = self.taken.len();
        for _ in 0..80 {
            for node in nodes.clone() {
                let limit = self.in_force(node);
                self.message_under(node, limit);
                self.ended(node);
            }
            self.all_tick();
        }
        self.taken.len() - before
    }
}

/// The seeds whose worlds went wrong, and the first story.
fn wrong(mistake: Mistake, count: u64) -> (usize, Option<String>) {
    let stories = seeds(count).filter_map(|seed| life(seed, mistake).err());
    let stories: Vec<String> = stories.collect();
    (stories.len(), stories.first().cloned())
}

/// An order, then trouble; in the end it holds everywhere, or what differs.
fn life(seed: u64, mistake: Mistake) -> Result<(), String> {
    let mut world = World::new(seed, OnOutage::Defer, mistake);
    (world.lossy, world.quick) = (false, true);
    let (mut limit, mut used) = (LIMIT, 0);
    for round in 0..6 {
        world.quiet();
        let node = usize::try_from(world.dice.below(NODES as u64)).unwrap();
        if world.dice.permille(400) {
            world.crash(node);
        }
        world.nodes[node].up = !world.dice.permille(400);
        if world.dice.permille(600) {
            world.order(node, What::Reset);
            (limit, used) = (LIMIT, 0);
        }
        if world.dice.permille(600) {
            limit = 31 + u32::try_from(world.dice.below(20)).unwrap();
            world.order(node, What::Raise { limit, lasts: LONG });
        }
        // On the disk before the command ends.
        world.keep(node);
        let alone = world.nodes[node].up && world.dice.permille(300);
        if alone {
            // The others are away; what they had told before is in the store.
            (0..NODES).for_each(|other| world.nodes[other].up = other == node);
            (0..3).for_each(|_| world.all_tick());
            used += left(&mut world, node..node + 1, limit, used)
                .map_err(|why| format!("seed {seed}, round {round}, alone: {why}"))?;
        } else {
            let steps = world.dice.below(20);
            (0..steps).for_each(|_| world.trouble());
        }
        world.quiet();
        let heard = world.all_in_force();
        if heard.iter().any(|heard| *heard != limit) {
            return Err(format!(
                "seed {seed}, round {round}: {heard:?}, and it was {limit}"
            ));
        }
        used += left(&mut world, 0..NODES, limit, used)
            .map_err(|why| format!("seed {seed}, round {round}: {why}"))?;
    }
    Ok(())
}

/// Uses up what is left of a limit, but for what is leased elsewhere: no more, and hardly less.
fn left(
    world: &mut World,
    nodes: std::ops::Range<usize>,
    limit: u32,
    used: usize,
) -> Result<usize, String> {
    let left = (limit as usize).saturating_sub(used);
    let came = world.spend(nodes);
    if came > left || came + 3 < left {
        return Err(format!("{came} came, and {left} of {limit} were left"));
    }
    Ok(came)
}

/// Row A4.
#[test]
fn what_an_administrator_orders_at_one_server_holds_at_all_whatever_fails_meanwhile() {
    let (wrong, story) = wrong(Mistake::None, 200);
    assert_eq!(wrong, 0, "{story:?}");
}

#[test]
fn each_rule_about_orders_that_is_left_out_is_noticed() {
    for mistake in [
        Mistake::OrdersAreNotKept,
        Mistake::OrdersAreNumbered,
        Mistake::ResetsAreNotInTheStore,
    ] {
        let (wrong, story) = wrong(mistake, 200);
        println!("{mistake:?}: {wrong} of 200 seeds, {story:?}");
        assert!(wrong > 0, "{mistake:?} is not noticed");
    }
}

/// Orders at any servers, at any times, while clocks are wrong and set, servers are cut off and
/// killed and the store is emptied: what holds in the end, or what differs.
fn orders_at_all_times(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed, OnOutage::Defer, Mistake::None);
    (world.lossy, world.quick) = (false, true);
    let off = |dice: &mut Dice| i64::try_from(dice.below(4 * DAY)).unwrap() - 172_800_000;
    world.skew = off(&mut world.dice);
    for node in 0..NODES {
        world.nodes[node].wall = off(&mut world.dice);
    }
    // A server that knows the store's clock does not look at its own.
    let mut knows = [false; NODES];
    let (mut limit, mut end) = (LIMIT, 0);
    let mut story = Vec::new();
    for round in 0..5 {
        for _ in 0..=world.dice.below(8) {
            let node = usize::try_from(world.dice.below(NODES as u64)).unwrap();
            match world.dice.below(7) {
                0 => world.nodes[node].up = false,
                1 => world.nodes[node].up = true,
                2 => {
                    world.crash(node);
                    knows[node] = false;
                }
                3 if knows[node] => world.nodes[node].wall = off(&mut world.dice),
                4 => world.store.wipe(),
                5 => {
                    world.all_tick();
                    let up = world.nodes.iter().map(|it| it.up);
                    up.zip(&mut knows).for_each(|(up, knows)| *knows |= up);
                }
                _ => {}
            }
            world.now += 1 + world.dice.below(3000);
            let node = usize::try_from(world.dice.below(NODES as u64)).unwrap();
            let what = if world.dice.permille(400) {
                limit = LIMIT;
                What::Reset
            } else {
                limit = u32::try_from(world.dice.below(60)).unwrap();
                let lasts = Duration::from_secs(3600 + world.dice.below(DAY / 1000));
                end = world.now + millis(lasts);
                What::Raise { limit, lasts }
            };
            world.order(node, what);
            world.keep(node);
            story.push((world.now, node, limit, knows[node]));
        }
        world.quiet();
        knows = [true; NODES];
        let heard = world.all_in_force();
        if heard.iter().any(|heard| *heard != limit) {
            return Err(format!(
                "seed {seed}, round {round}: {heard:?}, and it was {limit}: {story:?}"
            ));
        }
    }
    world.now = world.now.max(end);
    let heard = world.all_in_force();
    if heard.iter().any(|heard| *heard != LIMIT) {
        return Err(format!("seed {seed}: {heard:?} after {end}: {story:?}"));
    }
    Ok(())
}

#[test]
fn of_two_orders_the_later_one_is_in_force_for_the_time_ordered_whatever_the_clocks_say() {
    for seed in seeds(500) {
        if let Err(why) = orders_at_all_times(seed) {
            panic!("{why}");
        }
    }
}

/// Earlier versions counted orders, and had given many.
#[test]
fn an_order_that_an_earlier_version_has_written_is_read_and_a_later_one_is_in_force() {
    let client = ClientId::parse("10.0.0.7").unwrap();
    let (now, keep) = (20_000 * DAY, 20_001 * DAY);
    let record = |number: u64, limit: u32| {
        format!(
            r#"{{"reset":null,"raise":{{"stamp":{{"number":{number},"node":"mx8"}},"limit":{limit},"until":1900000000000}},"keep":{keep}}}"#
        )
    };
    let mut orders = Orders::default();
    let kept = format!(r#"{{"record":{},"early":false}}"#, record(4, 40));
    assert!(orders.restore("10.0.0.7", &kept));
    let row = format!("0 - {}", record(900, 50));
    let rows = HashMap::from([("10.0.0.7".to_owned(), row)]);
    let met = orders.meet(&rows, now);
    assert_eq!(met.due.first().unwrap().1.raise.unwrap().0, 50);

    let mut other = Orders::default();
    other.give("mx1", &client, What::Reset, DAY, (now, false));
    let due = &other.meet(&rows, now).due;
    assert!(due.iter().all(|(_, due)| due.raise.is_none()), "{due:?}");
    let rows = other.meet(&rows, now).tell.into_iter();
    let rows = rows.map(|row| (row.client, row.is)).collect();
    assert_eq!(
        orders.meet(&rows, now).due,
        [(
            client,
            Due {
                reset: true,
                raise: None
            }
        )]
    );
}
