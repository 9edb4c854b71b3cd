//! The rest of the world's mail servers: a plain server that reads commands and says what its mood
//! is. It is not written with the programs' own machines, so that what they say is read by somebody
//! else.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    dice::Dice,
    model::{Model, token_of},
    network::{Arrival, ConnId, Micros, Sent, Side},
};

/// How a server treats mail for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Fine,
    /// Nobody listens.
    Down,
    /// Packets are lost.
    Lost,
    /// Connects, and says nothing.
    Silent,
    /// 421 at once.
    Busy,
    /// 421 at the so manieth command.
    Leaves(u32),
    /// 450 to each recipient, to some, 451 to the message.
    LaterRecipient,
    LaterSome,
    LaterMessage,
    NeverMessage,
    /// 530 to MAIL: about us, not about the mail.
    AboutUs,
    /// No SMTP at all, in place of the reply to MAIL, or of the last one.
    Garbage,
    GarbageAtEnd,
    /// Takes the message, and says nothing of it.
    NoAnswer,
    /// Takes the message, and closes, or refuses it.
    Dies,
    Lies,
    /// Says last words that answer nothing, when it has taken a message.
    LastWords,
    /// One reply too many.
    Stray,
}

pub(crate) const MOODS: [Mood; 21] = [
    Mood::Fine,
    Mood::Down,
    Mood::Lost,
    Mood::Silent,
    Mood::Busy,
    Mood::Leaves(1),
    Mood::Leaves(3),
    Mood::Leaves(4),
    Mood::Leaves(9),
    Mood::LaterRecipient,
    Mood::LaterSome,
    Mood::LaterMessage,
    Mood::NeverMessage,
    Mood::AboutUs,
    Mood::Garbage,
    Mood::GarbageAtEnd,
    Mood::NoAnswer,
    Mood::Dies,
    Mood::Lies,
    Mood::LastWords,
    Mood::Stray,
];

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: IpAddr,
    /// Until when it has which.
    moods: Vec<(Micros, Mood)>,
    usual: Mood,
    pipelining: bool,
    chats: BTreeMap<ConnId, Chat>,
}

#[derive(Default)]
struct Chat {
    input: Vec<u8>,
    /// How much of it is read.
    read: usize,
    commands: u32,
    /// A transaction is.
    open: bool,
    sender: String,
    recipients: Vec<String>,
    /// The message as far as it came.
    message: Option<Vec<u8>>,
    closed: bool,
}

/// What is said, and which message it tells of.
struct Said(Vec<u8>, Option<u32>);

impl Peer {
    pub(crate) fn new(name: &'static str, address: [u8; 4], usual: Mood, pipelining: bool) -> Self {
        Self {
            name,
            address: address.into(),
            moods: Vec::new(),
            usual,
            pipelining,
            chats: BTreeMap::new(),
        }
    }

    pub(crate) fn set_mood(&mut self, mood: Mood, until: Micros) {
        self.moods.push((until, mood));
    }

    pub(crate) fn mood(&self, now: Micros) -> Mood {
        let mut moods = self.moods.iter().rev();
        let current = moods.find(|(until, _)| *until > now);
        current.map_or(self.usual, |(_, mood)| *mood)
    }

    pub(crate) fn take(
        &mut self,
        conn: ConnId,
        arrival: Arrival,
        now: Micros,
        model: &mut Model,
        dice: &mut Dice,
        out: &mut Vec<Sent>,
    ) {
        let mood = self.mood(now);
        let mut said = Vec::new();
        match arrival {
            Arrival::Dialled(_) if mood == Mood::Silent => {}
            Arrival::Dialled(_) => {
                let mut chat = Chat::default();
                if mood == Mood::Busy {
                    said.push(say("421 4.3.2 not now"));
                    chat.closed = true;
                } else {
                    said.push(say(&format!("220 {} ESMTP", self.name)));
                }
                self.chats.insert(conn, chat);
            }
            Arrival::Bytes(bytes) => {
                let Some(chat) = self.chats.get_mut(&conn) else {
                    return;
                };
                chat.input.extend_from_slice(&bytes);
                let of = (self.name, self.pipelining, mood);
                while !chat.closed && chat.step(of, now, model, dice, &mut said) {}
            }
            Arrival::End | Arrival::Reset | Arrival::Connected => {
                self.chats.remove(&conn);
                let by = Side::Listener;
                return out.push(Sent::Close { conn, by });
            }
        }
        for Said(bytes, acknowledges) in said {
            out.push(Sent::Bytes {
                conn,
                by: Side::Listener,
                bytes,
                acknowledges,
            });
        }
        if self.chats.get(&conn).is_some_and(|chat| chat.closed) {
            self.chats.remove(&conn);
            let by = Side::Listener;
            out.push(Sent::Close { conn, by });
        }
    }
}

fn say(line: &str) -> Said {
    Said(format!("{line}\r\n").into_bytes(), None)
}

impl Chat {
    /// Takes one line; false if there is none yet.
    fn step(
        &mut self,
        (name, pipelining, mood): (&str, bool, Mood),
        now: Micros,
        model: &mut Model,
        dice: &mut Dice,
        said: &mut Vec<Said>,
    ) -> bool {
        let rest = &self.input[self.read..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.input.drain(..std::mem::take(&mut self.read));
            return false;
        };
        let line = rest[..end].strip_suffix(b"\r");
        let line = line.expect("a bare line feed was sent").to_vec();
        self.read += end + 1;
        assert!(!line.contains(&b'\r'), "a bare carriage return was sent");
        if let Some(message) = &mut self.message {
            if line == b"." {
                let message = self.message.take().unwrap();
                self.end(mood, &message, now, model, said);
            } else {
                assert!(line.len() <= 999, "a line of {} bytes was sent", line.len());
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                message.extend_from_slice(b"\r\n");
            }
            return true;
        }
        self.commands += 1;
        if mood == Mood::Leaves(self.commands) {
            said.push(say("421 4.4.2 I have to go"));
            self.closed = true;
            return true;
        }
        let line = String::from_utf8(line).expect("commands are text");
        let word = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
        let reply = match word.as_str() {
            "EHLO" => {
                let pipelining = if pipelining {
                    "-PIPELINING"
                } else {
                    "-8BITMIME"
                };
                format!("250-{name}\r\n250{pipelining}\r\n250-DSN\r\n250 8BITMIME")
            }
            "MAIL" if mood == Mood::AboutUs => "530 5.7.0 Authentication required".to_owned(),
            "MAIL" if mood == Mood::Garbage => "\u{1}hello\u{7f} there".to_owned(),
            "MAIL" if self.open => "503 5.5.1 one at a time".to_owned(),
            "MAIL" => {
                self.open = true;
                self.sender = path(&line);
                self.recipients.clear();
                "250 2.1.0 Ok".to_owned()
            }
            "RCPT" => self.recipient(mood, &path(&line), now, model, dice),
            "DATA" if self.recipients.is_empty() => "554 5.5.1 nobody".to_owned(),
            "DATA" => {
                self.message = Some(Vec::new());
                "354 go on".to_owned()
            }
            "RSET" => {
                self.open = false;
                self.recipients.clear();
                "250 2.0.0 Ok".to_owned()
            }
            "QUIT" => {
                self.closed = true;
                "221 2.0.0 Bye".to_owned()
            }
            _ => "500 5.5.2 what?".to_owned(),
        };
        said.push(say(&reply));
        true
    }

    fn recipient(
        &mut self,
        mood: Mood,
        to: &str,
        now: Micros,
        model: &mut Model,
        dice: &mut Dice,
    ) -> String {
        let later = match mood {
            Mood::LaterRecipient => true,
            Mood::LaterSome => dice.chance(50),
            _ => to.starts_with("later") && now < 6 * 3600 * crate::network::SECOND,
        };
        if to.starts_with("no") {
            model.may_bounce(to);
            "550 5.1.1 nobody of this name".to_owned()
        } else if later {
            "450 4.2.0 later".to_owned()
        } else {
            self.recipients.push(to.to_owned());
            "250 2.1.5 Ok".to_owned()
        }
    }

    /// The message is complete.
    fn end(
        &mut self,
        mood: Mood,
        message: &[u8],
        now: Micros,
        model: &mut Model,
        said: &mut Vec<Said>,
    ) {
        self.open = false;
        let recipients = std::mem::take(&mut self.recipients);
        let token = token_of(message);
        match mood {
            Mood::LaterMessage => return said.push(say("451 4.3.0 not now")),
            Mood::NeverMessage => {
                for recipient in &recipients {
                    model.may_bounce(recipient);
                }
                if let (true, Some(token)) = (self.sender.is_empty(), token) {
                    model.is_dead(token);
                }
                return said.push(say("554 5.6.0 I do not like it"));
            }
            _ => {}
        }
        model.taken(&self.sender, &recipients, message, now);
        let mut excuse =
            || token.map(|token| model.excuse(token, "the peer took it and did not say so"));
        match mood {
            Mood::NoAnswer => {
                excuse();
            }
            Mood::Dies => {
                excuse();
                self.closed = true;
            }
            Mood::Lies => {
                excuse();
                said.push(say("451 4.3.0 or did I?"));
            }
            Mood::GarbageAtEnd => {
                excuse();
                said.push(say("\u{1}hello\u{7f} there"));
            }
            Mood::LastWords => {
                said.push(Said(b"250 2.0.0 Ok\r\n".to_vec(), token));
                said.push(say("554 5.4.2 idle too long, closing"));
                self.closed = true;
            }
            Mood::Stray => {
                said.push(Said(b"250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n".to_vec(), token));
            }
            _ => said.push(Said(b"250 2.0.0 Ok\r\n".to_vec(), token)),
        }
    }
}

/// What stands in the angle brackets.
fn path(line: &str) -> String {
    let (_, rest) = line.split_once('<').expect("a path");
    rest.split_once('>').expect("a whole path").0.to_owned()
}
