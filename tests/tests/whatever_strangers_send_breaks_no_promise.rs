//! What is fuzzed (`tests/fuzz`), without a fuzzer: each seed as it is, and cut, spliced and
//! changed.
//!
//! `PROPTEST_CASES` says how many inputs each target gets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "../fuzz/bodies/address.rs"]
mod address;
#[path = "../fuzz/bodies/budget.rs"]
mod budget;
#[path = "../fuzz/bodies/certificate.rs"]
mod certificate;
#[path = "../fuzz/bodies/client.rs"]
mod client;
#[path = "../fuzz/bodies/control.rs"]
mod control_sockets;
#[path = "../fuzz/bodies/import.rs"]
mod import;
#[path = "../fuzz/bodies/message.rs"]
mod message;
#[path = "../fuzz/bodies/milter.rs"]
mod milter;
#[path = "../fuzz/bodies/network.rs"]
mod network;
#[path = "../fuzz/bodies/session.rs"]
mod session;
#[path = "../fuzz/bodies/spool.rs"]
mod spool_damage;
#[path = "../fuzz/bodies/tables.rs"]
mod tables;
#[path = "../fuzz/bodies/web.rs"]
mod web;

/// What is done to an input.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// A part of itself, or of another seed, once more.
    Copy(Index, Index, usize, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    // What grammars have a meaning for.
    let signs = prop::sample::select(&b"\r\n\0 \t.:;,<>@\"\\()[]/*$#!=|+-_\xff\x80"[..]);
    let byte = prop_oneof![signs, any::<u8>()].boxed();
    prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), vec(byte, 1..5)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (any::<Index>(), any::<Index>(), 1..40_usize, any::<Index>())
            .prop_map(|(seed, from, count, to)| Edit::Copy(seed, from, count, to)),
    ]
}

fn changed(seeds: &[Vec<u8>], seed: Index, edits: &[Edit]) -> Vec<u8> {
    let mut input = seed.get(seeds).clone();
    for edit in edits {
        let at = |index: &Index| index.index(input.len() + 1);
        match edit {
            Edit::Set(index, byte) => {
                let at = at(index);
                if let Some(place) = input.get_mut(at) {
                    *place = *byte;
                }
            }
            Edit::Insert(index, bytes) => {
                let at = at(index);
                input.splice(at..at, bytes.iter().copied());
            }
            Edit::Remove(index, count) => {
                let at = at(index);
                let end = (at + count).min(input.len());
                input.drain(at..end);
            }
            Edit::Copy(other, from, count, to) => {
                let other = other.get(seeds);
                let from = from.index(other.len() + 1);
                let part = other[from..(from + count).min(other.len())].to_vec();
                let at = at(to);
                input.splice(at..at, part);
            }
        }
    }
    input
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let files = fs::read_dir(folder).unwrap();
    let mut seeds: Vec<_> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    seeds.sort_unstable();
    assert!(!seeds.is_empty());
    seeds
}

fn attack(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        run(seed);
    }
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(seed in any::<Index>(), edits in vec(edit(), 0..12))| {
        run(&changed(&seeds, seed, &edits));
    });
}

macro_rules! promises {
    ($($name:ident: $target:literal, $run:path;)*) => {
        $(#[test]
        fn $name() {
            attack($target, $run);
        })*
    };
}

promises! {
    addresses_are_read_back_as_they_are_written: "address", address::run;
    a_store_that_lies_is_read_within_bounds: "budget", budget::run;
    certificates_and_pins_are_read_without_trust: "certificate", certificate::run;
    no_server_makes_a_client_lose_or_double_a_recipient: "client", client::run;
    what_programs_pipe_becomes_canonical_lines_once_and_for_all: "message", message::run;
    no_filter_breaks_a_message: "milter", milter::run;
    front_ends_policy_servers_and_dns_are_read_within_bounds: "network", network::run;
    no_configuration_of_postfix_becomes_one_that_is_not_understood: "import", import::run;
    no_browser_sees_or_orders_what_wants_the_token: "web", web::run;
    orders_and_answers_are_read_back_and_steer_no_terminal: "control", control_sockets::run;
    no_clients_packets_change_what_a_session_means: "session", session::run;
    a_damaged_spool_opens_and_says_the_same_when_opened_again: "spool", spool_damage::run;
    faulty_tables_and_configurations_are_told_with_their_place: "tables", tables::run;
}
