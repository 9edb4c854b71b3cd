//! A milter that answers as a test tells it to, and remembers what it was told: raw packets,
//! nothing of the protocol understood.
//!
//! Contract: a packet is in the journal before it is answered.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::wait::{free_address, until};

/// One packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    pub letter: u8,
    pub payload: Vec<u8>,
}

impl Packet {
    /// Its strings, each without its NUL.
    pub fn strings(&self) -> Vec<String> {
        let text = self.payload.strip_suffix(&[0]).unwrap_or(&self.payload);
        text.split(|byte| *byte == 0)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect()
    }
}

/// What is done with a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These, and the end of the connection.
    Last(Vec<u8>),
    /// Nothing, ever.
    Mute,
}

/// Length, letter and payload.
pub fn packet(letter: char, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len() + 1).unwrap();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(letter as u8);
    packet.extend_from_slice(payload);
    packet
}

/// A name and a value, for `h`; with an index, for `i` and `m`.
pub fn field(index: Option<u32>, name: &str, value: &str) -> Vec<u8> {
    let mut payload = index
        .map(u32::to_be_bytes)
        .map(Vec::from)
        .unwrap_or_default();
    payload.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    payload
}

/// `c`
pub fn go_on() -> Answer {
    Answer::Bytes(packet('c', ""))
}

/// What a filter takes of the offer: version 6, all actions, these steps, and macros it asks for.
pub fn agreed(steps: u32, macros: &[(u32, &str)]) -> Vec<u8> {
    let mut payload = [6u32, 0x1ff, steps]
        .map(u32::to_be_bytes)
        .as_flattened()
        .to_vec();
    for (step, names) in macros {
        payload.extend_from_slice(&step.to_be_bytes());
        payload.extend_from_slice(format!("{names}\0").as_bytes());
    }
    packet('O', payload)
}

type Journal = Arc<Mutex<Vec<Vec<Packet>>>>;

/// A running milter; each connection has its packets.
#[derive(Debug)]
pub struct Milter {
    address: SocketAddr,
    journal: Journal,
}

impl Milter {
    /// Agrees to everything, and asks `answer` about each packet that wants one, with those before
    /// it on the same connection.
    pub fn start(answer: impl Fn(&Packet, &[Packet]) -> Answer + Send + Sync + 'static) -> Self {
        Self::offering(agreed(0, &[]), answer)
    }

    /// The same with other options.
    pub fn offering(
        options: Vec<u8>,
        answer: impl Fn(&Packet, &[Packet]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::on(free_address(), move |packet, before| match packet.letter {
            b'O' => Answer::Bytes(options.clone()),
            _ => answer(packet, before),
        })
    }

    /// On this address; the negotiation is the script's, too.
    pub fn on(
        address: SocketAddr,
        answer: impl Fn(&Packet, &[Packet]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = until(&format!("{address} is free"), || {
            TcpListener::bind(address).ok()
        });
        let journal = Journal::default();
        let (all, answer) = (Arc::clone(&journal), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                thread::spawn(move || converse(stream, &all, &*answer));
            }
        });
        Self { address, journal }
    }

    /// As `milters` names it.
    pub fn endpoint(&self) -> String {
        format!("inet:{}", self.address)
    }

    /// What each connection was told so far.
    pub fn heard(&self) -> Vec<Vec<Packet>> {
        self.journal.lock().unwrap().clone()
    }

    /// The letters of all packets but macros, connections parted by `|`.
    pub fn letters(&self) -> String {
        let of = |packets: &Vec<Packet>| {
            let letters = packets.iter().map(|packet| char::from(packet.letter));
            letters.filter(|letter| *letter != 'D').collect::<String>()
        };
        self.heard().iter().map(of).collect::<Vec<_>>().join("|")
    }

    /// Waits until the letters are these.
    pub fn wait_for(&self, letters: &str) {
        let mut last = String::new();
        until(&format!("the milter heard {letters}"), || {
            let now = self.letters();
            if now != last {
                last.clone_from(&now);
            }
            (now == letters).then_some(())
        });
    }

    /// All packets with this letter.
    pub fn all(&self, letter: char) -> Vec<Packet> {
        let heard = self.heard().into_iter().flatten();
        heard
            .filter(|packet| packet.letter == letter as u8)
            .collect()
    }

    /// The macros that were sent for a step, by name; the last ones.
    pub fn macros(&self, step: char) -> Vec<(String, String)> {
        let all = self.all('D');
        let of_step = all
            .iter()
            .rfind(|packet| packet.payload.first() == Some(&(step as u8)));
        let strings = of_step.map(|packet| Packet {
            letter: packet.letter,
            payload: packet.payload[1..].to_vec(),
        });
        let strings = strings.map(|packet| packet.strings()).unwrap_or_default();
        strings
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect()
    }
}

fn converse(
    mut stream: TcpStream,
    all: &Mutex<Vec<Vec<Packet>>>,
    answer: &(dyn Fn(&Packet, &[Packet]) -> Answer + Send + Sync),
) {
    let number = {
        let mut all = all.lock().unwrap();
        all.push(Vec::new());
        all.len() - 1
    };
    while let Some(packet) = read(&mut stream) {
        let before = {
            let mut all = all.lock().unwrap();
            all[number].push(packet.clone());
            all[number].clone()
        };
        if matches!(packet.letter, b'D' | b'A' | b'Q') {
            continue;
        }
        match answer(&packet, &before) {
            Answer::Bytes(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Answer::Last(bytes) => {
                // It may have gone before.
                let _ = stream.write_all(&bytes);
                return;
            }
            Answer::Mute => {}
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Packet> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut packet).ok()?;
    let letter = packet.remove(0);
    Some(Packet {
        letter,
        payload: packet,
    })
}
