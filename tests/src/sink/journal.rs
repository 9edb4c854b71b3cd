//! What a sink got, in the order it came.

use std::{
    net::SocketAddr,
    sync::{Condvar, Mutex},
    time::{Duration, Instant},
};

use crate::wait::PATIENCE;

/// One message.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was there as a whole.
    pub at: Instant,
    /// The client's end of the connection.
    pub client: SocketAddr,
    /// Number of the message on its connection, from 1.
    pub nth: usize,
    /// Name after EHLO, HELO or LHLO.
    pub helo: String,
    /// MAIL FROM, without brackets and parameters.
    pub sender: String,
    /// Parameters of MAIL FROM, such as `SIZE=320 BODY=8BITMIME`.
    pub parameters: String,
    /// Recipients that were accepted, without brackets and parameters.
    pub recipients: Vec<String>,
    /// Came over TLS.
    pub encrypted: bool,
    /// Header and body, dots removed.
    pub content: Vec<u8>,
}

impl Received {
    /// Header and body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// The header section.
    pub fn header_section(&self) -> String {
        self.text()
            .split_once("\r\n\r\n")
            .map_or_else(|| self.text(), |(header, _)| format!("{header}\r\n"))
    }

    /// After the empty line.
    pub fn body(&self) -> String {
        self.text()
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap_or_default()
    }

    /// Values of a header field, unfolded.
    pub fn fields(&self, name: &str) -> Vec<String> {
        let unfolded = self
            .header_section()
            .replace("\r\n ", " ")
            .replace("\r\n\t", " ");
        let value = |line: &str| {
            let (field, value) = line.split_once(':')?;
            field
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        };
        unfolded.lines().filter_map(value).collect()
    }

    /// The one field of that name.
    pub fn field(&self, name: &str) -> String {
        let mut values = self.fields(name);
        assert_eq!(values.len(), 1, "one {name} in:\n{}", self.header_section());
        values.remove(0)
    }
}

/// All messages of a sink.
#[derive(Debug, Default)]
pub struct Journal {
    messages: Mutex<Vec<Received>>,
    asked: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Journal {
    pub(super) fn add(&self, message: Received) {
        self.messages.lock().unwrap().push(message);
        self.grown.notify_all();
    }

    pub(super) fn asked_for(&self, recipient: &str) {
        self.asked.lock().unwrap().push(recipient.to_owned());
    }

    /// How often somebody wanted to send to that recipient, who may have been refused.
    pub fn times_asked_for(&self, recipient: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|known| *known == recipient).count()
    }

    /// What came so far.
    pub fn messages(&self) -> Vec<Received> {
        self.messages.lock().unwrap().clone()
    }

    /// How many came so far.
    pub fn len(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until so many have come.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let end = Instant::now() + PATIENCE;
        let mut messages = self.messages.lock().unwrap();
        while messages.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the sink got {} messages of {count} in {PATIENCE:?}",
                messages.len()
            );
            messages = self.grown.wait_timeout(messages, left).unwrap().0;
        }
        messages.clone()
    }

    /// Waits until another comes, or a little while.
    pub fn wait_a_moment(&self) {
        let messages = self.messages.lock().unwrap();
        let _ = self
            .grown
            .wait_timeout(messages, Duration::from_millis(20))
            .unwrap();
    }

    /// Waits for the first and gives it.
    pub fn first(&self) -> Received {
        self.wait_for(1).swap_remove(0)
    }
}
