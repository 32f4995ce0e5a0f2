//! From a URL to a session: dial, proxy, TLS, upgrade, welcome. Each phase has its own time limit.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use once_cell::sync::OnceCell;
use realtime_pubsub_protocol::Envelope;
use realtime_pubsub_protocol::envelope::Connection;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use crate::error::{Error, ErrorKind, Result};
use crate::event::ConnectionInfo;
use crate::options::{Options, TlsOptions};
use crate::upgrade::{Upgraded, upgrade};
use crate::url::{Endpoint, UrlProvider};

/// What the gateway's envelope may add to the largest message.
pub(crate) const ENVELOPE_ALLOWANCE: usize = 64 * 1024;
/// The answer of a proxy may not be longer.
const PROXY_ANSWER: usize = 8 * 1024;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(crate) type Socket = WebSocketStream<Upgraded<Box<dyn Io>>>;

/// What connecting needs, made once.
#[derive(Debug)]
pub(crate) struct Dialer {
    url: UrlProvider,
    headers: Vec<(HeaderName, HeaderValue)>,
    proxy: Option<Proxy>,
    tls: OnceCell<Arc<rustls::ClientConfig>>,
}

/// A connection whose welcome has come.
pub(crate) struct Established {
    pub(crate) socket: Socket,
    pub(crate) info: ConnectionInfo,
    /// Frames that came before the welcome.
    pub(crate) early: Vec<Message>,
}

/// Why there is none.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The gateway's close code and reason, if it came to that.
    pub(crate) close: Option<(u16, String)>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, close: None }
    }
}

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::HandshakeFailed, message)
}

async fn within<T, E: Into<Failure>>(
    limit: Duration,
    kind: ErrorKind,
    what: impl FnOnce() -> String,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Error::new(kind, format!("{} within {limit:?}", what())).into()),
    }
}

impl Dialer {
    pub(crate) fn new(url: UrlProvider, options: &Options) -> Result<Self> {
        let headers = options
            .headers
            .iter()
            .map(|(name, value)| {
                // The value may be a secret and is not shown.
                let bad = || Error::invalid(format!("header {name:?} has a name or value that HTTP does not allow"));
                let parsed = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
                let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| bad())?;
                value.set_sensitive(true);
                Ok((parsed, value))
            })
            .collect::<Result<_>>()?;
        let proxy = options.proxy.as_deref().map(Proxy::parse).transpose()?;
        check_pem(&options.tls)?;
        Ok(Dialer { url, headers, proxy, tls: OnceCell::new() })
    }

    /// Connects, up to the welcome.
    pub(crate) async fn connect(&self, options: &Options) -> Result<Established, Failure> {
        let endpoint = within(
            options.provider_timeout,
            ErrorKind::UrlProviderFailed,
            || "the URL provider gave no URL".into(),
            self.url.url(),
        )
        .await?;
        tracing::debug!(%endpoint, "connecting");
        let mut socket = within(
            options.handshake_timeout,
            ErrorKind::HandshakeFailed,
            || format!("{endpoint} did not complete dial, TLS and upgrade"),
            self.upgrade(&endpoint, options),
        )
        .await?;
        let mut early = Vec::new();
        let info = within(
            options.welcome_timeout,
            ErrorKind::HandshakeFailed,
            || format!("{endpoint} sent no welcome after the upgrade"),
            welcome(&mut socket, &endpoint, &mut early),
        )
        .await?;
        Ok(Established { socket, info, early })
    }

    async fn upgrade(&self, endpoint: &Endpoint, options: &Options) -> Result<Socket> {
        let dial = |host: String, port: u16| async move {
            let stream = TcpStream::connect((host.as_str(), port))
                .await
                .map_err(|error| failed(format!("can't reach {host}:{port}: {error}")))?;
            // Frames are written in batches already; holding one back would only add latency.
            let _ = stream.set_nodelay(true);
            Ok::<_, Error>(stream)
        };
        let stream = match &self.proxy {
            None => dial(endpoint.host.clone(), endpoint.port).await?,
            Some(proxy) => {
                let mut stream = dial(proxy.host.clone(), proxy.port).await?;
                proxy.connect(&mut stream, endpoint).await?;
                stream
            }
        };
        let stream: Box<dyn Io> = if endpoint.tls {
            let config = self.tls.get_or_try_init(|| tls_config(&options.tls).map(Arc::new))?;
            let name = ServerName::try_from(endpoint.host.clone())
                .map_err(|_| failed(format!("{} is no name that TLS can check", endpoint.host)))?;
            let tls = TlsConnector::from(Arc::clone(config))
                .connect(name, stream)
                .await
                .map_err(|error| failed(format!("TLS with {endpoint} failed: {error}")))?;
            Box::new(tls)
        } else {
            Box::new(stream)
        };
        let request = self.request(endpoint)?;
        let inbound = options.max_message_size + ENVELOPE_ALLOWANCE;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(inbound))
            .max_frame_size(Some(inbound));
        upgrade(request, stream, config).await.map_err(|error| refused(error, endpoint))
    }

    fn request(&self, endpoint: &Endpoint) -> Result<Request> {
        let mut request = endpoint
            .uri
            .clone()
            .into_client_request()
            .map_err(|_| Error::invalid(format!("no handshake can be made for {endpoint}")))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        Ok(request)
    }
}

/// Read at a time. Larger would be cleared anew before each read for nothing: a socket rarely holds more.
const READ_BUFFER: usize = 16 * 1024;
/// Written at a time while there is more to write.
const WRITE_BUFFER: usize = 64 * 1024;

fn refused(error: WsError, endpoint: &Endpoint) -> Error {
    match error {
        WsError::Http(response) => failed(describe_refusal(&response, endpoint)),
        error => failed(format!("the upgrade of {endpoint} failed: {error}")),
    }
}

fn describe_refusal(response: &Response, endpoint: &Endpoint) -> String {
    let mut text = format!("{endpoint} refused the upgrade: HTTP {}", response.status());
    if let Some(body) = response.body() {
        let body: String = String::from_utf8_lossy(body).chars().take(300).collect();
        let body = body.trim();
        // A gateway might quote the request, and the token with it.
        let quotes_secret = endpoint.secret().is_some_and(|secret| {
            secret
                .split('&')
                .filter_map(|pair| pair.split('=').next_back())
                .any(|part| part.len() > 3 && body.contains(part))
        });
        if !body.is_empty() && !quotes_secret {
            text.push_str(": ");
            text.push_str(body);
        }
    }
    text
}

/// Reads up to the welcome.
async fn welcome(
    socket: &mut Socket,
    endpoint: &Endpoint,
    early: &mut Vec<Message>,
) -> Result<ConnectionInfo, Failure> {
    loop {
        let message = match socket.next().await {
            None => return Err(failed(format!("{endpoint} closed the connection before its welcome")).into()),
            Some(Err(error)) => return Err(failed(format!("{endpoint} broke off before its welcome: {error}")).into()),
            Some(Ok(message)) => message,
        };
        match &message {
            Message::Text(text) => {
                if let Some(info) = read_welcome(text) {
                    return Ok(info);
                }
            }
            Message::Binary(bytes) => {
                if let Some(info) = Utf8Bytes::try_from(bytes.clone()).ok().as_ref().and_then(read_welcome) {
                    return Ok(info);
                }
            }
            Message::Close(frame) => {
                let (code, reason) =
                    frame.as_ref().map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                let error = failed(format!("{endpoint} closed the connection before its welcome: {code} {reason}"));
                return Err(Failure { error, close: Some((code, reason)) });
            }
            _ => continue,
        }
        early.push(message);
    }
}

fn read_welcome(text: &Utf8Bytes) -> Option<ConnectionInfo> {
    let envelope = Envelope::parse(text).ok().filter(Envelope::is_welcome)?;
    let connection = Connection::parse(envelope.data)?;
    Some(ConnectionInfo {
        id: connection.id.into_owned(),
        app_id: connection.app_id.into_owned(),
        remote_address: connection.remote_address.into_owned(),
    })
}

/// An HTTP proxy.
#[derive(Clone)]
struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl Proxy {
    fn parse(url: &str) -> Result<Self> {
        let bad = || Error::invalid("the proxy must look like http://[user:password@]host:port");
        let uri: Uri = url.parse().map_err(|_| bad())?;
        if uri.scheme_str() != Some("http") {
            return Err(bad());
        }
        let authority = uri.authority().ok_or_else(bad)?;
        let authorization = authority.as_str().rsplit_once('@').map(|(user, _)| {
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
            format!("Basic {}", data_encoding::BASE64.encode(&decoded))
        });
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Proxy { host, port: authority.port_u16().unwrap_or(80), authorization })
    }

    /// Asks the proxy for a tunnel.
    async fn connect(&self, stream: &mut TcpStream, endpoint: &Endpoint) -> Result<()> {
        let broke = |error: io::Error| failed(format!("the proxy {self:?} broke off: {error}"));
        let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
        let target = format!("{host}:{}", endpoint.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(broke)?;
        // Byte by byte, so that nothing behind the answer is taken.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= PROXY_ANSWER {
                return Err(failed(format!("the proxy {self:?} answered with more than {PROXY_ANSWER} bytes")));
            }
            answer.push(stream.read_u8().await.map_err(broke)?);
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&answer).ok().and(response.code) {
            Some(code) if (200..300).contains(&code) => Ok(()),
            Some(code) => Err(failed(format!(
                "the proxy {self:?} refused a tunnel to {target}: HTTP {code} {}",
                response.reason.unwrap_or_default()
            ))),
            None => Err(failed(format!("the proxy {self:?} did not answer in HTTP"))),
        }
    }
}

fn check_pem(tls: &TlsOptions) -> Result<()> {
    if let Some(pem) = &tls.ca_pem {
        certificates(pem, "ca_pem")?;
    }
    match (&tls.client_cert_pem, &tls.client_key_pem) {
        (None, None) => Ok(()),
        (Some(certificate), Some(key)) => {
            certificates(certificate, "client_cert_pem")?;
            private_key(key).map(drop)
        }
        _ => Err(Error::invalid("client_cert_pem and client_key_pem go together; one of them is missing")),
    }
}

fn certificates(pem: &[u8], option: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::invalid(format!("option {option} is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(Error::invalid(format!("option {option} has no certificate in it")));
    }
    Ok(certificates)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| Error::invalid("option client_key_pem has no private key in it"))
}

/// The system's certificate authorities, read once in a process.
fn system_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceCell<Vec<CertificateDer<'static>>> = OnceCell::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a system certificate can't be read");
        }
        found.certs
    })
}

fn tls_config(tls: &TlsOptions) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if !tls.only_own_ca {
        roots.add_parsable_certificates(system_roots().iter().cloned());
    }
    if let Some(pem) = &tls.ca_pem {
        roots.add_parsable_certificates(certificates(pem, "ca_pem")?);
    }
    if roots.is_empty() {
        return Err(failed("no certificate authority to trust: the system has none, and no ca_pem is given"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| Error::invalid(format!("the TLS options can't be used: {error}"));
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    match (&tls.client_cert_pem, &tls.client_key_pem) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate, "client_cert_pem")?, private_key(key)?)
            .map_err(unusable),
        _ => Ok(builder.with_no_client_auth()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_parsed_and_keep_their_password() {
        let proxy = Proxy::parse("http://user:p%40ss@proxy.local:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.local", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(format!("{proxy:?}"), "http://proxy.local:3128");
        for bad in ["socks5://h:1", "h:1", "", "http://"] {
            assert_eq!(Proxy::parse(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn unusable_tls_options_are_named() {
        let bad = |tls: TlsOptions| check_pem(&tls).unwrap_err().to_string();
        assert!(bad(TlsOptions { ca_pem: Some(b"x".to_vec()), ..Default::default() }).contains("ca_pem"));
        assert!(bad(TlsOptions { client_key_pem: Some(vec![]), ..Default::default() }).contains("go together"));
    }
}
