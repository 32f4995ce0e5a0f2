//! Reaching a NATS server: its address, TLS, and who we are.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, BytesMut};
use nkeys::KeyPair;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::wire::{Connect, Info, Said, parse};
use crate::options::NatsOptions;

pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A server that has let us in.
pub(crate) struct Connected {
    pub(super) socket: Box<dyn Socket>,
    /// What came behind its greeting.
    pub(super) early: BytesMut,
    pub(super) info: Info,
    pub(super) server: String,
}

/// Why a server did not let us in.
#[derive(Debug)]
pub(super) enum Failed {
    /// It may work later.
    Away(String),
    /// Trying again is no use before the options or the server's change.
    Refused(String),
}

impl Failed {
    pub(super) fn text(&self) -> &str {
        match self {
            Failed::Away(text) | Failed::Refused(text) => text,
        }
    }
}

/// A server's URL, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Server {
    host: String,
    port: u16,
    tls: bool,
    user: Option<(String, Option<String>)>,
}

impl Server {
    pub(super) fn parse(url: &str) -> Result<Server, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        // Never the whole URL: it may have a password in it.
        let (login, address) = rest.rsplit_once('@').map_or((None, rest), |(login, address)| (Some(login), address));
        let wrong = |what: &str| Err(format!("nats: the server {address:?} {what}"));
        let tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return wrong("has a scheme that is neither nats:// nor tls://"),
        };
        let address = address.trim_end_matches('/');
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
                Ok(port) => (host, port),
                Err(_) => return wrong("has a port that is no number up to 65535"),
            },
            _ => (address, 4222),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return wrong("has no host that can be read");
        }
        let user = login.map(|login| match login.split_once(':') {
            Some((user, password)) => (unescape(user), Some(unescape(password))),
            None => (unescape(login), None),
        });
        Ok(Server { host, port, tls, user })
    }

    fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Text with `%xx` made plain.
fn unescape(text: &str) -> String {
    let kept = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(kept.as_bytes()).next().map_or(String::new(), |(text, _)| text.into_owned())
}

/// What is needed to connect, checked.
pub(super) struct Login {
    pub(super) servers: Vec<Server>,
    options: NatsOptions,
    tls: Option<TlsConnector>,
    name: String,
}

impl Login {
    pub(super) fn new(options: &NatsOptions, name: String) -> Result<Login, String> {
        let servers = options.servers.iter().map(|server| Server::parse(server)).collect::<Result<Vec<_>, _>>()?;
        let mut login = Login { servers, options: options.clone(), tls: None, name };
        if login.needs_tls() || login.servers.iter().any(|server| server.tls) || options.tls_client.is_some() {
            login.tls = Some(connector(options)?);
        }
        if options.credentials_file.is_some() {
            login.credentials()?;
        }
        Ok(login)
    }

    fn needs_tls(&self) -> bool {
        self.options.tls_required || self.options.tls_ca.is_some()
    }

    fn credentials(&self) -> Result<Option<(String, KeyPair)>, String> {
        let Some(path) = &self.options.credentials_file else { return Ok(None) };
        let failed = |what: &str| format!("nats: the credentials file {} {what}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(&format!("can't be read: {error}")))?;
        let section = |name: &str| {
            let begin = text.find(&format!("-----BEGIN {name}-----"))?;
            text[begin..].lines().nth(1).map(|line| line.trim().to_owned())
        };
        let jwt = section("NATS USER JWT").ok_or_else(|| failed("has no NATS USER JWT"))?;
        let seed = section("USER NKEY SEED").ok_or_else(|| failed("has no USER NKEY SEED"))?;
        let key = KeyPair::from_seed(&seed).map_err(|_| failed("has a seed that can't be read"))?;
        Ok(Some((jwt, key)))
    }

    /// Connects to one of the servers.
    pub(super) async fn connect(&self, server: usize) -> Result<Connected, Failed> {
        let Some(server) = self.servers.get(server % self.servers.len().max(1)) else {
            return Err(Failed::Refused("no server is given".into()));
        };
        let limit: Duration = self.options.timeout;
        match timeout(limit, self.greet(server)).await {
            Ok(result) => result.map_err(|failed| match failed {
                Failed::Away(text) => Failed::Away(format!("{}: {text}", server.name())),
                Failed::Refused(text) => Failed::Refused(format!("{}: {text}", server.name())),
            }),
            Err(_) => Err(Failed::Away(format!("{}: no answer in {limit:?}", server.name()))),
        }
    }

    async fn greet(&self, server: &Server) -> Result<Connected, Failed> {
        let away = |error: io::Error| Failed::Away(error.to_string());
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(away)?;
        tcp.set_nodelay(true).map_err(away)?;
        let mut socket: Box<dyn Socket> = Box::new(tcp);
        let mut buffer = BytesMut::new();
        let info: Info = loop {
            let said = parse(&buffer, 0).map_err(|error| Failed::Refused(error.to_string()))?;
            match said {
                Some((_, Said::Info(text))) => {
                    break serde_json::from_str(text)
                        .map_err(|error| Failed::Refused(format!("its INFO can't be read: {error}")))?;
                }
                Some((_, Said::Error(text))) => return Err(refusal(text)),
                Some(_) => return Err(Failed::Refused("it did not begin with INFO".into())),
                None => read(&mut socket, &mut buffer).await?,
            }
        };
        buffer.clear();
        let secure = self.needs_tls() || server.tls;
        if secure && !info.tls_required && !info.tls_available {
            return Err(Failed::Refused("it has no TLS, which the options require".into()));
        }
        if secure || info.tls_required {
            let connector = match &self.tls {
                Some(connector) => connector.clone(),
                None => connector(&self.options).map_err(Failed::Refused)?,
            };
            if info.tls_verify && self.options.tls_client.is_none() {
                return Err(Failed::Refused("it asks for a client certificate, and none is given".into()));
            }
            let name = ServerName::try_from(server.host.clone())
                .map_err(|_| Failed::Refused("its name is none that a certificate could have".into()))?;
            socket = Box::new(connector.connect(name, socket).await.map_err(broken)?);
        }
        let hello = self.hello(server, &info, secure).map_err(Failed::Refused)?;
        socket.write_all(hello.as_bytes()).await.map_err(broken)?;
        socket.flush().await.map_err(broken)?;
        loop {
            let (length, done) = match parse(&buffer, 0).map_err(|error| Failed::Refused(error.to_string()))? {
                Some((_, Said::Error(text))) => return Err(refusal(text)),
                Some((length, said)) => (length, said == Said::Pong),
                None => {
                    read(&mut socket, &mut buffer).await?;
                    continue;
                }
            };
            buffer.advance(length);
            if done {
                return Ok(Connected { socket, early: buffer, info, server: server.name() });
            }
        }
    }

    fn hello(&self, server: &Server, info: &Info, secure: bool) -> Result<String, String> {
        let options = &self.options;
        let mut connect = Connect {
            verbose: false,
            pedantic: false,
            echo: false,
            tls_required: secure,
            name: &self.name,
            lang: "rust",
            version: env!("CARGO_PKG_VERSION"),
            protocol: 1,
            user: options.user.clone(),
            pass: options.password.clone(),
            auth_token: options.token.clone(),
            jwt: None,
            sig: None,
        };
        match &server.user {
            Some((user, Some(password))) => {
                (connect.user, connect.pass) = (Some(user.clone()), Some(password.clone()));
            }
            // As in other NATS clients, a URL with one word is a token.
            Some((token, None)) => connect.auth_token = Some(token.clone()),
            None => {}
        }
        if let Some((jwt, key)) = self.credentials()? {
            let nonce = info.nonce.as_deref().ok_or("the server asks for no credentials, but a file is given")?;
            let signature = key.sign(nonce.as_bytes()).map_err(|_| "the credentials file's key can't sign")?;
            (connect.jwt, connect.sig) = (Some(jwt), Some(URL_SAFE_NO_PAD.encode(signature)));
        }
        let connect = serde_json::to_string(&connect).map_err(|error| error.to_string())?;
        Ok(format!("CONNECT {connect}\r\nPING\r\n"))
    }
}

fn refusal(text: &str) -> Failed {
    let lower = text.to_ascii_lowercase();
    let final_words = ["authorization", "authentication", "tls"];
    // `Authentication Timeout` is a machine that is too busy.
    match final_words.iter().any(|word| lower.contains(word)) && !lower.contains("timeout") {
        true => Failed::Refused(text.to_owned()),
        false => Failed::Away(text.to_owned()),
    }
}

async fn read(socket: &mut Box<dyn Socket>, buffer: &mut BytesMut) -> Result<(), Failed> {
    match socket.read_buf(buffer).await {
        Ok(0) => Err(Failed::Away("it closed the connection".into())),
        Ok(_) => Ok(()),
        Err(error) => Err(broken(error)),
    }
}

/// Why a connection broke. What TLS finds wrong stays wrong when it is tried again.
fn broken(error: io::Error) -> Failed {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            Failed::Refused(format!("TLS: its certificate is not trusted: {why}"))
        }
        Some(error) => Failed::Refused(format!("TLS: {error}")),
        None => Failed::Away(error.to_string()),
    }
}

fn connector(options: &NatsOptions) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let authorities: Vec<CertificateDer<'static>> = match &options.tls_ca {
        Some(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("nats: tls_ca is not PEM of certificates: {error}"))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(authorities);
    if roots.is_empty() {
        return Err("nats: there is no certificate authority to trust; give tls_ca".into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("nats: TLS: {error}"))?
        .with_root_certificates(roots);
    let config = match &options.tls_client {
        None => config.with_no_client_auth(),
        Some((certificates, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificates)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| format!("nats: tls_client's certificates can't be read: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "nats: tls_client's key can't be read")?;
            config.with_client_auth_cert(chain, key).map_err(|error| format!("nats: tls_client: {error}"))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::{Failed, Server, refusal};

    #[test]
    fn what_may_pass_is_no_refusal() {
        for (text, refused) in [
            ("Authorization Violation", true),
            ("User Authentication Expired", true),
            ("Secure Connection - TLS Required", true),
            ("Authentication Timeout", false),
            ("maximum connections exceeded", false),
        ] {
            assert_eq!(matches!(refusal(text), Failed::Refused(_)), refused, "{text}");
        }
    }

    #[test]
    fn urls_are_taken_apart_and_never_shown() {
        let server = |url: &str| Server::parse(url).unwrap();
        assert_eq!(server("a").name(), "a:4222");
        assert_eq!(server("nats://[::1]:5").name(), "::1:5");
        let full = server("tls://u%40x:p%3A+@a.b:1/");
        assert_eq!((full.name().as_str(), full.tls), ("a.b:1", true));
        assert_eq!(full.user, Some(("u@x".into(), Some("p:+".into()))));
        for wrong in ["http://u:hidden@a", "nats://u:hidden@a:99999", "nats://u:hidden@", "nats://u:hidden@a/b"] {
            let error = Server::parse(wrong).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
