//! The network: connections between whoever dials and whoever listens, with what happens to bytes
//! on their way.
//!
//! Contract: the bytes of one direction arrive in their order, later than they were sent;
//! connections overtake one another. What an answer acknowledges is known to the network
//! ([`Sent::acknowledges`]), so that the oracle learns which acknowledgements never arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Microseconds since the world began.
pub(crate) type Micros = u64;
pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) type ConnId = u32;

/// Who holds an end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    Agent(usize),
    Relay,
    Peer(usize),
    /// By the number of what it submits.
    Client(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    Dialler,
    Listener,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// What reaches the end of a connection.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// To the listener: somebody dialled.
    Dialled(IpAddr),
    /// To who dialled: the connection is there.
    Connected,
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// What happens to one connection.
#[derive(Clone, Debug)]
pub(crate) enum Weather {
    /// After so many bytes of one side nothing goes any more; `silent`: and nobody hears of it.
    Cut { by: Side, after: u64, silent: bool },
    /// One side's direction ends there, the other goes on.
    Half { by: Side, after: u64 },
    /// Each piece takes so long.
    Slow(Micros),
    /// Bytes come in pieces of this size.
    Pieces(usize),
}

/// Something to be sent.
pub(crate) enum Sent {
    Dial {
        conn: ConnId,
        from: Owner,
        to: IpAddr,
    },
    Bytes {
        conn: ConnId,
        by: Side,
        bytes: Vec<u8>,
        /// The message whose taking these bytes tell of.
        acknowledges: Option<u32>,
    },
    Close {
        conn: ConnId,
        by: Side,
    },
}

struct Conn {
    owners: [Owner; 2],
    latency: Micros,
    /// When the last bytes to each side arrive.
    last: [Micros; 2],
    sent: [u64; 2],
    open: [bool; 2],
    /// What is sent to that side does not arrive any more.
    deaf: [bool; 2],
    weather: Option<Weather>,
}

/// At which end of which connection what arrives, and which message it acknowledges.
type Coming = (ConnId, Side, Arrival, Option<u32>);

#[derive(Default)]
pub(crate) struct Network {
    conns: BTreeMap<ConnId, Conn>,
    next: ConnId,
    coming: BTreeMap<(Micros, u64), Coming>,
    serial: u64,
    weather: BTreeMap<ConnId, Weather>,
    /// Messages whose acknowledgement was lost.
    pub(crate) lost: BTreeSet<u32>,
}

impl Network {
    pub(crate) fn new(weather: BTreeMap<ConnId, Weather>) -> Self {
        Self {
            weather,
            ..Self::default()
        }
    }

    /// A number for a connection that is about to be dialled.
    pub(crate) fn reserve(&mut self) -> ConnId {
        self.next += 1;
        self.next
    }

    pub(crate) fn next_at(&self) -> Option<Micros> {
        self.coming.keys().next().map(|(at, _)| *at)
    }

    /// What arrives next, and at whose end.
    pub(crate) fn arrive(&mut self) -> Option<(ConnId, Owner, Side, Arrival)> {
        let (_, (conn, side, arrival, acknowledges)) = self.coming.pop_first()?;
        let open = self.conns.get(&conn).filter(|it| it.open[side as usize]);
        let Some(open) = open else {
            self.lost.extend(acknowledges);
            return None;
        };
        let owner = open.owners[side as usize];
        if matches!(arrival, Arrival::Reset) {
            self.drop_side(conn, side);
        }
        Some((conn, owner, side, arrival))
    }

    pub(crate) fn send(&mut self, sent: Sent, now: Micros) {
        match sent {
            Sent::Dial { .. } => {}
            Sent::Bytes {
                conn,
                by,
                bytes,
                acknowledges,
            } => self.bytes(conn, by, bytes, acknowledges, now),
            Sent::Close { conn, by } => {
                self.post(conn, by.other(), Arrival::End, now, None);
                self.drop_side(conn, by);
            }
        }
    }

    /// Somebody dials; `refused`: nobody listens there, `None`: the packets are lost.
    pub(crate) fn dial(
        &mut self,
        conn: ConnId,
        owners: [Owner; 2],
        from: IpAddr,
        refused: Option<bool>,
        latency: Micros,
        now: Micros,
    ) {
        let new = Conn {
            owners,
            latency,
            last: [0; 2],
            sent: [0; 2],
            open: [true; 2],
            deaf: [false; 2],
            weather: self.weather.get(&conn).cloned(),
        };
        self.conns.insert(conn, new);
        match refused {
            Some(false) => {
                self.post(conn, Side::Listener, Arrival::Dialled(from), now, None);
                self.post(conn, Side::Dialler, Arrival::Connected, now + latency, None);
            }
            Some(true) => {
                self.post(conn, Side::Dialler, Arrival::Reset, now, None);
            }
            None => {
                self.deafen(conn, Side::Listener);
                self.drop_side(conn, Side::Listener);
            }
        }
    }

    fn bytes(
        &mut self,
        id: ConnId,
        by: Side,
        mut bytes: Vec<u8>,
        acknowledges: Option<u32>,
        now: Micros,
    ) {
        let Some(conn) = self.conns.get_mut(&id).filter(|it| it.open[by as usize]) else {
            self.lost.extend(acknowledges);
            return;
        };
        if !conn.open[by.other() as usize] && !conn.deaf[by.other() as usize] {
            // Whoever was there has gone, and its machine says so.
            self.lost.extend(acknowledges);
            return self.post(id, by, Arrival::Reset, now, None);
        }
        let before = conn.sent[by as usize];
        conn.sent[by as usize] += bytes.len() as u64;
        let mut piece = usize::MAX;
        let mut end = None;
        match conn.weather {
            Some(
                ref weather @ (Weather::Cut { by: one, after, .. }
                | Weather::Half { by: one, after }),
            ) if one == by && before + bytes.len() as u64 > after => {
                bytes.truncate(usize::try_from(after.saturating_sub(before)).unwrap());
                end = Some(weather.clone());
            }
            Some(Weather::Pieces(most)) => piece = most.max(1 + bytes.len() / 64),
            _ => {}
        }
        let tag = if end.is_some() {
            self.lost.extend(acknowledges);
            None
        } else {
            acknowledges
        };
        let mut pieces = bytes.chunks(piece.min(bytes.len().max(1))).peekable();
        while let Some(one) = pieces.next() {
            let tag = tag.filter(|_| pieces.peek().is_none());
            self.post(id, by.other(), Arrival::Bytes(one.to_vec()), now, tag);
        }
        match end {
            Some(Weather::Cut { silent: false, .. }) => {
                self.post(id, by, Arrival::Reset, now, None);
                self.post(id, by.other(), Arrival::Reset, now, None);
            }
            Some(Weather::Cut { .. }) => {
                // What was sent before still arrives.
                for side in [Side::Dialler, Side::Listener] {
                    self.deafen(id, side);
                }
            }
            Some(_) => {
                self.post(id, by.other(), Arrival::End, now, None);
                self.deafen(id, by.other());
            }
            None => {}
        }
    }

    /// From now on nothing that the other side sends arrives there.
    fn deafen(&mut self, id: ConnId, side: Side) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.deaf[side as usize] = true;
        }
    }

    fn post(
        &mut self,
        id: ConnId,
        to: Side,
        arrival: Arrival,
        now: Micros,
        acknowledges: Option<u32>,
    ) {
        let conn = self.conns.get_mut(&id);
        let Some(conn) = conn.filter(|it| !it.deaf[to as usize]) else {
            self.lost.extend(acknowledges);
            return;
        };
        let slow = match conn.weather {
            Some(Weather::Slow(slow)) => slow,
            _ => 0,
        };
        let at = (now + conn.latency + slow).max(conn.last[to as usize] + 1);
        conn.last[to as usize] = at;
        self.serial += 1;
        let what = (id, to, arrival, acknowledges);
        self.coming.insert((at, self.serial), what);
    }

    fn drop_side(&mut self, id: ConnId, side: Side) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.open[side as usize] = false;
            if conn.open == [false; 2] {
                self.conns.remove(&id);
            }
        }
    }

    /// All of somebody's connections are gone; `told`: the others hear of it.
    pub(crate) fn drop_all(&mut self, owner: Owner, told: bool, now: Micros) {
        let mut his = Vec::new();
        for (id, conn) in &self.conns {
            for side in [Side::Dialler, Side::Listener] {
                if conn.owners[side as usize] == owner && conn.open[side as usize] {
                    his.push((*id, side));
                }
            }
        }
        for (id, side) in his {
            if told {
                self.post(id, side.other(), Arrival::Reset, now, None);
            } else {
                self.deafen(id, side);
            }
            self.drop_side(id, side);
        }
    }
}
