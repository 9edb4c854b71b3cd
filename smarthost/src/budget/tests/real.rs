//! The scripts do what the simulated store does: both are asked the same, by a real redis-server.

use std::process::{Child, Command};

use spool::simulation::Random;
use tempfile::TempDir;

use super::{super::store, Dice, Id, Mistake, Reply, Request, Store, terms};
use crate::{
    budget::{orders::Row as Order, peers::Lacking, protocol::KEEP, wire},
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
    let place = unpinned(config.budget.unwrap().store.connection().unwrap());
    // On a busy machine it may take longer to answer than a message would wait.
    let patience = std::time::Duration::from_mins(1);
    loop {
        match store::Store::connect(&place, terms(node, OnOutage::Share), patience).await {
            Ok(store) => return store,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn unpinned(at: redis::ConnectionInfo) -> wire::Place {
    let pins = Vec::new();
    wire::Place { at, pins }
}

async fn ask(node: &store::Store, request: &Request) -> Reply {
    let replies = node.ask(std::slice::from_ref(request)).await;
    replies.unwrap().remove(0)
}

async fn greet(node: &store::Store) -> store::Heard {
    node.greet("p", "fresh", "10/day").await.unwrap()
}

/// A client that was forgiven by a node is granted its limit there, though another one tells what
/// it had counted before; that one is granted nothing until it has heard of it.
#[tokio::test]
async fn what_was_counted_before_a_reset_is_worth_nothing_to_the_scripts() {
    let Some(server) = server() else { return };
    let nodes = [connect(&server, 0).await, connect(&server, 1).await];
    let heard = nodes[0].greet("p", "fresh", "10/day").await.unwrap();
    for name in ["mx0", "mx1", "mx2"] {
        let told = nodes[0].told(&heard.hello.epoch, name).await.unwrap();
        assert!(told.is_some());
    }
    let limit = Limit::parse("30/day").unwrap();
    let id = Id::new(ClientId::parse("10.0.0.7").unwrap(), &limit);
    let slot = heard.hello.now / id.width();
    let request = |generation: &str, sequence: u64, count: u32| Request {
        id: id.clone(),
        epoch: heard.hello.epoch.clone(),
        generation: generation.to_owned(),
        sequence,
        answered: sequence.saturating_sub(1),
        now: heard.hello.now,
        limit: 30,
        want: 1,
        slots: vec![(slot, count)],
    };
    let told = async |node: usize, request: Request| match ask(&nodes[node], &request).await {
        Reply::Told(told) => (told.grant, told.sum),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(1, request("0 -", 1, 30)).await, (0, 30));
    let row = Order {
        client: "10.0.0.7".to_owned(),
        was: String::new(),
        is: "3 mx0 {}".to_owned(),
    };
    nodes[0]
        .order(std::slice::from_ref(&row), "v1")
        .await
        .unwrap();
    assert_eq!(
        nodes[0].greet("p", "x", "10/day").await.unwrap().orders,
        "v1"
    );
    nodes[1].order(&[row], "v2").await.unwrap();
    assert_eq!(nodes[1].orders().await.unwrap()["10.0.0.7"], "3 mx0 {}");
    assert_eq!(told(0, request("3 mx0", 1, 2)).await, (1, 3));
    assert_eq!(
        told(1, request("0 -", 2, 1)).await,
        (0, 4),
        "it has not heard of it"
    );
    assert_eq!(told(0, request("3 mx0", 2, 3)).await, (1, 4));
    assert_eq!(told(1, request("3 mx0", 3, 1)).await, (1, 6));
    let since = |_: &ClientId| ("3 mx0".to_owned(), heard.hello.now);
    let all = nodes[0].everywhere(&since).await.unwrap();
    assert_eq!(all[&id].sum(), 6);
}

/// A single key that is lost, set or changed is noticed by whoever asks next.
#[tokio::test]
async fn a_budget_that_was_touched_is_no_budget_to_the_scripts() {
    let Some(server) = server() else { return };
    let nodes = [connect(&server, 0).await, connect(&server, 1).await];
    let limit = Limit::parse("30/day").unwrap();
    let id = Id::new(ClientId::parse("10.0.0.7").unwrap(), &limit);
    let key = format!("smarthost:budget:{id}");
    let now = nodes[0].greet("p", "x", "10/day").await.unwrap().hello.now;
    let field = format!("{}:mx1", now / id.width());
    for (nth, harm) in [
        text_of(&["DEL", &key]),
        text_of(&["SET", &key, "x"]),
        text_of(&["HSET", &key, &field, "-3"]),
        text_of(&["HSET", &key, &field, "many"]),
        text_of(&["HDEL", &key, &field]),
        text_of(&["HDEL", &key, "seal"]),
        text_of(&["DEL", "smarthost:budgets"]),
        text_of(&["SET", "smarthost:budgets", "x"]),
    ]
    .into_iter()
    .enumerate()
    {
        let heard = nodes[0]
            .greet("p", &format!("e{nth}"), "10/day")
            .await
            .unwrap();
        let request = |sequence: usize| Request {
            id: id.clone(),
            epoch: heard.hello.epoch.clone(),
            generation: "0 -".to_owned(),
            sequence: u64::try_from(nth * 10 + sequence).unwrap(),
            answered: 0,
            now: heard.hello.now,
            limit: 30,
            want: 0,
            slots: vec![(heard.hello.now / id.width(), 30)],
        };
        let told = ask(&nodes[1], &request(1)).await;
        assert!(matches!(told, Reply::Told(_)), "{told:?}");
        run(&server, &harm).await;
        let answered = ask(&nodes[0], &request(2)).await;
        assert_eq!(answered, Reply::Forgotten, "{harm:?}");
        nodes[0].renew(&heard.hello.epoch, "next").await.unwrap();
    }
}

/// A node that is there is not forgotten; one that comes back is waited for.
#[tokio::test]
async fn a_node_that_lives_or_comes_back_is_waited_for() {
    let Some(server) = server() else { return };
    let nodes = [connect(&server, 0).await, connect(&server, 1).await];
    nodes[1].greet("p1", "fresh", "10/day").await.unwrap();
    assert!(!nodes[0].forget("mx1", 3).await.unwrap(), "it is there");
    let long_ago = text_of(&["HSET", "smarthost:nodes", "mx1", "p1 1000"]);
    run(&server, &long_ago).await;
    assert!(nodes[0].forget("mx1", 3).await.unwrap());
    let heard = nodes[0].greet("p0", "x", "10/day").await.unwrap();
    assert_eq!(heard.told, ["mx1"]);
    let back = nodes[1].greet("p1", "x", "10/day").await.unwrap();
    assert!(back.told.is_empty(), "{back:?}");
}

/// Its place is kept for whoever counts it still, and not for a server that has not told yet.
#[tokio::test]
async fn one_that_is_gone_for_good_takes_nobodys_place_where_nodes_was_lowered() {
    let Some(server) = server() else { return };
    let mut nodes = [connect(&server, 0).await, connect(&server, 1).await];
    let epoch = greet(&nodes[0]).await.hello.epoch;
    assert!(nodes[0].told(&epoch, "mx0").await.unwrap().is_some());
    assert!(nodes[0].forget("mx2", 3).await.unwrap());
    let sorted = async |node: &store::Store| {
        let mut told = greet(node).await.told;
        told.sort();
        told
    };
    assert_eq!(sorted(&nodes[0]).await, ["mx0", "mx2"], "two of three");
    nodes[0].share_with(2);
    assert_eq!(sorted(&nodes[0]).await, ["mx0"], "one of two");

    // While all of the others have told, nobody waits, whatever number a server has.
    assert!(nodes[0].told(&epoch, "mx1").await.unwrap().is_some());
    assert!(nodes[0].forget("mx2", 3).await.unwrap());
    assert_eq!(sorted(&nodes[0]).await, ["mx0", "mx1", "mx2"]);
    assert_eq!(sorted(&nodes[1]).await, ["mx0", "mx1", "mx2"]);
}

/// Whatever ends, the epoch or all that the store knew.
#[tokio::test]
async fn one_that_is_gone_for_good_stays_so_until_newer_news_of_it_come() {
    let Some(server) = server() else { return };
    let nodes = [connect(&server, 0).await, connect(&server, 1).await];
    let heard = greet(&nodes[0]).await;
    assert!(nodes[0].forget("mx2", 3).await.unwrap());
    nodes[0].renew(&heard.hello.epoch, "next").await.unwrap();
    assert_eq!(greet(&nodes[0]).await.told, ["mx2"], "another epoch");

    run(&server, &text_of(&["FLUSHALL"])).await;
    let now = greet(&nodes[0]).await.hello.now;
    let news = |at, gone| {
        [Lacking {
            node: "mx2".to_owned(),
            at,
            gone,
        }]
    };
    nodes[0].know(&news(now - 5000, Some(4))).await.unwrap();
    assert!(
        greet(&nodes[0]).await.told.is_empty(),
        "three are waited for, of whom it is none"
    );
    nodes[0].know(&news(now - 4000, Some(3))).await.unwrap();
    assert_eq!(greet(&nodes[1]).await.told, ["mx2"]);
    nodes[1].know(&news(now - 4500, None)).await.unwrap();
    assert_eq!(greet(&nodes[1]).await.told, ["mx2"], "what was before");
    nodes[1].know(&news(now - 3000, None)).await.unwrap();
    let heard = greet(&nodes[1]).await;
    assert!(
        heard.told.is_empty() && heard.nodes["mx2"].starts_with("- "),
        "{heard:?}"
    );
    nodes[0].know(&news(now - 3500, Some(3))).await.unwrap();
    assert!(greet(&nodes[0]).await.told.is_empty(), "it was heard since");
}

fn text_of(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// What somebody else does there.
async fn run(server: &Server, words: &[String]) {
    let url = format!("unix:{}", server.1.path().join("sock").display());
    let place = unpinned(redis::IntoConnectionInfo::into_connection_info(url).unwrap());
    let patience = std::time::Duration::from_mins(1);
    let mut connection = wire::connect(&place, patience).await.unwrap();
    let mut command = redis::cmd(&words[0]);
    command.arg(&words[1..]);
    if words[0] == "SET" {
        let mut gone = redis::cmd("DEL");
        let _: i64 = gone
            .arg(&words[1])
            .query_async(&mut connection)
            .await
            .unwrap();
    }
    let _: redis::Value = command.query_async(&mut connection).await.unwrap();
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
                        .is_some()
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
            generation: "0 -".to_owned(),
            sequence: step + dice.below(300),
            answered: if dice.permille(20) { step } else { 0 },
            now: if dice.permille(30) { now - 60_000 } else { now },
            limit: u32::try_from(dice.below(60)).unwrap(),
            want: u32::try_from(dice.below(20)).unwrap(),
            slots: slots
                .into_iter()
                .filter(|(of, _)| *of <= slot + 1)
                .collect(),
        };
        let reply = ask(&nodes[node], &request).await;
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
