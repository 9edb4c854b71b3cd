//! What a TLS session was agreed upon, for the log.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use crate::trust::PeerKey;

/// An established session in Postfix's words (row B15): `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384
/// key-exchange X25519`, and `resumed` if it was.
pub fn summary(connection: &CommonState) -> String {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    };
    let cipher = connection.negotiated_cipher_suite().map_or_else(
        || "none".to_owned(),
        |suite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1),
    );
    let exchange = connection
        .negotiated_key_exchange_group()
        .map_or_else(String::new, |group| {
            format!(" key-exchange {:?}", group.name())
        });
    let resumed = if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
        " resumed"
    } else {
        ""
    };
    format!("{version} with cipher {cipher}{exchange}{resumed}")
}

/// What the peer presented.
pub fn peer_key(connection: &CommonState) -> Option<PeerKey> {
    PeerKey::of_certificate(connection.peer_certificates()?.first()?)
}
