//! Keys and self-signed certificates, made by rcgen: not by the code under test.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
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

    fn with_key(name: &str, key: &KeyPair) -> Self {
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
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

/// Writes a file of a test; nothing of it has to outlive a crash.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of a test has to outlive nothing"
    )]
    fs::write(path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
