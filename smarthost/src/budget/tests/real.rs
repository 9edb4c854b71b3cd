//! The scripts do what the simulated store does: both are asked the same, by a real redis-server.

use std::process::{Child, Command};

use spool::simulation::Random;
use tempfile::TempDir;

use super::{super::store, Dice, Id, Mistake, Reply, Request, Store, terms};
use crate::{
    budget::protocol::KEEP,
    config::{Config, OnOutage},
    limits::{ClientId, Limit},
};

struct Server(Child, TempDir);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `None`, and a word on it, where it is not installed; where all peers must be there that fails.
#[expect(clippy::disallowed_methods, reason = "the test's own environment")]
fn server() -> Option<Server> {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--unixsocket"]);
    command
        .arg(directory.path().join("sock"))
        .arg("--dir")
        .arg(directory.path());
    command.stdout(std::process::Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Server(child, directory)),
        Err(error) => {
            let needed = std::env::var_os("LAB_REQUIRE_PEERS").is_some_and(|it| it == *"1");
            assert!(!needed, "redis-server: {error}, and LAB_REQUIRE_PEERS=1");
            eprintln!("skipped: redis-server: {error}");
            None
        }
    }
}

async fn connect(server: &Server, node: usize) -> store::Store {
    let socket = server.1.path().join("sock");
    let text = format!(
        "budget = {{ store = \"unix:{}\", nodes = 3 }}",
        socket.display()
    );
    let config = Config::parse("x".as_ref(), &text, "mx.example.org").unwrap();
    let place = config.budget.unwrap().store.connection().unwrap();
    loop {
        match store::Store::connect(place.clone(), terms(node, OnOutage::Share)).await {
            Ok(store) => return store,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn greet(node: &store::Store) -> store::Heard {
    node.greet("p", "fresh", "10/day").await.unwrap()
}

#[tokio::test]
async fn the_scripts_answer_as_the_simulated_store_does() {
    let Some(server) = server() else { return };
    let mut dice = Dice(Random(4));
    let mut nodes = Vec::new();
    for node in 0..3 {
        nodes.push(connect(&server, node).await);
    }
    let mut model = Store::new(Mistake::None);
    let ids = (0..40).map(|number| {
        let limit = Limit::parse("30/day").unwrap();
        Id::new(ClientId::parse(&format!("vm{number}")).unwrap(), &limit)
    });
    let ids: Vec<Id> = ids.collect();
    let (mut kinds, mut grants) = (std::collections::HashSet::new(), 0);
    for step in 0..3000 {
        let node = usize::try_from(dice.below(3)).unwrap();
        let heard = greet(&nodes[node]).await;
        let (now, epoch) = (heard.hello.now, heard.hello.epoch);
        model.keep_epoch(&epoch);
        match dice.below(40) {
            0 => {
                nodes[node].renew(&epoch, "next").await.unwrap();
                let next = greet(&nodes[node]).await.hello.epoch;
                model.keep_epoch(&next);
                continue;
            }
            1..5 => {
                assert!(
                    nodes[node]
                        .told(&epoch, &format!("mx{node}"))
                        .await
                        .unwrap()
                );
                model.register(&format!("mx{node}"), &epoch);
                continue;
            }
            _ => {}
        }
        let id = ids[usize::try_from(dice.below(40)).unwrap()].clone();
        let slot = now / id.width();
        let slots = (0..dice.below(4)).map(|_| {
            let far = dice.below(KEEP + 6);
            (
                slot + 2 - far.min(slot),
                u32::try_from(dice.below(5)).unwrap() + 1,
            )
        });
        let slots: std::collections::BTreeMap<u64, u32> = slots.collect();
        let request = Request {
            id,
            epoch: if dice.permille(30) {
                "other".to_owned()
            } else {
                epoch
            },
            sequence: step + dice.below(300),
            known: dice.permille(100),
            now: if dice.permille(30) { now - 60_000 } else { now },
            limit: u32::try_from(dice.below(60)).unwrap(),
            want: u32::try_from(dice.below(20)).unwrap(),
            slots: slots
                .into_iter()
                .filter(|(of, _)| *of <= slot + 1)
                .collect(),
        };
        let reply = nodes[node].ask(&request).await.unwrap();
        let expected = model.ask(&format!("mx{node}"), 3, &request, now);
        match (&reply, &expected) {
            (Reply::OtherTime(_), Reply::OtherTime(_)) => {}
            _ => assert_eq!(reply, expected, "{request:?}"),
        }
        kinds.insert(std::mem::discriminant(&reply));
        if let Reply::Told(told) = reply {
            grants += told.grant;
        }
    }
    assert!(kinds.len() == 5 && grants > 100, "{} {grants}", kinds.len());
}
