//! That a message came: for whoever waits for it.

use mail::{
    address::Sender,
    clock,
    message::{Field, Header, decoded_words::decoded, writer::Writer},
};

use super::{Server, session::Connection};
use crate::expected::Came;

impl Connection {
    /// What came; to be told when it is on disk.
    pub(super) fn came(&self, header: &Header, sender: &Sender, writer: Option<&Writer>) -> Came {
        let subject = header.first("Subject").map(Field::value);
        Came {
            address: self.client,
            ours: self.is_ours(),
            name: self.known_as().map(str::to_owned),
            helo: self.machine.helo().map(str::to_owned),
            user: writer.map_or_else(String::new, |writer| writer.user.clone()),
            sender: match sender {
                Sender::Null => String::new(),
                Sender::Address(address) => address.to_string(),
            },
            subject: decoded(&subject.unwrap_or_default()),
        }
    }
}

impl Server {
    /// It is on disk.
    pub(super) fn has_come(&self, came: &Came) {
        let news = {
            let mut expected = self.expected();
            expected.came(came, clock::now());
            expected.has_news()
        };
        self.state.changed();
        if news {
            self.dispatch.news().wake();
        }
    }
}
