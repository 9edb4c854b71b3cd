//! The thread that lets go what the budget allows, and tells root of what waits.

use mail::clock;

use super::{dispatch::Event, maillog, notices, state::Agent};

/// Works as long as the program runs, if there is a budget.
pub(super) fn run(agent: &Agent) {
    let Some(budget) = &agent.budget else { return };
    loop {
        for id in budget.let_go(&agent.dispatch.spool) {
            maillog::let_go(id, budget.window);
            agent.dispatch.tell(Event::Release { id });
        }
        let now = clock::now();
        if budget.must_tell(now) {
            notices::over_budget(agent, budget.window, budget.room_at(now));
        }
        budget.rest();
    }
}
