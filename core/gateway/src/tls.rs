//! The certificate, made ready.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::GatewayError;
use crate::options::TlsOptions;

pub(crate) fn acceptor(options: &TlsOptions) -> Result<TlsAcceptor, GatewayError> {
    let invalid = |error: &dyn std::fmt::Display| GatewayError::InvalidCertificate(error.to_string());
    let chain = CertificateDer::pem_slice_iter(&options.certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(&error))?;
    if chain.is_empty() {
        return Err(GatewayError::InvalidCertificate("there is none in the PEM".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&options.key)
        .map_err(|_| GatewayError::InvalidCertificate("its private key can't be read".into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| invalid(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
