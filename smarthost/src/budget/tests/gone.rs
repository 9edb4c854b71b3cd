//! A smarthost that is gone for good, as an administrator has said: nobody waits for it any more,
//! whatever the store forgets, until it is back.

use super::super::peers::{is_its_own, said};
use super::*;

/// Servers that come and go, are forgotten and come back, and a store that forgets.
struct Story {
    world: World,
    /// As an administrator has said.
    gone: [bool; NODES],
    /// At which server he has.
    by: [usize; NODES],
    /// By whom each was heard since.
    back: [[bool; NODES]; NODES],
}

impl Story {
    fn new(seed: u64, mistake: Mistake) -> Self {
        let mut world = World::new(seed, OnOutage::Defer, mistake);
        (world.lossy, world.quick) = (false, true);
        let (gone, back) = ([false; NODES], [[false; NODES]; NODES]);
        let by = [0; NODES];
        Self {
            world,
            gone,
            by,
            back,
        }
    }

    /// An administrator has said so, and nobody who is not gone has heard it since.
    fn is_gone(&self, node: usize) -> bool {
        let mut there = self.gone.map(|gone| !gone);
        for _ in 0..NODES {
            for node in 0..NODES {
                let mut heard = self.back[node].iter().zip(&there);
                there[node] |= heard.any(|(heard, there)| *heard && *there);
            }
        }
        !there[node]
    }

    fn forget(&mut self, by: usize, node: usize) -> bool {
        let forgotten = self.world.forget(by, &format!("mx{node}"));
        if forgotten {
            self.gone[node] = true;
            self.by[node] = by;
            self.back[node] = [false; NODES];
        }
        forgotten
    }

    /// Each that is there says so; nothing is granted before all have that are not gone.
    fn go_on(&mut self, after: Millis) -> Result<(), String> {
        self.world.now += after;
        for node in 0..NODES {
            self.world.tick(node);
            self.world.keep(node);
            for other in (0..NODES).filter(|other| *other != node && self.world.nodes[node].up) {
                let text = self.world.store.nodes.get(&format!("mx{other}"));
                let back = text.is_some_and(|text| is_its_own(said(text).0));
                self.back[other][node] |= back;
            }
            let store = &self.world.store;
            let missing = (0..NODES).find(|other| {
                !self.is_gone(*other) && !store.truly.contains(&format!("mx{other}"))
            });
            if store.told.len() >= NODES
                && let Some(missing) = missing
            {
                return Err(format!("nobody waits for mx{missing}: {store:?}"));
            }
        }
        Ok(())
    }

    /// All but those that are gone, as somebody knows who is there.
    fn all_come(&mut self) -> Result<(), String> {
        for node in (0..NODES).cycle().take(NODES * NODES) {
            let heard = self.back[node].contains(&true);
            let known = self.gone[node] && self.world.nodes[self.by[node]].up;
            self.world.nodes[node].up |= heard || !known;
        }
        (0..4).try_for_each(|_| self.go_on(1000))
    }

    fn happens(&mut self) {
        let node = usize::try_from(self.world.dice.below(NODES as u64)).unwrap();
        let other = (node + 1) % NODES;
        match self.world.dice.below(12) {
            0..4 => self.world.nodes[node].up = false,
            4..7 => self.world.nodes[node].up = true,
            7 => self.world.store.wipe(),
            8 => {
                let (epoch, now) = (self.world.store.epoch(), self.world.shown());
                self.world.store.renew(&epoch, now);
            }
            _ if self.world.nodes[node].up && !self.world.nodes[other].up => {
                self.forget(node, other);
            }
            _ => {}
        }
    }
}

fn life(seed: u64, mistake: Mistake) -> Result<(), String> {
    let mut story = Story::new(seed, mistake);
    story.go_on(1000)?;
    story.go_on(1000)?;
    for _ in 0..150 {
        story.happens();
        let after = 1 + story.world.dice.below(15_000);
        story.go_on(after)?;
    }
    // What each has heard by then is heard by those who come.
    for _ in 0..NODES {
        story.all_come()?;
    }
    let complete = story.world.store.told.len() >= NODES;
    let there = story.world.nodes.iter().filter(|node| node.up);
    if complete && there.clone().all(|node| node.site.is_up()) {
        return Ok(());
    }
    let there = story
        .world
        .nodes
        .iter()
        .map(|node| (node.up, node.site.is_up()));
    let there: Vec<_> = there.collect();
    Err(format!(
        "there: {there:?}; gone: {:?}; {:?}",
        story.gone, story.world.store
    ))
}

#[test]
fn nobody_waits_for_a_server_that_is_gone_for_good_and_all_do_when_it_is_back() {
    for seed in seeds(500) {
        if let Err(why) = life(seed, Mistake::None) {
            panic!("seed {seed}: {why}");
        }
    }
}

#[test]
fn a_store_that_waits_again_for_who_is_gone_where_an_epoch_ends_is_noticed() {
    let mut lives = seeds(500).map(|seed| life(seed, Mistake::GoneAreWaitedFor));
    assert!(lives.any(|life| life.is_err()));
}

#[test]
fn who_was_said_to_be_gone_is_known_after_a_restart_and_can_be_said_to_be_gone_again() {
    let mut story = Story::new(1, Mistake::None);
    story.go_on(1000).unwrap();
    story.world.nodes[2].up = false;
    story.go_on(20_000).unwrap();
    assert!(!story.world.forget(0, "typo"));
    assert!(story.forget(0, 2));
    story.go_on(1000).unwrap();
    for node in 0..2 {
        story.world.crash(node);
    }
    story.world.store.wipe();
    for _ in 0..3 {
        story.go_on(1000).unwrap();
    }
    assert_eq!(story.world.store.told.len(), NODES, "nobody waits for it");
    assert!(story.forget(1, 2), "and to say so again does no harm");
    story.world.nodes[2].up = true;
    story.go_on(1000).unwrap();
    assert!(!story.forget(1, 2), "it is back");
}
