//! Certificates for scenarios with TLS: an authority made for the run, and what it has signed.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use realtime_pubsub_gateway::TlsOptions;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use crate::json::Json;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A certificate and its key, PEM.
struct Pair {
    certificate: String,
    key: String,
}

/// A server's TLS, and what its clients may need.
pub(crate) struct Authority {
    issuer: Issuer,
    server: Pair,
    clients: bool,
}

fn said(error: impl std::fmt::Display) -> String {
    format!("TLS: {error}")
}

fn issuer() -> Result<Issuer, String> {
    let mut params = CertificateParams::new(Vec::new()).map_err(said)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(said)?).map_err(said)
}

fn issue(issuer: &Issuer, name: &str, expired: bool) -> Result<Pair, String> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(said)?;
    if expired {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate().map_err(said)?;
    let certificate = params.signed_by(&key, issuer).map_err(said)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

impl Authority {
    /// As a scenario's `tls` says.
    pub(crate) fn new(settings: &Json) -> Result<Authority, String> {
        let flag = |name: &str| settings.get(name).and_then(Json::as_bool) == Some(true);
        let name = settings.get("name").and_then(Json::as_str).unwrap_or("127.0.0.1");
        let issuer = issuer()?;
        let server = issue(&issuer, name, flag("expired"))?;
        Ok(Authority { issuer, server, clients: flag("clients") })
    }

    /// For the gateway, which has no use for clients' certificates.
    pub(crate) fn gateway(&self) -> Result<TlsOptions, String> {
        match self.clients {
            true => Err("only the scripted server asks for clients' certificates".into()),
            false => Ok(TlsOptions::pem(self.server.certificate.as_str(), self.server.key.as_str())),
        }
    }

    /// For the scripted server.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(said)?;
        let builder = if self.clients {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&self.issuer.pem())?).map_err(said)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(said)?)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(self.server.key.as_bytes()).map_err(said)?;
        let config = builder.with_single_cert(vec![certificate(&self.server.certificate)?], key).map_err(said)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What a scenario has as `$tls`: PEM texts.
    pub(crate) fn told(&self) -> Result<Json, String> {
        let client = issue(&self.issuer, "alice", false)?;
        let told = [
            ("authority", self.issuer.pem()),
            ("stranger", issuer()?.pem()),
            ("client_cert", client.certificate),
            ("client_key", client.key),
        ];
        Ok(Json::object(told.map(|(name, pem)| (name, pem.as_str().into()))))
    }
}

fn certificate(pem: &str) -> Result<CertificateDer<'static>, String> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(said)
}
