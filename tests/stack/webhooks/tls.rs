//! A certificate authority of the tests' own, which the functions of a test's cloud trust, and a server's certificate for
//! loopback: webhooks go to https and to nothing else, here as on AWS.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

struct Tls {
    authority: PathBuf,
    server: Arc<ServerConfig>,
}

fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap();
        let file = std::env::temp_dir().join("clipwright-authority");
        let issuer = Issuer::new(authority, key);
        // Named by this program, so that two test programs at once do not meet.
        let file = file.with_extension(format!("{}.pem", std::process::id()));
        std::fs::write(&file, certificate.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Tls { authority: file, server: Arc::new(server) }
    })
}

/// The file with the authority's certificate.
pub(crate) fn authority() -> &'static Path {
    &tls().authority
}

/// How a server on loopback speaks TLS.
pub(crate) fn server() -> Arc<ServerConfig> {
    Arc::clone(&tls().server)
}
