//! Who may do what, and what strangers get.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayError, GatewayOptions, KeySet, TokenRequest};
use ring::{hmac, rand::SystemRandom, signature};
use serde_json::{Value, json};
use support::{Client, local, permissions, raw_http, refused, start};

/// A token of any header, signed by `sign`.
fn forge(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn hmac_with(algorithm: hmac::Algorithm, secret: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, secret);
    move |message| hmac::sign(&key, message).as_ref().to_vec()
}

fn claims() -> Value {
    json!({"sub": "mallory", "exp": 4_000_000_000_u64})
}

fn url(gateway: &Gateway, token: &str) -> String {
    format!("{}?access_token={token}", gateway.url())
}

async fn with_keys(keys: KeySet) -> Gateway {
    start(GatewayOptions::default().app(AppOptions::new("local").client_keys(keys))).await
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused_with_401_and_why() {
    let gateway = with_keys(KeySet::secret("right")).await;
    let right = || hmac_with(hmac::HMAC_SHA256, b"right");
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let with = |claims: Value| forge(&hs256, &claims, right());
    let none = json!({"alg": "none"});
    for (token, says) in [
        (String::new(), "token_missing"),
        ("a".into(), "token_malformed"),
        ("a.b.c".into(), "token_malformed"),
        ("x".repeat(17_000), "token_malformed"),
        (forge(&none, &claims(), |_| Vec::new()), "token_algorithm"),
        (forge(&json!({"alg": "NONE"}), &claims(), |_| Vec::new()), "token_algorithm"),
        (forge(&json!({"typ": "JWT"}), &claims(), right()), "token_malformed"),
        (forge(&json!({"alg": "HS256", "crit": ["x"]}), &claims(), right()), "token_algorithm"),
        (forge(&hs256, &claims(), hmac_with(hmac::HMAC_SHA256, b"wrong")), "token_signature"),
        (forge(&hs256, &claims(), |_| Vec::new()), "token_signature"),
        (forge(&json!({"alg": "RS256"}), &claims(), right()), "token_signature"),
        (forge(&json!({"alg": "HS512"}), &claims(), right()), "token_signature"),
        (with(json!({"sub": "a", "exp": 1})), "token_expired"),
        (with(json!({"sub": "a"})), "token_claims"),
        (with(json!({"sub": "a", "exp": "tomorrow"})), "token_claims"),
        (with(json!({"exp": 4_000_000_000_u64})), "token_claims"),
        (with(json!({"sub": "a", "exp": 4_000_000_000_u64, "nbf": 3_000_000_000_u64})), "token_not_yet_valid"),
        (with(json!({"sub": "a", "exp": 4_000_000_000_u64, "nbf": "x"})), "token_claims"),
        (with(json!({"sub": "a", "exp": 4_000_000_000_u64, "app": "other"})), "token_signature"),
    ] {
        let expected = if token.len() > 16_000 { (401, "token_malformed".into()) } else { (401, says.to_owned()) };
        assert_eq!(refused(&url(&gateway, &token)).await, expected, "{token:.40}");
    }
    assert!(support::connected(&gateway) == 0);
    Client::open(&url(&gateway, &with(claims()))).await;
}

#[tokio::test]
async fn secrets_take_all_three_hmac_algorithms() {
    let gateway = with_keys(KeySet::secret("right")).await;
    for (name, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        let token = forge(&json!({"alg": name}), &claims(), hmac_with(algorithm, b"right"));
        Client::open(&url(&gateway, &token)).await;
    }
}

#[tokio::test]
async fn public_keys_in_pem_take_their_own_algorithm_and_are_never_secrets() {
    let random = SystemRandom::new();
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ec_sign = |message: &[u8]| {
        let method = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = signature::EcdsaKeyPair::from_pkcs8(method, p256.serialized_der(), &random).unwrap();
        key.sign(&random, message).unwrap().as_ref().to_vec()
    };
    let ed_sign = |message: &[u8]| {
        let key = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(ed.serialized_der()).unwrap();
        key.sign(message).as_ref().to_vec()
    };
    let (ec_pem, ed_pem) = (p256.public_key_pem(), ed.public_key_pem());
    let gateway = with_keys(KeySet::parse(&ec_pem).unwrap().and(KeySet::pem(&ed_pem).unwrap())).await;
    Client::open(&url(&gateway, &forge(&json!({"alg": "ES256"}), &claims(), ec_sign))).await;
    Client::open(&url(&gateway, &forge(&json!({"alg": "EdDSA"}), &claims(), ed_sign))).await;
    let confused = [
        forge(&json!({"alg": "HS256"}), &claims(), hmac_with(hmac::HMAC_SHA256, ec_pem.as_bytes())),
        forge(&json!({"alg": "HS256"}), &claims(), hmac_with(hmac::HMAC_SHA256, p256.public_key_raw())),
        forge(&json!({"alg": "ES256"}), &claims(), ed_sign),
        forge(&json!({"alg": "EdDSA"}), &claims(), ec_sign),
    ];
    for token in confused {
        assert_eq!(refused(&url(&gateway, &token)).await, (401, "token_signature".into()));
    }
    assert!(matches!(gateway.token("alice"), Err(GatewayError::CannotSign(_))));
    assert!(matches!(KeySet::pem(&p256.serialize_pem()), Err(GatewayError::InvalidKey(_))), "a private key");
}

#[tokio::test]
async fn a_jwks_binds_keys_to_their_names_and_algorithms() {
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let secret = URL_SAFE_NO_PAD.encode("right");
    let jwks = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": URL_SAFE_NO_PAD.encode(ed.public_key_raw())},
        {"kty": "oct", "alg": "HS384", "kid": "mac", "k": secret},
    ]});
    let gateway = with_keys(KeySet::parse(&jwks.to_string()).unwrap()).await;
    let ed_sign = |message: &[u8]| {
        signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(ed.serialized_der())
            .unwrap()
            .sign(message)
            .as_ref()
            .to_vec()
    };
    let hs384 = || hmac_with(hmac::HMAC_SHA384, b"right");
    Client::open(&url(&gateway, &forge(&json!({"alg": "EdDSA", "kid": "ed"}), &claims(), ed_sign))).await;
    Client::open(&url(&gateway, &forge(&json!({"alg": "HS384", "kid": "mac"}), &claims(), hs384()))).await;
    Client::open(&url(&gateway, &forge(&json!({"alg": "HS384"}), &claims(), hs384()))).await;
    for token in [
        forge(&json!({"alg": "HS384", "kid": "ed"}), &claims(), hs384()),
        forge(&json!({"alg": "HS256", "kid": "mac"}), &claims(), hmac_with(hmac::HMAC_SHA256, b"right")),
        forge(&json!({"alg": "EdDSA", "kid": "unknown"}), &claims(), ed_sign),
    ] {
        assert_eq!(refused(&url(&gateway, &token)).await, (401, "token_signature".into()));
    }
    for bad in [r#"{"keys":[]}"#, "{", r#"{"keys":[{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}]}"#] {
        assert!(matches!(KeySet::parse(bad), Err(GatewayError::InvalidKey(_))), "{bad}");
    }
}

#[tokio::test]
async fn apps_keep_to_themselves() {
    let gateway = start(GatewayOptions::default().app(AppOptions::new("one")).app(AppOptions::new("two"))).await;
    let token = gateway.token_of("two", "alice").unwrap();
    assert_eq!(refused(&url(&gateway, &token)).await, (401, "token_signature".into()));
    let nowhere = format!("ws://{}/apps/three?access_token={token}", gateway.address());
    assert_eq!(refused(&nowhere).await, (404, "app_not_found".into()));
    assert_eq!(refused(&url(&gateway, &gateway.admin_token("root").unwrap())).await, (401, "token_signature".into()));
    let mut one = Client::connect(&gateway, "alice").await;
    let mut two = Client::open(&format!("{}?access_token={token}", gateway.url_of("two").unwrap())).await;
    one.publish("main", json!("for one"), "1").await;
    assert_eq!(one.settle().await.len(), 2);
    assert!(two.settle().await.is_empty());
    assert!(matches!(gateway.token_of("three", "x"), Err(GatewayError::UnknownApp(_))));
}

#[tokio::test]
async fn a_forbidden_secure_subscription_closes_with_its_reason() {
    let gateway = local().await;
    let reader = TokenRequest::new("alice").permissions(permissions(&["read:secure/news"]));
    let mut client = Client::connect(&gateway, reader).await;
    client.subscribe("secure/news").await;
    client.subscribe("open").await;
    assert!(client.settle().await.is_empty());
    client.subscribe("secure/other").await;
    assert_eq!(client.closed().await, (1008, "Subscription to secure topic is forbidden!".into()));
}

#[tokio::test]
async fn a_refused_publish_is_neither_delivered_nor_acknowledged_and_closes_nothing() {
    let gateway = local().await;
    let mut listener = Client::connect(&gateway, "bob").await;
    listener.subscribe("other").await;
    listener.settle().await;
    let mut client =
        Client::connect(&gateway, TokenRequest::new("alice").permissions(permissions(&["write:mine"]))).await;
    client.publish("other", json!(1), "1").await;
    client.publish("mine", json!(1), "2").await;
    assert_eq!(client.settle().await, [support::ack("2")]);
    assert!(listener.settle().await.is_empty());
    let mut all = Client::connect(&gateway, "carol").await;
    all.publish("priv/acks", json!({"data": "forged"}), "3").await;
    assert!(all.settle().await.is_empty(), "acks come from the gateway alone");
}

#[tokio::test]
async fn an_insecure_gateway_takes_anybody_but_only_on_loopback() {
    let gateway = start(GatewayOptions::default().insecure(true)).await;
    let mut nobody = Client::open(&gateway.url()).await;
    nobody.subscribe("secure/x").await;
    assert!(nobody.settle().await.is_empty());
    let unsigned = forge(&json!({"alg": "none"}), &json!({"sub": "alice"}), |_| Vec::new());
    let _alice = Client::open(&url(&gateway, &unsigned)).await;
    let _rubbish = Client::open(&url(&gateway, "rubbish")).await;
    let mut subjects: Vec<_> = gateway.connections().into_iter().map(|connection| connection.subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["alice", "anonymous", "anonymous"]);
    // A page in a browser on this machine is not its user.
    let head = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    for (origin, status) in [
        ("http://localhost:5173", 200),
        ("http://127.0.0.1", 200),
        ("http://[::1]:80", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ] {
        let request = format!("{head}Origin: {origin}\r\n\r\n");
        assert_eq!(raw_http(&gateway, &request).await.0, status, "{origin}");
    }
    let everywhere = GatewayOptions::default().insecure(true).listen(([0, 0, 0, 0], 0).into());
    assert!(matches!(Gateway::start(everywhere).await, Err(GatewayError::InvalidOptions(_))));
}

#[tokio::test]
async fn options_that_can_not_be_are_refused() {
    let same = KeySet::secret("same");
    for options in [
        GatewayOptions::default().app(AppOptions::new("")),
        GatewayOptions::default().app(AppOptions::new("a/b")),
        GatewayOptions::default().app(AppOptions::new("a")).app(AppOptions::new("a")),
        GatewayOptions::default().app(AppOptions::new("a").client_keys(same.clone()).admin_keys(same)),
    ] {
        assert!(matches!(Gateway::start(options).await, Err(GatewayError::InvalidOptions(_))));
    }
    let taken = local().await;
    let again = Gateway::start(GatewayOptions::default().listen(taken.address())).await;
    assert!(matches!(again, Err(GatewayError::Listen { .. })));
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_told_so() {
    let gateway = local().await;
    let head = "GET /apps/local HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n";
    for (request, status) in [
        ("GET /apps/local HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), 426),
        (format!("{head}Upgrade: h2c\r\n\r\n"), 426),
        (
            format!(
                "{head}Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            ),
            426,
        ),
        (format!("{head}Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n"), 400),
        (format!("{head}Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"), 400),
        ("rubbish\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "x".repeat(100_000)), 431),
    ] {
        assert_eq!(raw_http(&gateway, &request).await.0, status, "{request:.80}");
    }
}

#[test]
fn no_secret_is_in_any_debug_print() {
    let options = GatewayOptions::default().app(AppOptions::new("a").client_keys(KeySet::secret("hunter2")));
    assert!(!format!("{options:?}").contains("hunter2"));
    assert!(!format!("{options:?}").contains("104, 117"));
}

/// The key pair was made for this test, and its private half thrown away.
#[tokio::test]
async fn rsa_keys_are_read_from_pem_and_jwks_and_take_rs256() {
    let token = include_str!("data/rs256.jwt");
    for key in [include_str!("data/rsa.pem"), include_str!("data/rsa-pkcs1.pem"), include_str!("data/rsa.jwks.json")] {
        let gateway = with_keys(KeySet::parse(key).unwrap()).await;
        let mut client = Client::open(&url(&gateway, token)).await;
        assert_eq!(gateway.connections()[0].subject, "rsa");
        client.publish("main", json!(1), "1").await;
        client.publish("other", json!(1), "2").await;
        let mut seen = client.settle().await;
        seen.sort_by_key(|frame| frame["topic"] == "priv/acks");
        assert_eq!(seen[0]["data"]["client"]["permissions"], json!(["realtime:publisher:write:topic:main", "x"]));
        assert_eq!(seen[1..], [support::ack("1")]);
        let tampered = token.replacen(".ey", ".eY", 1);
        assert_eq!(refused(&url(&gateway, &tampered)).await.0, 401);
        let confused = forge(&json!({"alg": "HS256"}), &claims(), hmac_with(hmac::HMAC_SHA256, key.as_bytes()));
        assert_eq!(refused(&url(&gateway, &confused)).await, (401, "token_signature".into()));
    }
}

#[tokio::test]
async fn keys_rotate_without_dropping_connections() {
    let (old, new) = (KeySet::secret("old"), KeySet::secret("new"));
    let gateway = with_keys(old.clone()).await;
    let mut client = Client::connect(&gateway, "alice").await;
    let old_token = gateway.token("alice").unwrap();
    let admin = KeySet::secret("admin");
    gateway.set_keys("local", new.clone().and(old), admin.clone()).unwrap();
    let new_token = gateway.token("alice").unwrap();
    let mut second = Client::open(&url(&gateway, &old_token)).await;
    Client::open(&url(&gateway, &new_token)).await;
    gateway.set_keys("local", new.clone(), admin).unwrap();
    assert_eq!(refused(&url(&gateway, &old_token)).await, (401, "token_signature".into()));
    Client::open(&url(&gateway, &new_token)).await;
    client.settle().await;
    second.settle().await;
    assert!(matches!(gateway.set_keys("local", new.clone(), new.clone()), Err(GatewayError::InvalidOptions(_))));
    assert!(matches!(gateway.set_keys("other", new, KeySet::default()), Err(GatewayError::UnknownApp(_))));
}

#[tokio::test]
async fn apps_with_the_same_key_do_not_take_each_others_tokens() {
    let app = |id| AppOptions::new(id).client_keys(KeySet::secret("shared")).admin_keys(KeySet::secret("shared too"));
    let gateway = start(GatewayOptions::default().app(app("one")).app(app("two"))).await;
    let at = |app: &str, token: &str| format!("{}?access_token={token}", gateway.url_of(app).unwrap());
    let token = gateway.token_of("one", "alice").unwrap();
    Client::open(&at("one", &token)).await;
    assert_eq!(refused(&at("two", &token)).await, (401, "token_signature".into()));
    // One that names no app is for all that have its key.
    let anywhere = forge(&json!({"alg": "HS256"}), &claims(), hmac_with(hmac::HMAC_SHA256, b"shared"));
    Client::open(&at("one", &anywhere)).await;
    Client::open(&at("two", &anywhere)).await;
    for strange in [json!(null), json!(["one"]), json!({"id": "one"}), json!(1), json!("One"), json!("")] {
        let mut claims = claims();
        claims["app"] = strange;
        let token = forge(&json!({"alg": "HS256"}), &claims, hmac_with(hmac::HMAC_SHA256, b"shared"));
        assert_eq!(refused(&at("one", &token)).await, (401, "token_signature".into()), "{claims}");
    }
}

#[tokio::test]
async fn client_tokens_are_no_admin_tokens_nor_the_other_way_round() {
    let gateway = local().await;
    let (client, admin) = (gateway.token("x").unwrap(), gateway.admin_token("x").unwrap());
    assert_eq!(refused(&url(&gateway, &admin)).await, (401, "token_signature".into()));
    let body = json!({"topic": "t", "message": 1});
    for (method, path) in [
        ("POST", "/api/topics/local/publish"),
        ("POST", "/api/topics/local/unsubscribe"),
        ("DELETE", "/api/connections/local"),
        ("DELETE", "/api/connections/local/x"),
    ] {
        let (status, answer) = support::call(&gateway, method, path, &client, body.clone()).await;
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("token_signature")), "{path}");
    }
    assert_eq!(support::call(&gateway, "POST", "/api/topics/local/publish", &admin, body).await.0, 200);
    // An app without admin keys has no admin calls at all, not with any token.
    let closed = AppOptions::new("local").client_keys(KeySet::secret("right")).admin_keys(KeySet::default());
    let gateway = start(GatewayOptions::default().app(closed)).await;
    for secret in [&b"right"[..], b""] {
        let token = forge(&json!({"alg": "HS256"}), &claims(), hmac_with(hmac::HMAC_SHA256, secret));
        assert_eq!(support::call(&gateway, "DELETE", "/api/connections/local", &token, json!({})).await.0, 401);
    }
}

#[tokio::test]
async fn a_token_can_t_bring_its_own_key_nor_say_twice_what_it_is() {
    let gateway = with_keys(KeySet::secret("right")).await;
    let own = URL_SAFE_NO_PAD.encode("mine");
    for header in [
        json!({"alg": "HS256", "jwk": {"kty": "oct", "k": own}}),
        json!({"alg": "HS256", "jku": "http://127.0.0.1:1/jwks", "kid": "x"}),
        json!({"alg": "HS256", "x5u": "http://127.0.0.1:1/cert"}),
        json!({"alg": "HS256", "kid": "../../../../dev/null"}),
        json!({"alg": "HS256", "kid": ["right"]}),
    ] {
        let token = forge(&header, &claims(), hmac_with(hmac::HMAC_SHA256, b"mine"));
        assert_eq!(refused(&url(&gateway, &token)).await, (401, "token_signature".into()), "{header}");
    }
    for header in [r#"{"alg":"HS256","alg":"none"}"#, r#"{"alg":"none","alg":"HS256"}"#] {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()));
        assert_eq!(refused(&url(&gateway, &format!("{message}."))).await.0, 401, "{header}");
    }
}

/// Signatures are compared by `ring`, in constant time, and as a whole.
#[tokio::test]
async fn no_part_of_a_signature_will_do() {
    let gateway = with_keys(KeySet::secret("right")).await;
    let mut whole = Vec::new();
    let header = json!({"alg": "HS256"});
    let good = forge(&header, &claims(), |message| {
        whole = hmac_with(hmac::HMAC_SHA256, b"right")(message);
        whole.clone()
    });
    Client::open(&url(&gateway, &good)).await;
    let mut wrong: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
    wrong.push([&whole[..], &[0]].concat());
    wrong.push([&whole[..], &whole].concat());
    for bit in [0, 7, 128, 255] {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wrong.push(flipped);
    }
    for signature in wrong {
        let token = forge(&header, &claims(), |_| signature.clone());
        assert_eq!(refused(&url(&gateway, &token)).await, (401, "token_signature".into()), "{signature:?}");
    }
}
