//! The store, as one connection: a script for each question. Whoever waits too long gives up; the
//! connection is given up with it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use redis::{Cmd, ErrorKind, Script, ServerErrorKind};

use super::{
    orders::Row,
    peers::{FORGOTTEN, Lacking, said},
    protocol::{Id, KEEP, Millis, Reply, Request, Spent, TOLERANCE, Told},
    site::{Hello, Terms},
    wire::{self, Connection, Place, Unusable},
};
use crate::limits::ClientId;

/// Mail waits for an answer no longer than this.
pub(super) const DEADLINE: Duration = Duration::from_millis(50);
/// A new connection may take longer: no mail waits for it.
const CONNECTING: Duration = Duration::from_secs(2);

const EPOCH: &str = "smarthost:epoch";
const TOLD: &str = "smarthost:told";
const NODES: &str = "smarthost:nodes";
const ORDERS: &str = "smarthost:orders";
const THERE: &str = "smarthost:budgets";
const BUDGET: &str = "smarthost:budget:";
/// Budgets that are listed, at most.
const LISTED: usize = 20_000;
/// Orders that are written at once.
const ROWS: usize = 256;
/// A node that was heard so lately, milliseconds, is not gone for good.
const MOMENT: u64 = 10_000;

/// What is heard every other second.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) hello: Hello,
    /// The process that had this node's name last.
    pub(super) other: String,
    /// A name for the orders that are there.
    pub(super) orders: String,
    /// Those that have told all they know.
    pub(super) told: Vec<String>,
    /// Each node with its process, when it was there last, and its limits.
    pub(super) nodes: HashMap<String, String>,
}

impl Heard {
    /// Whether this node was thought to be gone for good.
    pub(super) fn was_forgotten(&self) -> bool {
        said(&self.other).0 == FORGOTTEN
    }
}

/// Cheap to clone: all clones share the connection.
#[derive(Clone)]
pub(super) struct Store {
    connection: Connection,
    terms: Arc<Terms>,
    scripts: Arc<[Script; 7]>,
}

impl Store {
    /// Connects, and sees whether it keeps what it is told. `deadline` is for each answer then.
    pub(super) async fn connect(
        place: &Place,
        terms: Terms,
        deadline: Duration,
    ) -> Result<Self, Unusable> {
        let mut connection = wire::connect(place, CONNECTING).await?;
        keeps_all(&mut connection).await?;
        connection.set_response_timeout(deadline);
        let scripts = [
            include_str!("scripts/ask.lua"),
            include_str!("scripts/hello.lua"),
            include_str!("scripts/renew.lua"),
            include_str!("scripts/told.lua"),
            include_str!("scripts/order.lua"),
            include_str!("scripts/forget.lua"),
            include_str!("scripts/known.lua"),
        ];
        Ok(Self {
            connection,
            terms: Arc::new(terms),
            scripts: Arc::new(scripts.map(Script::new)),
        })
    }

    /// As if the configuration said so many.
    #[cfg(test)]
    pub(super) fn share_with(&mut self, nodes: u32) {
        Arc::make_mut(&mut self.terms).nodes = nodes;
    }

    /// Of many budgets at once, which costs little more than of one.
    pub(super) async fn ask(&self, requests: &[Request]) -> Result<Vec<Reply>, Unusable> {
        let mut calls = redis::pipe();
        for request in requests {
            calls.add_command(self.call(request));
        }
        let mut connection = self.connection.clone();
        let said = calls.query_async(&mut connection).await;
        let said: Vec<Vec<i64>> = match said {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let [ask, ..] = &*self.scripts;
                ask.load_async(&mut connection).await?;
                calls.query_async(&mut connection).await?
            }
            said => said?,
        };
        let replies = said
            .iter()
            .map(|said| reply(said).ok_or_else(|| Unusable(format!("says {said:?}"))));
        replies.collect()
    }

    fn call(&self, request: &Request) -> Cmd {
        let [ask, ..] = &*self.scripts;
        let mut call = redis::cmd("EVALSHA");
        call.arg(ask.get_hash()).arg(5);
        call.arg(format!("{BUDGET}{}", request.id))
            .arg(EPOCH)
            .arg(TOLD)
            .arg(THERE)
            .arg(ORDERS);
        call.arg(&self.terms.node).arg(&request.epoch);
        call.arg(request.sequence).arg(request.answered);
        call.arg(request.now).arg(TOLERANCE);
        call.arg(request.id.width()).arg(KEEP);
        call.arg(request.limit)
            .arg(request.want)
            .arg(self.terms.nodes)
            .arg(request.id.client.to_string())
            .arg(&request.generation);
        for (slot, count) in &request.slots {
            call.arg(slot).arg(count);
        }
        call
    }

    /// Whether it still keeps all that it is told.
    pub(super) async fn keeps_all(&self) -> Result<(), Unusable> {
        keeps_all(&mut self.connection.clone()).await
    }

    /// `process`: another one of the same node has another name; `limits`: what all nodes must have
    /// in common.
    pub(super) async fn greet(
        &self,
        process: &str,
        fresh: &str,
        limits: &str,
    ) -> Result<Heard, Unusable> {
        let [_, hello, ..] = &*self.scripts;
        let mut call = hello.prepare_invoke();
        call.key(EPOCH).key(TOLD).key(NODES).key(THERE).key(ORDERS);
        call.arg(&self.terms.node)
            .arg(process)
            .arg(fresh)
            .arg(limits)
            .arg(self.terms.nodes);
        let said: (
            u64,
            String,
            String,
            String,
            Vec<String>,
            HashMap<String, String>,
        ) = call.invoke_async(&mut self.connection.clone()).await?;
        let (now, epoch, other, orders, told, nodes) = said;
        Ok(Heard {
            hello: Hello {
                now,
                epoch,
                told: told.len(),
            },
            other,
            orders,
            told,
            nodes,
        })
    }

    pub(super) async fn renew(&self, epoch: &str, fresh: &str) -> Result<(), Unusable> {
        let [_, _, renew, ..] = &*self.scripts;
        let mut call = renew.prepare_invoke();
        call.key(EPOCH).key(TOLD).key(THERE).key(NODES);
        call.arg(epoch).arg(fresh);
        let _: i64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// A node has told all in an epoch; so many have. `None`: it is another epoch.
    pub(super) async fn told(&self, epoch: &str, node: &str) -> Result<Option<usize>, Unusable> {
        let [_, _, _, told, ..] = &*self.scripts;
        let mut call = told.prepare_invoke();
        call.key(EPOCH).key(TOLD).arg(epoch).arg(node);
        let all: usize = call.invoke_async(&mut self.connection.clone()).await?;
        Ok((all > 0).then_some(all))
    }

    /// A node is gone for good, and they were so many with it; `false`: it is there.
    pub(super) async fn forget(&self, node: &str, were: u32) -> Result<bool, Unusable> {
        let [.., forget, _] = &*self.scripts;
        let mut call = forget.prepare_invoke();
        call.key(TOLD).key(NODES);
        call.arg(node).arg(MOMENT).arg(were);
        let noted: i64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(noted == 1)
    }

    /// What this node knows of the others, where it is newer than what is there.
    pub(super) async fn know(&self, lacking: &[Lacking]) -> Result<(), Unusable> {
        let [.., known] = &*self.scripts;
        let mut call = known.prepare_invoke();
        call.key(TOLD).key(NODES).arg(MOMENT).arg(self.terms.nodes);
        for it in lacking {
            let were = it.gone.map_or_else(String::new, |were| were.to_string());
            call.arg(&it.node).arg(it.at).arg(were);
        }
        let _: i64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// All orders of administrators that are there, by the client.
    pub(super) async fn orders(&self) -> Result<HashMap<String, String>, Unusable> {
        let mut rows: HashMap<String, String> = redis::cmd("HGETALL")
            .arg(ORDERS)
            .query_async(&mut self.connection.clone())
            .await?;
        rows.remove("");
        Ok(rows)
    }

    /// Writes orders where they are as they were read.
    pub(super) async fn order(&self, rows: &[Row], fresh: &str) -> Result<(), Unusable> {
        let [_, _, _, _, order, ..] = &*self.scripts;
        for rows in rows.chunks(ROWS) {
            let mut call = order.prepare_invoke();
            call.key(ORDERS).arg(fresh);
            for row in rows {
                call.arg(&row.client).arg(&row.was).arg(&row.is);
            }
            let _: i64 = call.invoke_async(&mut self.connection.clone()).await?;
        }
        Ok(())
    }

    /// What all nodes together have spent and hold, of all budgets.
    /// `since`: by which reset a client has begun anew, and what the store's clock shows.
    pub(super) async fn everywhere(
        &self,
        since: &(dyn Fn(&ClientId) -> (String, Millis) + Sync),
    ) -> Result<HashMap<Id, Spent>, Unusable> {
        let mut connection = self.connection.clone();
        let mut found = HashMap::new();
        let mut cursor = 0u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg(&["MATCH", &format!("{BUDGET}*"), "COUNT", "500"])
                .query_async(&mut connection)
                .await?;
            let ids = keys
                .iter()
                .filter_map(|key| Id::parse(key.strip_prefix(BUDGET)?));
            let ids: Vec<Id> = ids.collect();
            let mut rows = redis::pipe();
            for id in &ids {
                rows.cmd("HGETALL").arg(format!("{BUDGET}{id}"));
            }
            let rows: Vec<HashMap<String, String>> = if ids.is_empty() {
                Vec::new()
            } else {
                rows.query_async(&mut connection).await?
            };
            let counted = ids.into_iter().zip(&rows).map(|(id, row)| {
                let (generation, now) = since(&id.client);
                let spent = spent(row, id.width(), &generation, now);
                (id, spent)
            });
            found.extend(counted);
            cursor = next;
            if cursor == 0 || found.len() >= LISTED {
                return Ok(found);
            }
        }
    }
}

/// Of a budget's fields those of slots, `SLOT:NODE`, that are in the window, by nodes that have
/// heard of the last reset.
fn spent(row: &HashMap<String, String>, width: Millis, generation: &str, now: Millis) -> Spent {
    let since = |node: &str| row.get(&format!("g:{node}")).map(|text| number(text));
    let oldest = (now / width).saturating_sub(KEEP);
    let mut slots: BTreeMap<u64, u32> = BTreeMap::new();
    for (field, count) in row {
        let Some((slot, node)) = field.split_once(':') else {
            continue;
        };
        let (Ok(slot), Ok(count)) = (slot.parse::<u64>(), count.parse::<u32>()) else {
            continue;
        };
        if slot >= oldest && since(node) >= Some(number(generation)) {
            let sum = slots.entry(slot).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    let slides = slots.into_iter().map(|(slot, count)| {
        let out = slot.saturating_add(KEEP + 1).saturating_mul(width);
        (out.saturating_sub(now), count)
    });
    Spent {
        slides: slides.collect(),
    }
}

/// `NUMBER NODE`
fn number(generation: &str) -> (u64, &str) {
    let (number, node) = generation.split_once(' ').unwrap_or_default();
    (number.parse().unwrap_or(0), node)
}

fn reply(said: &[i64]) -> Option<Reply> {
    let positive = |value: i64| u64::try_from(value).ok();
    let small = |value: i64| u32::try_from(value).ok();
    Some(match *said {
        [complete @ (0 | 1), _, slot, grant, sum, oldest] => Reply::Told(Told {
            slot: positive(slot)?,
            grant: small(grant)?,
            sum: u32::try_from(sum.max(0)).unwrap_or(u32::MAX),
            oldest: positive(oldest),
            complete: complete == 1,
        }),
        [-1, _] => Reply::OtherEpoch,
        [-2, sequence] => Reply::Overtaken(positive(sequence)?),
        [-3, now] => Reply::OtherTime(positive(now)?),
        [-4, _] => Reply::Forgotten,
        _ => return None,
    })
}

async fn keeps_all(connection: &mut Connection) -> Result<(), Unusable> {
    let memory: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(connection)
        .await?;
    forgets(&memory).map_or(Ok(()), |why| Err(Unusable(why)))
}

/// Whether it drops keys when its memory is full: a limit would be lifted without a word.
fn forgets(memory: &str) -> Option<String> {
    let value = |key: &str| {
        let lines = memory.lines();
        let mut values = lines.filter_map(|line| line.split_once(':'));
        values
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value.trim())
    };
    let policy = value("maxmemory_policy")?;
    let full = value("maxmemory").is_some_and(|most| most != "0");
    (full && policy != "noeviction").then(|| {
        format!("drops what it was told when its memory is full (maxmemory-policy {policy}); set maxmemory-policy noeviction")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_drops_budgets_when_it_is_full_is_not_used() {
        let info = |most: &str, policy: &str| {
            forgets(&format!(
                "# Memory\r\nmaxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n"
            ))
        };
        assert!(info("0", "allkeys-lru").is_none() && info("1048576", "noeviction").is_none());
        assert!(
            info("1048576", "volatile-ttl")
                .unwrap()
                .contains("maxmemory-policy noeviction")
        );
    }

    #[test]
    fn no_answer_of_the_store_is_believed_that_makes_no_sense() {
        let told = reply(&[1, 1_700_000_000_000, 3, 2, 5, -1]).unwrap();
        assert!(matches!(
            told,
            Reply::Told(Told {
                grant: 2,
                oldest: None,
                complete: true,
                ..
            })
        ));
        for odd in [
            &[][..],
            &[7, 1],
            &[1, 1, -3, 2, 5, 1],
            &[1, 1, 3, -2, 5, 1],
            &[-2, -5],
        ] {
            assert_eq!(reply(odd), None, "{odd:?}");
        }
    }
}
