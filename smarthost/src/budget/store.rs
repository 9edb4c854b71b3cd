//! The store, as one connection: a script for each question. Whoever waits too long gives up; the
//! connection is given up with it.

use std::{collections::HashMap, fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisError, Script, aio::MultiplexedConnection,
};

use super::{
    orders::Order,
    protocol::{Id, KEEP, Reply, Request, TOLERANCE, Told},
    site::{Hello, Terms},
};

/// Mail waits for an answer no longer than this.
pub(super) const DEADLINE: Duration = Duration::from_millis(50);
/// A new connection may take longer: no mail waits for it.
const CONNECTING: Duration = Duration::from_secs(2);

const EPOCH: &str = "smarthost:epoch";
const TOLD: &str = "smarthost:told";
const NODES: &str = "smarthost:nodes";
const ORDERS: &str = "smarthost:orders";
const NUMBER: &str = "smarthost:orders:number";
const BUDGET: &str = "smarthost:budget:";
/// Budgets that are listed, at most.
const LISTED: usize = 20_000;
/// Nodes that are read, at most.
const MOST_NODES: usize = 100;
/// Orders that are read, at most.
const MOST_ORDERS: usize = 4096;

/// Why it cannot be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unusable(pub(super) String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<RedisError> for Unusable {
    fn from(error: RedisError) -> Self {
        Self(format!("fails: {error}"))
    }
}

/// What is heard every other second.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) hello: Hello,
    /// The process that had this node's name last.
    pub(super) other: String,
    /// The number of the newest order.
    pub(super) orders: u64,
    /// Those that have told all they know.
    pub(super) told: Vec<String>,
    /// All nodes that have ever been there: process, time and limits of each.
    pub(super) nodes: Vec<(String, String)>,
}

/// Cheap to clone: all clones share the connection.
#[derive(Clone)]
pub(super) struct Store {
    connection: MultiplexedConnection,
    terms: Terms,
    scripts: [Script; 4],
}

impl Store {
    /// Connects, and sees whether it keeps what it is told.
    pub(super) async fn connect(at: ConnectionInfo, terms: Terms) -> Result<Self, Unusable> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(CONNECTING));
        let client = Client::open(at)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let memory: String = redis::cmd("INFO")
            .arg("memory")
            .query_async(&mut connection)
            .await?;
        if let Some(why) = forgets(&memory) {
            return Err(Unusable(why));
        }
        connection.set_response_timeout(DEADLINE);
        let scripts = [
            include_str!("scripts/ask.lua"),
            include_str!("scripts/hello.lua"),
            include_str!("scripts/renew.lua"),
            include_str!("scripts/told.lua"),
        ];
        Ok(Self {
            connection,
            terms,
            scripts: scripts.map(Script::new),
        })
    }

    pub(super) async fn ask(&self, request: &Request) -> Result<Reply, Unusable> {
        let [ask, ..] = &self.scripts;
        let mut call = ask.prepare_invoke();
        call.key(format!("{BUDGET}{}", request.id))
            .key(EPOCH)
            .key(TOLD);
        call.arg(&self.terms.node).arg(&request.epoch);
        call.arg(request.sequence).arg(u8::from(request.known));
        call.arg(request.now).arg(TOLERANCE);
        call.arg(request.id.width()).arg(KEEP);
        call.arg(request.limit)
            .arg(request.want)
            .arg(self.terms.nodes);
        for (slot, count) in &request.slots {
            call.arg(slot).arg(count);
        }
        let said: Vec<i64> = call.invoke_async(&mut self.connection.clone()).await?;
        reply(&said).ok_or_else(|| Unusable(format!("says {said:?}")))
    }

    /// `process`: another one of the same node has another name; `limits`: what all nodes must have
    /// in common.
    pub(super) async fn greet(
        &self,
        process: &str,
        fresh: &str,
        limits: &str,
    ) -> Result<Heard, Unusable> {
        let [_, hello, ..] = &self.scripts;
        let mut call = hello.prepare_invoke();
        call.key(EPOCH).key(TOLD).key(NODES).key(NUMBER);
        call.arg(&self.terms.node)
            .arg(process)
            .arg(fresh)
            .arg(limits);
        let said: (u64, String, String, u64, Vec<String>, Vec<String>) =
            call.invoke_async(&mut self.connection.clone()).await?;
        let (now, epoch, other, orders, told, nodes) = said;
        let (nodes, _) = nodes.as_chunks();
        let nodes = nodes.iter().take(MOST_NODES);
        let nodes = nodes.map(|[name, it]| (name.clone(), it.clone())).collect();
        Ok(Heard {
            hello: Hello { now, epoch },
            other,
            orders,
            told,
            nodes,
        })
    }

    pub(super) async fn renew(&self, epoch: &str, fresh: &str) -> Result<(), Unusable> {
        let [_, _, renew, _] = &self.scripts;
        let mut call = renew.prepare_invoke();
        call.key(EPOCH).key(TOLD).arg(epoch).arg(fresh);
        let _: i64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// A node has told all in an epoch; without one: it is gone for good.
    pub(super) async fn told(&self, epoch: &str, node: &str) -> Result<bool, Unusable> {
        let [.., told] = &self.scripts;
        let mut call = told.prepare_invoke();
        call.key(EPOCH).key(TOLD).arg(epoch).arg(node);
        let noted: i64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(noted == 1)
    }

    /// All orders of administrators that are there.
    pub(super) async fn orders(&self) -> Result<Vec<Order>, Unusable> {
        let rows: HashMap<String, String> = redis::cmd("HGETALL")
            .arg(ORDERS)
            .query_async(&mut self.connection.clone())
            .await?;
        let orders = rows
            .values()
            .filter_map(|row| serde_json::from_str(row).ok());
        Ok(orders.take(MOST_ORDERS).collect())
    }

    pub(super) async fn order(&self, order: &Order) -> Result<(), Unusable> {
        let row = serde_json::to_string(order).unwrap_or_default();
        let mut all = redis::pipe();
        all.atomic();
        all.cmd("HSET")
            .arg(ORDERS)
            .arg(order.client.to_string())
            .arg(row);
        all.cmd("INCR").arg(NUMBER);
        let _: redis::Value = all.query_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// Orders that are over.
    pub(super) async fn forget(&self, over: &[Order]) -> Result<(), Unusable> {
        if over.is_empty() {
            return Ok(());
        }
        let clients: Vec<_> = over.iter().map(|order| order.client.to_string()).collect();
        let mut call = redis::cmd("HDEL");
        call.arg(ORDERS).arg(clients);
        let _: i64 = call.query_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// What all nodes together have spent and hold, of all budgets.
    pub(super) async fn everywhere(&self) -> Result<HashMap<Id, u32>, Unusable> {
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
            let sums = rows.iter().map(sum);
            found.extend(ids.into_iter().zip(sums));
            cursor = next;
            if cursor == 0 || found.len() >= LISTED {
                return Ok(found);
            }
        }
    }
}

/// Of a budget's fields: those of slots begin with a digit.
fn sum(row: &HashMap<String, String>) -> u32 {
    let counts = row
        .iter()
        .filter(|(field, _)| field.starts_with(|c: char| c.is_ascii_digit()));
    counts.fold(0, |sum, (_, count)| {
        sum.saturating_add(count.parse().unwrap_or(0))
    })
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
