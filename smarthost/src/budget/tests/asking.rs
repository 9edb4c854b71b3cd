//! How often the store is asked and the disk written, and what clocks that are set do to both.

use super::*;

const HOUR: Millis = 3_600_000;
/// Of a client that sends much.
const MUCH: u32 = 1000;

impl World {
    /// Nothing fails; all have told what they know.
    fn calm(mode: OnOutage) -> Self {
        let mut world = Self::new(1, mode, Mistake::None);
        (world.lossy, world.quick) = (false, true);
        for node in (0..NODES).chain(0..NODES) {
            world.tick(node);
            world.keep(node);
        }
        world
    }

    /// So many messages, one every other second: how often the store is asked.
    fn questions(&mut self, node: usize, messages: u32) -> u32 {
        let id = self.id.clone();
        let mut questions = 0;
        for _ in 0..messages {
            self.now += 2000;
            let at = self.at(node);
            if let Take::Ask(request) = self.nodes[node].site.take(&id, MUCH, at) {
                questions += 1;
                self.answer(node, &request);
                let again = self.nodes[node].site.take(&id, MUCH, at);
                assert_eq!(again, Take::Spent);
            }
            self.nodes[node].site.settle(&id, 1, 1, at);
            self.tick(node);
        }
        questions
    }
}

#[test]
fn a_client_that_goes_on_costs_few_questions_to_the_store() {
    let mut world = World::calm(OnOutage::Share);
    assert_eq!(world.questions(0, 5), 1, "mail seldom comes alone");
    let more = world.questions(0, 100);
    assert!(more <= 5, "{more}");
}

#[test]
fn nobody_asks_a_store_that_grants_nothing_before_another_server_has_come() {
    let mut world = World::new(1, OnOutage::Share, Mistake::None);
    (world.lossy, world.quick) = (false, true);
    for node in [0, 1, 0, 1] {
        world.tick(node);
    }
    assert_eq!(world.questions(0, 5), 0);
    world.tick(2);
    world.tick(0);
    assert!(world.questions(0, 5) > 0, "all are there");
}

#[test]
fn what_is_spent_of_a_lease_is_on_the_disk_with_the_lease() {
    let mut world = World::calm(OnOutage::Share);
    world.questions(0, 1);
    let at = world.at(0);
    let site = &mut world.nodes[0].site;
    assert_eq!(site.changes(at).len(), 1);
    world.questions(0, 1);
    let at = world.at(0);
    let changes = world.nodes[0].site.changes(at);
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn a_server_that_starts_again_forgets_nothing_though_its_clock_and_the_stores_were_set() {
    for (mode, most) in [(OnOutage::Defer, 30), (OnOutage::Share, 50)] {
        let mut world = World::calm(mode);
        for _ in 0..12 {
            world.message(0);
            world.ended(0);
        }
        let taken = world.taken.len();
        assert!(taken >= 10, "{taken}");
        let far = 30 * HOUR.cast_signed();
        world.nodes[0].wall += far;
        world.tick(0);
        world.keep(0);
        world.nodes[0].up = false;
        world.crash(0);
        world.skew += far;
        for node in [1, 2, 1, 2] {
            world.tick(node);
        }
        world.nodes[0].up = true;
        for node in (0..NODES).chain(0..NODES) {
            world.tick(node);
        }
        for node in (0..NODES).cycle().take(150) {
            world.now += 1000;
            world.tick(node);
            world.message(node);
            world.ended(node);
        }
        let taken = world.taken.len();
        assert!(taken <= most, "{mode:?}: {taken} of {most}");
    }
}
