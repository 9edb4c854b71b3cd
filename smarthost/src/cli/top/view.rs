//! Which table is shown, and how: what keys do. Pure.

use control::status::{Counted, Status};
use mail::clock::Timestamp;

use super::tables::{Order, Table};

/// Keys that mean something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Char(char),
    Escape,
    Tab,
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
}

/// All that is seen.
#[derive(Debug)]
pub(super) struct View {
    pub(super) status: Box<Status>,
    /// Messages taken and recipients served in a second, between the last two answers.
    pub(super) pace: Option<(f64, f64)>,
    /// Why nothing newer is known.
    pub(super) fault: Option<String>,
    pub(super) table: Table,
    pub(super) help: bool,
    orders: [Order; Table::ALL.len()],
    over: bool,
}

/// Rows of a page, for the keys that scroll by one.
const PAGE: usize = 10;

impl View {
    pub(super) fn new(status: Box<Status>) -> Self {
        Self {
            status,
            pace: None,
            fault: None,
            table: Table::Destinations,
            help: false,
            orders: Default::default(),
            over: false,
        }
    }

    /// What the daemon says now.
    pub(super) fn tell(&mut self, status: Box<Status>) {
        let (then, now) = (&self.status, &status);
        self.fault = None;
        if now.as_of > then.as_of {
            let of = |status: &Status| (status.as_of, ends(&status.counted));
            // A daemon that began anew counts anew.
            let same = now.started == then.started;
            self.pace = same.then(|| pace(of(then), of(now)));
        }
        self.status = status;
    }

    /// It says nothing.
    pub(super) fn fail(&mut self, why: String) {
        self.fault = Some(why);
        self.pace = None;
    }

    pub(super) fn press(&mut self, key: Key) {
        if std::mem::take(&mut self.help) {
            // The next key only ends the help, unless it ends all.
            self.over |= key == Key::Char('q');
            return;
        }
        let rows = self.table.rows(&self.status, self.status.as_of).len();
        let columns = self.table.columns().len();
        let table = self.table;
        let order = self.order_mut();
        match key {
            Key::Char('q') => self.over = true,
            Key::Char('?' | 'h') => self.help = true,
            Key::Tab => self.table = table.next(),
            Key::Char(digit @ '1'..='9') => {
                let place = digit
                    .to_digit(10)
                    .and_then(|digit| usize::try_from(digit).ok());
                let place = place.and_then(|place| Table::ALL.get(place.checked_sub(1)?));
                self.table = place.copied().unwrap_or(table);
            }
            Key::Right | Key::Char('s') => sort(order, order.column + 1, columns),
            Key::Left => sort(order, order.column + columns - 1, columns),
            Key::Char('r') => order.reversed = !order.reversed,
            Key::Down => order.first += 1,
            Key::Up => order.first = order.first.saturating_sub(1),
            Key::PageDown => order.first += PAGE,
            Key::PageUp => order.first = order.first.saturating_sub(PAGE),
            Key::Home | Key::Escape => order.first = 0,
            Key::Char(_) => {}
        }
        let order = self.order_mut();
        order.first = order.first.min(rows.saturating_sub(1));
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Of the table that is shown.
    pub(super) fn order(&self) -> Order {
        self.orders
            .get(self.table as usize)
            .copied()
            .unwrap_or_default()
    }

    fn order_mut(&mut self) -> &mut Order {
        let [first, rest @ ..] = &mut self.orders;
        match self.table as usize {
            0 => first,
            place => rest.get_mut(place - 1).unwrap_or(first),
        }
    }
}

fn sort(order: &mut Order, column: usize, columns: usize) {
    *order = Order {
        column: column.checked_rem(columns).unwrap_or_default(),
        ..Order::default()
    };
}

/// Messages taken, and recipients served.
fn ends(counted: &Counted) -> (u64, u64) {
    (counted.received, counted.delivered.count())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a few seconds, for people"
)]
fn pace(
    (then, before): (Timestamp, (u64, u64)),
    (now, after): (Timestamp, (u64, u64)),
) -> (f64, f64) {
    let seconds = now.since(then).as_secs_f64().max(0.001);
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    (each(before.0, after.0), each(before.1, after.1))
}
