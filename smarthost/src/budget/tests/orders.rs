//! Orders of administrators: whatever dies, forgets or is cut off, in the end they hold at all.

use super::super::orders::What;
use super::*;

const HOUR: Millis = 3_600_000;

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
        node.raised = match what {
            What::Raise { limit, .. } => Some(limit),
            What::Reset => None,
        };
        node.site.order(&client, what, 24 * HOUR, at);
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
                let limit = self.nodes[node].raised.unwrap_or(LIMIT);
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
            let until = mail::clock::Timestamp::from_millis(world.now + 24 * HOUR);
            world.order(node, What::Raise { limit, until });
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
        let heard: Vec<u32> = world
            .nodes
            .iter()
            .map(|it| it.raised.unwrap_or(LIMIT))
            .collect();
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
