//! Handshakes in memory: client and server of rustls, with our verifier in between.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConnection, HandshakeKind, ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
};

use mail::clock;

use super::*;
use crate::trust::{PeerKey, Pin};

/// A certificate with its key, both in PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn fresh(name: &str) -> Self {
        let (certificate, key) = self_signed(name).unwrap();
        Self { certificate, key }
    }
    fn old_ec() -> Self {
        Self {
            certificate: include_str!("testdata/v1-ec.pem").into(),
            key: include_str!("testdata/v1-ec.key").into(),
        }
    }
    /// As `openssl req -x509` makes one: an authority (CA:TRUE).
    fn authority() -> Self {
        Self {
            certificate: include_str!("testdata/ca-ec.pem").into(),
            key: include_str!("testdata/ca-ec.key").into(),
        }
    }
    fn old_rsa() -> Self {
        Self {
            certificate: include_str!("testdata/v1-rsa.pem").into(),
            key: include_str!("testdata/v1-rsa.key").into(),
        }
    }
    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
    fn peer_key(&self) -> PeerKey {
        PeerKey::of_certificate(&self.der()).unwrap()
    }
    /// A server that presents this certificate, even if it is old or the key is another's.
    fn server(&self, version: &'static rustls::SupportedProtocolVersion) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(vec![self.der()], key);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap();
        Arc::new(
            builder
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(Always(Arc::new(certified)))),
        )
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);
impl rustls::server::ResolvesServerCert for Always {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// One handshake, with a few bytes behind it so that tickets arrive.
fn shake(client: &ClientTls, server: &Arc<ServerConfig>) -> io::Result<ClientConnection> {
    shake_with("relay.example.org", client, server)
}

fn shake_with(
    host: &str,
    client: &ClientTls,
    server: &Arc<ServerConfig>,
) -> io::Result<ClientConnection> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let client =
        ClientConnection::new(Arc::clone(&client.config), name).map_err(io::Error::other)?;
    shake_over(client, server)
}

fn shake_over(
    mut client: ClientConnection,
    server: &Arc<ServerConfig>,
) -> io::Result<ClientConnection> {
    let mut server = ServerConnection::new(Arc::clone(server)).map_err(io::Error::other)?;
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        server.read_tls(&mut wire.as_slice())?;
        // A server that is refused says so; what counts is the client's own error.
        let _ = server.process_new_packets();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        client.read_tls(&mut wire.as_slice())?;
        client
            .process_new_packets()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    Ok(client)
}

fn pinned(pins: &[Pin]) -> ClientTls {
    ClientTls::new(&Trust::Pins(pins.to_vec())).unwrap()
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// Rows B15 and B7: key or certificate, current or next, new or of an ancient server.
#[test]
fn a_peer_with_a_pinned_key_is_believed_whatever_its_certificate_says() {
    for pair in [
        Pair::fresh("other.example.net"),
        Pair::old_ec(),
        Pair::old_rsa(),
    ] {
        let key = pair.peer_key();
        for pin in [
            key.pin(),
            Pin::CertificateSha256(key.certificate_sha256),
            Pin::KeySha1(key.key_sha1),
        ] {
            for version in VERSIONS {
                let client = shake(
                    &pinned(&[Pin::KeySha256([7; 32]), pin.clone()]),
                    &pair.server(version),
                )
                .unwrap();
                assert_eq!(peer_key(&client), Some(key.clone()));
            }
        }
    }
}

#[test]
fn another_key_is_refused_and_the_error_tells_what_to_paste() {
    let (pair, pinned_key) = (
        Pair::fresh("relay.example.org"),
        Pair::fresh("relay.example.org").peer_key(),
    );
    for version in VERSIONS {
        let error =
            explain(&shake(&pinned(&[pinned_key.pin()]), &pair.server(version)).unwrap_err());
        assert!(
            error.contains(&format!("it has {}", pair.peer_key().pin())),
            "{error}"
        );
        assert!(
            error.contains(&format!("expected {}", pinned_key.pin())),
            "{error}"
        );
        assert!(error.contains("add it to the pins"), "{error}");
        assert!(
            error.len() <= mail::outcome::MAX_TEXT,
            "{} bytes do not fit into the log",
            error.len()
        );
    }
    let old = Pin::CertificateSha256(pinned_key.certificate_sha256);
    let error = explain(
        &shake(
            &pinned(std::slice::from_ref(&old)),
            &pair.server(VERSIONS[1]),
        )
        .unwrap_err(),
    );
    assert!(
        error.contains(&format!("({})", pair.peer_key().pin_like(&old))),
        "{error}"
    );
}

/// The pin is public: whoever copies the certificate must not pass with it.
#[test]
fn a_copied_certificate_without_its_key_is_refused_even_where_anybody_is_believed() {
    for real in [Pair::fresh("relay.example.org"), Pair::old_ec()] {
        let thief = Pair {
            certificate: real.certificate.clone(),
            key: Pair::fresh("thief").key,
        };
        for version in VERSIONS {
            for client in [
                pinned(&[real.peer_key().pin()]),
                ClientTls::new(&Trust::Opportunistic).unwrap(),
            ] {
                let error = explain(&shake(&client, &thief.server(version)).unwrap_err());
                assert!(
                    error.contains("did not prove that it has the key"),
                    "{error}"
                );
            }
        }
    }
}

/// Row B8.
/// A key that is shown, and with which nothing is signed that anybody verifies.
#[derive(Debug)]
struct Foreign(rustls::SignatureScheme, rustls::SignatureAlgorithm);
impl rustls::sign::SigningKey for Foreign {
    fn choose_scheme(
        &self,
        offered: &[rustls::SignatureScheme],
    ) -> Option<Box<dyn rustls::sign::Signer>> {
        let knows = offered.contains(&self.0);
        knows.then(|| Box::new(Self(self.0, self.1)) as Box<dyn rustls::sign::Signer>)
    }
    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        self.1
    }
}
impl rustls::sign::Signer for Foreign {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![7; 132])
    }
    fn scheme(&self) -> rustls::SignatureScheme {
        self.0
    }
}

/// It hides its key from whoever does not know such ones.
#[test]
fn a_peer_with_a_key_of_a_type_that_is_not_supported_is_told_by_it_at_the_second_handshake() {
    use rustls::{SignatureAlgorithm, SignatureScheme};
    let name = ServerName::try_from("relay.example.org").unwrap();
    let p521 = include_str!("testdata/p521.pem");
    let ed448 = include_str!("testdata/ed448.pem");
    let known = Pair::fresh("relay.example.org");
    for (certificate, scheme, algorithm, told) in [
        (
            p521,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureAlgorithm::ECDSA,
            "is ECDSA P-521,",
        ),
        (
            ed448,
            SignatureScheme::ED448,
            SignatureAlgorithm::ED448,
            "is Ed448,",
        ),
    ] {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let seen = PeerKey::of_certificate(&der).unwrap();
        let key = Arc::new(Foreign(scheme, algorithm));
        let certified = Arc::new(CertifiedKey::new(vec![der], key));
        let mut server = (*known.server(&rustls::version::TLS13)).clone();
        server.cert_resolver = Arc::new(Always(certified));
        let server = Arc::new(server);
        for trust in [
            Trust::Opportunistic,
            Trust::WebRoots,
            Trust::Pins(vec![seen.pin()]),
        ] {
            let client = ClientTls::new(&trust).unwrap();
            let first = shake_over(client.begin(&name).unwrap().0, &server).unwrap_err();
            assert!(has_nothing_in_common(&first), "{first}");
            let said = explain(&first);
            assert!(said.contains("no type of key in common"), "{said}");
            assert!(client.refuses(&name) && !client.refuses(&name));
            let second = shake_over(client.begin(&name).unwrap().0, &server).unwrap_err();
            let said = explain(&second);
            assert!(said.contains("type that is not supported here"), "{said}");
            assert!(said.contains(told), "{trust:?}: {said}");
            // Whoever comes to have another key is believed as before.
            let client = client.begin(&name).unwrap().0;
            let mended = shake_over(client, &known.server(&rustls::version::TLS13));
            assert_eq!(mended.is_ok(), trust == Trust::Opportunistic, "{trust:?}");
        }
    }
}

#[test]
fn opportunistic_tls_takes_any_certificate_and_the_web_takes_no_self_signed_one() {
    for pair in [Pair::fresh("x.example.org"), Pair::old_rsa()] {
        shake(
            &ClientTls::new(&Trust::Opportunistic).unwrap(),
            &pair.server(VERSIONS[1]),
        )
        .unwrap();
    }
    for pair in [
        Pair::fresh("relay.example.org"),
        Pair::authority(),
        Pair::old_ec(),
        Pair::old_rsa(),
    ] {
        let web = ClientTls::new(&Trust::WebRoots).unwrap();
        let error = explain(&shake(&web, &pair.server(VERSIONS[1])).unwrap_err());
        assert!(
            error.ends_with("by a public certificate authority; if it is self-signed, pin its key"),
            "{error}"
        );
    }
    assert!(ClientTls::new(&Trust::Pins(Vec::new())).is_err());
}

/// Row B7.
#[test]
fn a_session_is_resumed_under_the_same_pins_and_never_under_others() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = write(&directory, "relay", &Pair::fresh("relay.example.org"));
    let pin = pins_of_file(&certificate).unwrap().pin();
    let server = server_config(&certificate, &key, TlsVersion::V1_2).unwrap();
    let client = pinned(&[pin]);
    assert_eq!(
        shake(&client, &server).unwrap().handshake_kind(),
        Some(HandshakeKind::Full)
    );
    let again = shake(&client, &server).unwrap();
    assert_eq!(again.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(
        summary(&again).starts_with("TLSv1.3 with cipher TLS_")
            && summary(&again).ends_with("resumed"),
        "{}",
        summary(&again)
    );
    assert!(shake(&pinned(&[Pin::KeySha256([0; 32])]), &server).is_err());
}

/// How the next handshake with a host goes.
fn kind(host: &str, client: &ClientTls, server: &Arc<ServerConfig>) -> Option<HandshakeKind> {
    shake_with(host, client, server).unwrap().handshake_kind()
}

/// Row B7.
#[test]
fn a_reload_keeps_sessions_where_the_same_is_believed_and_shown_and_nowhere_else() {
    const FULL: Option<HandshakeKind> = Some(HandshakeKind::Full);
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = write(&directory, "relay", &Pair::fresh("relay.example.org"));
    let pin = pins_of_file(&certificate).unwrap().pin();
    let server = server_config(&certificate, &key, TlsVersion::V1_2).unwrap();
    let (one, two) = ("one.example.org", "two.example.org");
    let before = pinned(std::slice::from_ref(&pin));
    assert_eq!(kind(one, &before, &server), FULL);
    let same = pinned(std::slice::from_ref(&pin)).or_same(Some(&before));
    assert_eq!(kind(one, &same, &server), Some(HandshakeKind::Resumed));
    // Each name has its own.
    assert_eq!(kind(two, &same, &server), FULL);
    let shown = Some((certificate.as_path(), key.as_path()));
    let trust = Trust::Pins(vec![pin.clone()]);
    for other in [
        pinned(&[pin, Pin::KeySha256([0; 32])]),
        ClientTls::with_identity(&trust, shown).unwrap(),
        ClientTls::new(&Trust::Opportunistic).unwrap(),
    ] {
        assert_eq!(kind(one, &other.or_same(Some(&same)), &server), FULL);
        assert_eq!(kind(one, &same, &server), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn sessions_with_many_hosts_are_bounded_and_those_used_last_stay() {
    let pair = Pair::fresh("relay.example.org");
    for version in VERSIONS {
        let mut server = ServerConfig::clone(&pair.server(version));
        let keys = Arc::new(TicketKeys::default());
        keys.set(KeyRing::default().turned(clock::now()).unwrap());
        server.ticketer = keys.bound_to(&[]);
        let server = Arc::new(server);
        let client = ClientTls::new(&Trust::Opportunistic).unwrap();
        let mut kinds = Vec::new();
        for number in 0..600 {
            kind(&format!("host{number}.example.org"), &client, &server);
            kinds.push(kind("often.example.org", &client, &server));
        }
        assert!(kinds.contains(&Some(HandshakeKind::Full)));
        let resumed = |it: &&Option<HandshakeKind>| **it == Some(HandshakeKind::Resumed);
        assert_eq!(kinds.iter().filter(resumed).count(), 599, "{version:?}");
        let first = kind("host0.example.org", &client, &server);
        assert_eq!(first, Some(HandshakeKind::Full), "{version:?}");
        let last = kind("host599.example.org", &client, &server);
        assert_eq!(last, Some(HandshakeKind::Resumed), "{version:?}");
    }
}

fn write(directory: &tempfile::TempDir, name: &str, pair: &Pair) -> (PathBuf, PathBuf) {
    let file = |ending: &str, text: &str| {
        let path = directory.path().join(format!("{name}.{ending}"));
        io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        path
    };
    (file("pem", &pair.certificate), file("key", &pair.key))
}

#[test]
fn files_that_cannot_serve_are_refused_with_their_name_and_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let (one, one_key) = write(&directory, "one", &Pair::fresh("one.example.org"));
    let (_, other_key) = write(&directory, "other", &Pair::fresh("other.example.org"));
    let (old, old_key) = write(&directory, "old", &Pair::old_ec());
    for (certificate, key, hint) in [
        (
            &one,
            &other_key,
            "other.key: this key does not belong to the certificate in",
        ),
        (&old, &old_key, "version 1"),
        (&one_key, &one_key, "one.key: there is no certificate"),
        (&one, &one, "one.pem: no private key"),
        (
            &directory.path().join("none"),
            &one_key,
            "none: No such file",
        ),
    ] {
        let error = server_config(certificate, key, TlsVersion::V1_2)
            .unwrap_err()
            .to_string();
        assert!(error.contains(hint), "{error}");
    }
    assert_eq!(pins_of_file(&old).unwrap(), Pair::old_ec().peer_key());
    assert!(self_signed("not a name\u{e9}").is_err());
}
