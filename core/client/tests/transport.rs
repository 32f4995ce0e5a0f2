//! On the way to the gateway: TLS, a proxy, headers, refusals.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use realtime_pubsub::{Client, ErrorKind, TlsOptions};
use realtime_pubsub_gateway::{ConnectFault, GatewayOptions, TokenRequest};
use support::World;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }
}

async fn secure_world(authority: &Authority) -> World {
    let (certificate, key) = authority.issue("localhost");
    World::with(GatewayOptions::default().tls(realtime_pubsub_gateway::TlsOptions::pem(certificate, key))).await
}

fn quick(options: &mut realtime_pubsub::Options) {
    options.max_retries = Some(0);
}

#[tokio::test]
async fn a_gateway_is_trusted_by_its_own_authority_and_by_no_other() {
    let authority = Authority::new();
    let world = secure_world(&authority).await;
    let url = world.url("alice").replace("127.0.0.1", "localhost");
    assert!(url.starts_with("wss://"));
    let trusting = |pem: Vec<u8>, only| {
        Client::builder().url(url.clone()).with(quick).with(|options| {
            options.tls.ca_pem = Some(pem);
            options.tls.only_own_ca = only;
        })
    };
    let client = support::connected(trusting(authority.pem(), true)).await;
    client.publish("x", 1).await.unwrap().wait_for_ack().await.unwrap();
    support::connected(trusting(authority.pem(), false)).await.disconnect().await;
    let error = trusting(Authority::new().pem(), true).build().unwrap().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeFailed);
    assert!(error.message().contains("certificate"), "{error}");
    // The right authority, and another name than the certificate's.
    let elsewhere = world.url("alice");
    let builder =
        Client::builder().url(elsewhere).with(quick).with(|options| options.tls.ca_pem = Some(authority.pem()));
    assert_eq!(builder.build().unwrap().connect().await.unwrap_err().kind(), ErrorKind::HandshakeFailed);
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let mut roots = rustls::RootCertStore::empty();
    let ca = rustls_pki_types::pem::PemObject::from_pem_slice(&authority.pem()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = vec![rustls_pki_types::pem::PemObject::from_pem_slice(certificate.as_bytes()).unwrap()];
    let own_key = rustls_pki_types::pem::PemObject::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, own_key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/apps/x", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len)
    });
    let (client_certificate, client_key) = authority.issue("alice");
    let mut tls = TlsOptions::default();
    tls.ca_pem = Some(authority.pem());
    tls.client_cert_pem = Some(client_certificate.into_bytes());
    tls.client_key_pem = Some(client_key.into_bytes());
    let client = Client::builder().url(url).with(quick).with(|options| options.tls = tls).build().unwrap();
    let _ = client.connect().await;
    assert_eq!(server.await.unwrap(), 1);
}

/// A proxy that keeps what it was asked, and answers with `status` or makes the tunnel.
async fn proxy(status: Option<&'static str>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 2 {
                log.lock().unwrap().push(line.trim_end().to_owned());
                line.clear();
            }
            if let Some(status) = status {
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
                continue;
            }
            let target = log.lock().unwrap()[0].split(' ').nth(1).unwrap().to_owned();
            let mut gateway = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n").await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut gateway).await });
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_with_credentials() {
    let world = World::new().await;
    let (port, asked) = proxy(None).await;
    let through = format!("http://user:p%40ss@127.0.0.1:{port}");
    let client = support::connected(world.builder("alice").with(|options| options.proxy = Some(through))).await;
    client.publish("x", 1).await.unwrap().wait_for_ack().await.unwrap();
    let asked = asked.lock().unwrap().clone();
    assert!(asked[0].starts_with(&format!("CONNECT {} HTTP/1.1", world.gateway.address())), "{asked:?}");
    assert!(asked.contains(&"Proxy-Authorization: Basic dXNlcjpwQHNz".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let world = World::new().await;
    let (port, _) = proxy(Some("407 Proxy Authentication Required")).await;
    let through = format!("http://user:SECRET@127.0.0.1:{port}");
    let builder = world.builder("alice").with(quick).with(|options| options.proxy = Some(through));
    let error = builder.build().unwrap().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeFailed);
    assert!(error.message().contains("407") && !error.message().contains("SECRET"), "{error}");
}

#[tokio::test]
async fn own_headers_go_with_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/apps/x?access_token=t", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(request).unwrap().to_lowercase()
    });
    let headers = vec![("X-Tenant".to_owned(), "blue".to_owned()), ("Cookie".to_owned(), "a=b".to_owned())];
    let client = Client::builder().url(url).with(quick).with(|options| options.headers = headers).build().unwrap();
    let _ = client.connect().await;
    let request = server.await.unwrap();
    assert!(request.contains("x-tenant: blue\r\n") && request.contains("cookie: a=b\r\n"), "{request}");
    let bad = vec![("X-Tenant".to_owned(), "SECRET\r\nEvil: yes".to_owned())];
    let builder = Client::builder().url("ws://h/").with(|options| options.headers = bad);
    let error = builder.build().unwrap_err();
    assert!(error.message().contains("X-Tenant") && !error.message().contains("SECRET"), "{error}");
}

#[tokio::test]
async fn refused_tokens_and_gateways_say_why() {
    let world = World::new().await;
    let expired = world.gateway.url_with_token(TokenRequest::new("alice").expires_at(1)).unwrap();
    let good = world.url("alice");
    let forged = format!("{}x", &good[..good.len() - 5]);
    let header = r#"{"alg":"none","typ":"JWT"}"#;
    let claims = r#"{"sub":"alice","exp":9999999999,"permissions":[]}"#;
    let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let unsigned = format!("{}?access_token={}.{}.", world.gateway.url(), encode(header), encode(claims));
    for url in [expired, forged, unsigned, world.gateway.url()] {
        let client = Client::builder().url(url).with(quick).build().unwrap();
        let error = client.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HandshakeFailed);
        assert!(error.message().contains("HTTP 401"), "{error}");
    }
    world.gateway.faults().on_connect(ConnectFault::Refuse(503));
    let builder = world.builder("alice").with(|options| options.connect_timeout = Duration::from_millis(50));
    let error = builder.build().unwrap().connect().await.unwrap_err();
    assert!(error.message().contains("503"), "{error}");
}
