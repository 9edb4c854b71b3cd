//! A name server with one answer for every name, to see who asks it and whom one believes.
//!
//! Contract: answers A with its address and anything else with an empty answer (RFC 1035 §4.1); keeps the names it was asked for.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

/// A running name server on port 53 of a loopback address (root only).
#[derive(Debug)]
pub struct Resolver {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Resolver {
    /// Answers `answer` for everything. Ends with the test's process.
    pub fn start(address: Ipv4Addr, answer: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((address, 53))
            .unwrap_or_else(|e| panic!("name server on {address}: {e}"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::clone(&asked);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                if let Some((name, reply)) = reply(&query[..length], answer) {
                    names.lock().unwrap().push(name);
                    let _ = socket.send_to(&reply, client);
                }
            }
        });
        Self { asked }
    }

    /// Names it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The name in a query, and the reply to it.
fn reply(query: &[u8], answer: Ipv4Addr) -> Option<(String, Vec<u8>)> {
    let (header, mut rest) = query.split_at_checked(12)?;
    let mut labels = Vec::new();
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            rest = after;
            break;
        }
        let (label, after) = after.split_at_checked(length.into())?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        rest = after;
    }
    let (kind_and_class, _) = rest.split_at_checked(4)?;
    let question = &query[12..query.len() - rest.len() + 4];
    let address = kind_and_class == [0, 1, 0, 1];
    // Response, recursion desired and available; one question, at most one answer.
    let mut reply = [
        &header[..2],
        &[0x81, 0x80, 0, 1, 0, u8::from(address), 0, 0, 0, 0],
        question,
    ]
    .concat();
    if address {
        // The name by pointer, A, IN, 60 seconds, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(answer.octets());
    }
    Some((labels.join("."), reply))
}
