//! What a fault or an order does to a program.

use mail::clock;
use queue::Event;
use spool::Hold;

use crate::{
    network::{Owner, SECOND},
    program::{Context, Program, Role},
    scenario::{Fault, Order, PEACE},
    sending::Errand,
    trouble::Trouble,
    world::{Shared, World},
};

impl World {
    pub(crate) fn strike(&mut self, fault: Fault) {
        self.common
            .story
            .tell(self.common.now, &"world", || format!("{fault:?}"));
        let Self {
            common,
            agents,
            relay,
            peers,
            ..
        } = self;
        let now = common.now;
        match fault {
            Fault::Peer { peer, mood, long } => peers[peer].set_mood(mood, (now + long).min(PEACE)),
            Fault::Names { long } => common.names.trouble = (now + long).min(PEACE),
            Fault::Reload { limit } => {
                relay.role.reload(limit);
            }
            Fault::Crash { who, .. }
            | Fault::Stop { who, .. }
            | Fault::Disk { who, .. }
            | Fault::Clock { who, .. }
            | Fault::Order { who, .. } => match who {
                Owner::Agent(number) => hit(&fault, common, &mut agents[number]),
                _ => hit(&fault, common, relay),
            },
        }
    }

    /// From now on everything works, and nothing is on hold but what is dead.
    pub(crate) fn make_peace(&mut self) {
        let Self {
            common,
            agents,
            relay,
            ..
        } = self;
        common
            .story
            .tell(common.now, &"world", || "peace".to_owned());
        for agent in agents {
            calm(common, agent);
        }
        calm(common, relay);
        self.dial();
    }
}

/// The disk works again, and a program that could not read all of it is started anew.
pub(crate) fn calm<R: Role>(common: &mut Shared, program: &mut Program<R>) {
    program.ail(Trouble::default());
    // A crash that was still to come would undo the last orders, which nobody gives again.
    common.doomed.remove(&program.owner);
    if program.up.is_none() {
        program.back_at = Some(common.now);
        common.step(program, Program::tick);
    }
    if program.misses {
        let fault = Fault::Stop {
            who: program.owner,
            down: 0,
        };
        hit(&fault, common, program);
        common.step(program, Program::tick);
    }
    common.step(program, release);
}

fn release<R: Role>(program: &mut Program<R>, context: &mut Context<'_>) {
    for (id, _) in program.queued() {
        if let Some(up) = &mut program.up
            && up.spool.entry(id).is_some_and(|it| it.hold != Hold::No)
        {
            up.queue.handle(Event::Release { id }, context.wall);
        }
    }
    program.go_on(context);
}

pub(crate) fn hit<R: Role>(fault: &Fault, common: &mut Shared, program: &mut Program<R>) {
    let now = common.now;
    match *fault {
        Fault::Crash {
            luck,
            unheard: false,
            down,
            ..
        } => common.crash(program, luck, now + down),
        Fault::Crash {
            luck, down, who, ..
        } => drop(common.doomed.insert(who, (luck, now + down))),
        Fault::Stop { down, .. } => {
            clock::simulate(Some((common.wall(program.skew), common.steady())));
            if let Some(up) = &program.up {
                // What is under way when a program ends may come twice.
                for token in up.errands.values().filter_map(Errand::token) {
                    let why = "a program ended that delivered it";
                    common.model.excuse(token, why);
                }
            }
            program.stop(now + down);
            common.network.drop_all(program.owner, true, now);
        }
        Fault::Disk { trouble, .. } => program.ail(trouble),
        Fault::Clock { by, .. } => {
            program.skew += by;
            common.model.clock_set(program.owner == Owner::Relay);
            // It is looked at once a minute, and before that when something else happens.
            let within = common.dice.below(60 * SECOND);
            program.look(now + within);
        }
        Fault::Order { order, pick, .. } => {
            let queued = program.queued();
            if queued.is_empty() {
                return;
            }
            let (id, token) = queued[pick % queued.len()];
            let event = match order {
                Order::Hold => Event::Hold { id },
                Order::Release => Event::Release { id },
                Order::Flush => Event::Flush { id },
                Order::FlushAll => Event::FlushAll,
                Order::Return => {
                    let Some(up) = &program.up else { return };
                    Event::returned(id, up.spool.known(id).as_ref(), up.spool.entry(id).as_ref())
                }
                Order::Remove => Event::Remove { id },
            };
            match (order, token) {
                (Order::Remove, Some(token)) => common.model.removed(token),
                (Order::Return, Some(token)) => common.model.returned(token),
                _ => {}
            }
            common.step(program, |program, context| {
                if let Some(up) = &mut program.up {
                    up.queue.handle(event, context.wall);
                }
                program.go_on(context);
            });
        }
        Fault::Peer { .. } | Fault::Names { .. } | Fault::Reload { .. } => {}
    }
}
