//! How a gateway reaches NATS and who it says it is, at a real `nats-server`: TLS, passwords, tokens and credentials
//! files, the wrong ones too. Ignored where that may be missing, as `cluster.rs` is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]
#![cfg(feature = "nats")]

mod support;

use std::io::Write;
use std::sync::{Mutex, Once};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyUsagePurpose};
use realtime_pubsub_gateway::{Gateway, GatewayError, GatewayOptions, NatsOptions};
use serde_json::{Value, json};
use support::nats::{know_each_other, metric, together};
use support::nats_server::{Folder, NatsServer};
use support::{Client, ack, eventually, http};

/// What no log, error or answer may have in it.
const SECRET: &str = "hunter2-never-to-be-seen";

/// All that any gateway of these tests has logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

async fn start(nats: NatsOptions) -> Result<Gateway, GatewayError> {
    static LOGGING: Once = Once::new();
    LOGGING.call_once(|| {
        let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(|| Log);
        all.init();
    });
    Gateway::start(together(GatewayOptions::default(), nats)).await
}

/// A gateway that is let in, and whose acks NATS has a part in.
async fn let_in(nats: NatsOptions) -> Gateway {
    let gateway = start(nats).await.unwrap();
    assert_eq!(healthz(&gateway).await, json!({"status": "ok", "nats": "connected"}));
    let mut client = Client::connect(&gateway, "a").await;
    client.publish("t", json!(1), "1").await;
    assert_eq!(client.settle().await, [ack("1")]);
    gateway
}

/// What it says when it is not let in; without anything secret.
async fn refused(nats: NatsOptions) -> String {
    match start(nats).await {
        Err(GatewayError::Nats(text)) => {
            assert!(!text.contains(SECRET), "{text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

async fn healthz(gateway: &Gateway) -> Value {
    let (status, body) = http(gateway, "GET", "/healthz", "", "").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

/// Waits until `/healthz` says this of NATS.
async fn stands(gateway: &Gateway, nats: &str) {
    let look = async { while healthz(gateway).await["nats"] != nats {} };
    tokio::time::timeout(support::PATIENCE * 6, look).await.expect("/healthz never says so");
}

/// Nothing secret may be in the log, which is looked at when all else is done.
fn no_secret_in_the_log(more: &[&str]) {
    let log = log();
    assert!(log.contains("joined through NATS"), "nothing was logged: {log}");
    for secret in [&[SECRET], more].concat() {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

type Issuer = CertifiedIssuer<'static, rcgen::KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this name, and its key.
fn certificate(authority: &Issuer, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// A server with TLS, for `name`; `more` is in its `tls` section.
fn tls_server(folder: &Folder, authority: &Issuer, name: &str, more: &str) -> NatsServer {
    let (certificate, key) = certificate(authority, name);
    let (certificate, key) = (folder.file("server.pem", &certificate), folder.file("server.key", &key));
    let section = format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", timeout: 60, {more} }}\n");
    NatsServer::start(&["-c", &folder.file("nats.conf", &section)])
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn over_tls_gateways_are_one_whatever_the_urls_scheme_and_large_messages_pass() {
    let (folder, authority) = (Folder::new(), authority("ours"));
    let server = tls_server(&folder, &authority, "127.0.0.1", "");
    let ca = authority.pem();
    let plain = let_in(NatsOptions::new(server.url()).tls_ca(&*ca)).await;
    let tls = let_in(NatsOptions::new(server.url().replace("nats://", "tls://")).tls_ca(&*ca)).await;
    let gateways = [plain, tls];
    know_each_other(&gateways).await;
    let mut reader = Client::connect(&gateways[1], "reader").await;
    reader.subscribe("big").await;
    reader.settle().await;
    let mut writer = Client::connect(&gateways[0], "writer").await;
    writer.publish("big", json!("x".repeat(1_000_000)), "1").await;
    assert_eq!(writer.settle().await, [ack("1")]);
    assert_eq!(reader.settle().await[0]["data"]["payload"].as_str().unwrap().len(), 1_000_000);
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_server_of_another_authority_or_name_is_refused_and_the_error_says_which() {
    let (folder, ours, theirs) = (Folder::new(), authority("ours"), authority("theirs"));
    let server = tls_server(&folder, &theirs, "127.0.0.1", "");
    let nats = NatsOptions::new(server.url()).user("u", SECRET);
    let error = refused(nats.clone().tls_ca(ours.pem())).await;
    let named = format!("127.0.0.1:{}: TLS: its certificate is not trusted: ", server.port);
    assert!(error.contains(&named) && error.contains("UnknownIssuer"), "{error}");
    // The server requires TLS, though neither URL nor options do, and no public authority has signed for it.
    let error = refused(nats.clone()).await;
    assert!(error.contains("certificate"), "{error}");
    let folder = Folder::new();
    let elsewhere = tls_server(&folder, &ours, "nats.example", "");
    let error = refused(NatsOptions::new(elsewhere.url()).tls_ca(ours.pem())).await;
    assert!(error.contains("not trusted") && error.contains("nats.example"), "{error}");
    // One without TLS is not told anything, where TLS is asked for.
    let bare = NatsServer::start(&[]);
    for nats in [
        NatsOptions::new(bare.url()).tls_required(true),
        NatsOptions::new(bare.url()).tls_ca(ours.pem()),
        NatsOptions::new(bare.url().replace("nats://", "tls://")),
    ] {
        let error = refused(nats).await;
        assert!(error.contains("it has no TLS"), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_server_that_asks_for_a_client_certificate_gets_it_and_its_want_is_told() {
    let (folder, ours, theirs) = (Folder::new(), authority("ours"), authority("theirs"));
    let ca = folder.file("ca.pem", &ours.pem());
    let server = tls_server(&folder, &ours, "127.0.0.1", &format!("ca_file: \"{ca}\", verify: true"));
    let nats = NatsOptions::new(server.url()).tls_ca(ours.pem());
    let (chain, key) = certificate(&ours, "gateway");
    let_in(nats.clone().tls_client(chain, key)).await;
    let error = refused(nats.clone()).await;
    assert!(error.contains("asks for a client certificate"), "{error}");
    // That one is not good is known after the handshake: what it says may be lost, never that it is not let in.
    let (chain, key) = certificate(&theirs, "gateway");
    match start(nats.tls_client(chain, key)).await {
        Err(GatewayError::Nats(error)) => assert!(error.contains("TLS: "), "{error}"),
        Ok(gateway) => assert_ne!(healthz(&gateway).await["nats"], "connected"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn passwords_and_tokens_open_the_server_and_wrong_ones_are_an_error_that_tells_no_secret() {
    let folder = Folder::new();
    // A busy machine may take longer than the server's two seconds.
    let with = |login: &str| {
        let settings = format!("authorization {{ {login}, timeout: 60 }}\n");
        NatsServer::start(&["-c", &folder.file("nats.conf", &settings)])
    };
    let server = with(&format!("user: u, password: \"{SECRET}\""));
    let_in(NatsOptions::new(server.url()).user("u", SECRET)).await;
    let_in(NatsOptions::new(server.url().replace("://", &format!("://u:{SECRET}@")))).await;
    let wrong = format!("{SECRET}-wrong");
    for nats in [
        NatsOptions::new(server.url()).user("u", &*wrong),
        NatsOptions::new(server.url().replace("://", &format!("://u:{wrong}@"))),
        NatsOptions::new(server.url()).token(&*wrong),
        NatsOptions::new(server.url()),
    ] {
        let error = refused(nats).await;
        assert!(error.contains(&format!("127.0.0.1:{}: Authorization Violation", server.port)), "{error}");
    }
    let server = with(&format!("token: \"{SECRET}\""));
    let_in(NatsOptions::new(server.url()).token(SECRET)).await;
    let_in(NatsOptions::new(server.url().replace("://", &format!("://{SECRET}@")))).await;
    let error = refused(NatsOptions::new(server.url()).token(&*wrong)).await;
    assert!(error.contains("Authorization Violation"), "{error}");
    no_secret_in_the_log(&[]);
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_login_that_is_refused_later_is_told_once_and_works_again_when_it_is_good_again() {
    let folder = Folder::new();
    let settings = |password: &str| format!("authorization {{ user: u, password: \"{password}\", timeout: 60 }}\n");
    let mut server = NatsServer::start(&["-c", &folder.file("nats.conf", &settings(SECRET))]);
    let gateway = let_in(NatsOptions::new(server.url()).user("u", SECRET)).await;
    server.kill();
    stands(&gateway, "away").await;
    folder.file("nats.conf", &settings("another"));
    server.run();
    stands(&gateway, "refused").await;
    assert_eq!(metric(&gateway, "realtime_nats_connected"), 0);
    // Once loudly, however often it is tried.
    let violation = format!("error=\"127.0.0.1:{}: Authorization Violation\"", server.port);
    eventually(|| log().contains(&format!("NATS can't be reached {violation}"))).await;
    assert_eq!(log().matches(&format!("NATS does not let this gateway in {violation}")).count(), 1);
    let mut client = Client::connect(&gateway, "a").await;
    client.publish("t", json!(1), "1").await;
    assert!(client.settle().await.is_empty(), "no ack");
    server.kill();
    stands(&gateway, "away").await;
    folder.file("nats.conf", &settings(SECRET));
    server.run();
    stands(&gateway, "connected").await;
    client.publish("t", json!(1), "2").await;
    assert_eq!(client.settle().await, [ack("2")]);
    no_secret_in_the_log(&[]);
}

/// An operator with one account, as `nsc` would make them.
struct Operator {
    operator: KeyPair,
    account: KeyPair,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A JWT of NATS' kind: signed with an nkey.
fn jwt(issuer: &KeyPair, subject: &KeyPair, expires: Option<u64>, nats: Value) -> String {
    let mut claims = json!({
        "jti": subject.public_key(), "iat": now(), "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "test", "nats": nats
    });
    if let Some(expires) = expires {
        claims["exp"] = expires.into();
    }
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Operator {
    fn new() -> Operator {
        Operator { operator: KeyPair::new_operator(), account: KeyPair::new_account() }
    }

    /// What a server needs to know of it.
    fn settings(&self) -> String {
        let own = jwt(&self.operator, &self.operator, None, json!({"type": "operator", "version": 2}));
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1
        });
        let account = json!({"type": "account", "version": 2, "limits": limits});
        let account = jwt(&self.operator, &self.account, None, account);
        format!(
            "authorization {{ timeout: 60 }}\noperator: {own}\nresolver: MEMORY\nresolver_preload: {{ {}: {account} }}\n",
            self.account.public_key()
        )
    }

    /// A credentials file for a user who may use these subjects, and its seed.
    fn credentials(&self, subjects: &str, expires: Option<u64>) -> (String, String) {
        let user = KeyPair::new_user();
        let may = json!({"allow": [subjects]});
        let nats = json!({"type": "user", "version": 2, "pub": may, "sub": may, "subs": -1, "data": -1, "payload": -1});
        let (jwt, seed) = (jwt(&self.account, &user, expires, nats), user.seed().unwrap());
        let file = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\nNKEY Seed printed below can be used to sign \
             and prove identity.\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        (file, seed)
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_credentials_file_opens_the_server_with_the_prefix_as_all_that_it_may_use() {
    let (folder, operator) = (Folder::new(), Operator::new());
    let server = NatsServer::start(&["-c", &folder.file("nats.conf", &operator.settings())]);
    let (good, seed) = operator.credentials("own.prefix.>", None);
    let path = folder.file("good.creds", &good);
    let nats = NatsOptions::new(server.url()).prefix("own.prefix").credentials_file(path);
    let gateways = [let_in(nats.clone()).await, let_in(nats.clone()).await];
    know_each_other(&gateways).await;
    assert!(!log().contains("NATS refuses something"), "the guide says what it needs: {}", log());
    // What it may not use, it gets no acks for.
    let beside = start(nats.clone().prefix("another")).await.unwrap();
    let mut client = Client::connect(&beside, "a").await;
    client.publish("t", json!(1), "1").await;
    assert!(client.settle().await.is_empty(), "no ack");
    assert_eq!(metric(&beside, "realtime_acks_refused_total"), 1);
    eventually(|| log().contains(r#"Permissions Violation for Publish to \"another.topic.local.t\""#)).await;
    // Another operator's, and a seed that is not the JWT's.
    let (strange, strange_seed) = Operator::new().credentials(">", None);
    let mixed = good.replace(&seed, &strange_seed);
    for (name, text) in [("strange.creds", strange), ("mixed.creds", mixed)] {
        let nats = NatsOptions::new(server.url()).credentials_file(folder.file(name, &text));
        let error = refused(nats).await;
        assert!(error.contains("Authorization Violation") && !error.contains(&seed), "{name}: {error}");
    }
    let error = refused(NatsOptions::new(server.url())).await;
    assert!(error.contains("Authorization Violation"), "{error}");
    no_secret_in_the_log(&[&seed, &strange_seed]);
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn credentials_that_expire_are_told_and_those_that_replace_them_are_taken() {
    let (folder, operator) = (Folder::new(), Operator::new());
    let server = NatsServer::start(&["-c", &folder.file("nats.conf", &operator.settings())]);
    // On a busy machine they may have expired before they are looked at.
    let mut gateway = None;
    for seconds in [2, 4, 8, 16, 32] {
        let (short, _) = operator.credentials(">", Some(now() + seconds));
        let nats = NatsOptions::new(server.url()).credentials_file(folder.file("gateway.creds", &short));
        gateway = start(nats).await.ok();
        if gateway.is_some() {
            break;
        }
    }
    let gateway = gateway.expect("it is never let in");
    stands(&gateway, "refused").await;
    assert!(log().contains("User Authentication Expired"), "it was let in before: {}", log());
    folder.file("gateway.creds", &operator.credentials(">", None).0);
    stands(&gateway, "connected").await;
}

#[tokio::test]
async fn credentials_and_authorities_that_can_t_be_read_are_found_before_anything_is_connected() {
    let folder = Folder::new();
    let nats = NatsOptions::new("127.0.0.1:1");
    let (good, seed) = Operator::new().credentials(">", None);
    let with = |name: &str, text: &str| nats.clone().credentials_file(folder.file(name, text));
    for (nats, says) in [
        (nats.clone().credentials_file("/nowhere/at/all"), "/nowhere/at/all can't be read"),
        (with("none", "nothing"), "has no NATS USER JWT"),
        (with("no-seed", good.split("-----BEGIN USER").next().unwrap()), "has no USER NKEY SEED"),
        (with("bad-seed", &good.replace(&seed, &format!("{seed}x"))), "has a seed that can't be read"),
        (nats.clone().tls_ca("no PEM"), "no certificate authority to trust"),
        (nats.clone().tls_client("no PEM", "none"), "tls_client"),
        (nats.clone().server("http://u:hidden@x"), "neither nats:// nor tls://"),
    ] {
        let options = GatewayOptions::default().nats(nats);
        let (checked, started) = (options.check(), Gateway::start(options).await);
        for error in [checked.map(drop), started.map(drop)] {
            match error {
                Err(GatewayError::InvalidOptions(text)) => {
                    assert!(text.contains(says) && !text.contains(&seed) && !text.contains("hidden"), "{says}: {text}");
                }
                other => panic!("{says}: {other:?}"),
            }
        }
    }
    let (good, nats) = (folder.file("good.creds", &good), NatsOptions::new("127.0.0.1:1"));
    assert!(GatewayOptions::default().nats(nats.credentials_file(good)).check().is_ok());
}
