//! Any sequence of operations and restarts shows what a plain model shows.

use proptest::prelude::*;

use super::{
    ledger::{Ledger, deferred},
    *,
};
use crate::Repeats;
use mail::{clock::Timestamp, limits};

#[derive(Clone, Debug)]
enum Step {
    Accept {
        recipients: u32,
        size: usize,
    },
    Record {
        message: prop::sample::Index,
        event: Event,
    },
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size =
        prop_oneof![9 => 0usize..5000, 1 => limits::INLINE_BODY - 1..limits::INLINE_BODY + 2];
    let event = prop_oneof![
        6 => (0u32..4).prop_map(settled),
        3 => (prop::collection::vec(0u32..4, 0..4), 0u64..3).prop_map(|(recipients, until)| deferred(recipients, until)),
        1 => Just(Event::Held),
        1 => Just(Event::Released),
        1 => Just(Event::OverBudget),
        1 => Just(Event::Returned),
        1 => Just(Event::Alone),
        1 => Just(Event::Warned),
        1 => (1u32..9).prop_map(|count| Event::Repeated(Repeats { count, last: Timestamp::from_secs(2_000_000_000) })),
        1 => Just(Event::Removed),
    ];
    let step = prop_oneof![
        5 => (1u32..4, size).prop_map(|(recipients, size)| Step::Accept { recipients, size }),
        12 => (any::<prop::sample::Index>(), event).prop_map(|(message, event)| Step::Record { message, event }),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_mail_results_and_restarts_shows_what_a_plain_model_shows(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(directory.path());
        let (mut ledger, mut ids) = (Ledger::default(), Vec::new());
        for step in steps {
            match step {
                Step::Accept { recipients, size } => ids.push(ledger.accept(&spool, recipients, size).unwrap()),
                Step::Record { message, event } if !ids.is_empty() => ledger.record(&spool, *message.get(&ids), event),
                Step::Record { .. } => {}
                Step::Flush => ledger.flush(&spool),
                Step::Restart => {
                    spool.close();
                    let recovery;
                    (spool, recovery) = open(directory.path());
                    prop_assert_eq!((recovery.cut, recovery.quarantined), (0, 0));
                }
            }
            ledger.check_running(&spool);
        }
        for entry in spool.entries() {
            check_content(&spool, entry.id);
        }
    }
}
