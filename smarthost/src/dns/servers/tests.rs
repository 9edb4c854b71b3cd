use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
};

use domain::base::{Name, Rtype};
use tokio::runtime::Runtime;

use super::Servers;

/// Says that no name exists.
fn answering() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            question[2] |= 0x80;
            question[3] = 0x80 | 3; // it resolves for others, and there is no such name
            let _ = socket.send_to(&question[..length], client);
        }
    });
    address
}

#[test]
fn a_name_server_is_asked_again_though_what_asked_it_before_has_ended() {
    let servers = Servers::new(Some(answering()));
    for _ in 0..3 {
        let runtime = Runtime::new().unwrap();
        let name = Name::vec_from_str("a.example").unwrap();
        let answer = runtime.block_on(servers.ask(name, Rtype::MX)).unwrap();
        assert!(answer.is_none(), "{answer:?}");
        drop(runtime);
    }
}
