//! Keys and self-signed certificates, made by rcgen: not by the code under test.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, Error, RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme,
    SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
};

/// A key with a certificate for a name.
#[derive(Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// A new key (ECDSA P-256).
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::with_key(name, &key)
    }

    /// The same key with a new certificate, as after a renewal.
    #[must_use]
    pub fn renewed(&self, name: &str) -> Self {
        Self::with_key(name, &KeyPair::from_pem(&self.key).unwrap())
    }

    /// A new key, with a certificate whose time was over long ago.
    pub fn expired(name: &str) -> Self {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2020, 2, 1);
        Self::with(parameters, &KeyPair::generate().unwrap())
    }

    fn with_key(name: &str, key: &KeyPair) -> Self {
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Self::with(parameters, key)
    }

    fn with(parameters: CertificateParams, key: &KeyPair) -> Self {
        let certificate = parameters.self_signed(key).unwrap();
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes `NAME.pem` and `NAME.key` into a directory.
    pub fn write(&self, directory: &Path, name: &str) {
        write(&directory.join(format!("{name}.pem")), &self.certificate);
        write(&directory.join(format!("{name}.key")), &self.key);
    }

    /// For a server of the harness.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_of(rustls::ALL_VERSIONS)
    }

    /// For a server of the harness that speaks only these versions of TLS.
    pub fn server_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap();
        Arc::new(
            config
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
                .unwrap(),
        )
    }
}

impl Identity {
    /// For a client that speaks only these versions of TLS, and believes this very certificate.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// A server with a certificate of a P-521 key, which it shows to whoever says that he knows such
/// keys, and refuses everybody else. It signs nothing that could be verified.
pub fn foreign_server() -> Arc<ServerConfig> {
    let certificate = include_str!("../../shared/relay/src/tls/testdata/p521.pem");
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let shown = CertifiedKey::new(vec![certificate], Arc::new(P521));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let shown = Arc::new(Shown(Arc::new(shown)));
    Arc::new(config.with_no_client_auth().with_cert_resolver(shown))
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct P521;

impl SigningKey for P521 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let knows = offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512);
        knows.then(|| Box::new(Self) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521 {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![7; 132])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// Writes a file of a test; nothing of it has to outlive a crash.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of a test has to outlive nothing"
    )]
    fs::write(path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
