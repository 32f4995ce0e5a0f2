//! Tokens: JSON Web Tokens, checked once when a client connects or an admin call comes.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use realtime_pubsub_protocol::Permissions;
use serde_json::Value;

use crate::key::{KeySet, sign};

/// What a token to be made says.
///
/// ```
/// use realtime_pubsub_gateway::TokenRequest;
/// use std::time::Duration;
///
/// let all = TokenRequest::new("alice");
/// let reader = TokenRequest::new("bob")
///     .permissions(["realtime:subscriber:read:topic:secure/news"])
///     .expires_in(Duration::from_secs(60));
/// # let _ = (all, reader);
/// ```
#[derive(Clone, Debug)]
pub struct TokenRequest {
    subject: String,
    permissions: Permissions,
    expires: Instant,
    not_before: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Instant {
    In(Duration),
    At(u64),
}

impl Instant {
    fn seconds(self) -> u64 {
        match self {
            Instant::At(seconds) => seconds,
            Instant::In(duration) => now().saturating_add(duration.as_secs()),
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Default for TokenRequest {
    /// Subject `local`, all permissions, good for an hour.
    fn default() -> Self {
        TokenRequest::new("local")
    }
}

impl From<&str> for TokenRequest {
    fn from(subject: &str) -> Self {
        TokenRequest::new(subject)
    }
}

impl TokenRequest {
    /// A token for this subject, with all permissions and good for an hour.
    pub fn new(subject: impl Into<String>) -> Self {
        TokenRequest {
            subject: subject.into(),
            permissions: Permissions::all(),
            expires: Instant::In(Duration::from_secs(3600)),
            not_before: None,
        }
    }

    /// With these permissions alone, in place of all.
    #[must_use]
    pub fn permissions<S: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.permissions = Permissions::new(names);
        self
    }

    /// Good for this long from when it is made. Whole seconds count.
    #[must_use]
    pub fn expires_in(mut self, duration: Duration) -> Self {
        self.expires = Instant::In(duration);
        self
    }

    /// Good until this time, in seconds since 1970. A time past makes a token that is refused.
    #[must_use]
    pub fn expires_at(mut self, unix_seconds: u64) -> Self {
        self.expires = Instant::At(unix_seconds);
        self
    }

    /// Not good before this time, in seconds since 1970.
    #[must_use]
    pub fn not_before(mut self, unix_seconds: u64) -> Self {
        self.not_before = Some(Instant::At(unix_seconds));
        self
    }

    /// The token, signed with HS256.
    pub(crate) fn sign(&self, app: &str, secret: &[u8]) -> String {
        let mut claims = serde_json::json!({
            "sub": self.subject,
            "app": app,
            "permissions": self.permissions.names(),
            "iat": now(),
            "exp": self.expires.seconds(),
        });
        if let Some(not_before) = self.not_before {
            claims["nbf"] = not_before.seconds().into();
        }
        let mut token = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature = sign(secret, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

/// What a good token says about its bearer.
#[derive(Debug, PartialEq)]
pub(crate) struct Identity {
    pub(crate) subject: String,
    pub(crate) permissions: Permissions,
}

/// Why a token is refused. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Malformed,
    Algorithm,
    Signature,
    Expired,
    NotYet,
    Claims,
}

impl Refusal {
    /// A short name, for metrics and for the error's JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Refusal::Missing => "token_missing",
            Refusal::Malformed => "token_malformed",
            Refusal::Algorithm => "token_algorithm",
            Refusal::Signature => "token_signature",
            Refusal::Expired => "token_expired",
            Refusal::NotYet => "token_not_yet_valid",
            Refusal::Claims => "token_claims",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Missing => "an access token is needed",
            Refusal::Malformed => "the access token is not a JSON Web Token",
            Refusal::Algorithm => "the access token's algorithm is not accepted",
            Refusal::Signature => "the access token's signature is not from a key of this app",
            Refusal::Expired => "the access token has expired",
            Refusal::NotYet => "the access token is not valid yet",
            Refusal::Claims => "the access token needs `sub`, a string, and `exp`, a number; `nbf` is a number too",
        })
    }
}

/// The longest token that is looked at.
const MAX_TOKEN: usize = 16 * 1024;

/// Checks a token for `app`: its signature, then its times. A token that names an app in its `app` claim is good for
/// no other.
pub(crate) fn verify(token: &str, app: &str, keys: &KeySet) -> Result<Identity, Refusal> {
    if token.is_empty() {
        return Err(Refusal::Missing);
    }
    if token.len() > MAX_TOKEN {
        return Err(Refusal::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Refusal::Malformed)?;
    let header = json(header)?;
    // Algorithms that jsonwebtoken does not know, `none` among them, have no name here.
    let algorithm = header["alg"].as_str().ok_or(Refusal::Malformed)?.parse().map_err(|_| Refusal::Algorithm)?;
    // An extension that must be understood (RFC 7515, 4.1.11) is not.
    if header.get("crit").is_some() {
        return Err(Refusal::Algorithm);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Malformed)?;
    if !keys.verify(algorithm, header["kid"].as_str(), message.as_bytes(), &signature) {
        return Err(Refusal::Signature);
    }
    let claims = json(claims)?;
    let now = now() as f64;
    match &claims["exp"] {
        Value::Number(exp) if exp.as_f64().is_some_and(|exp| exp > now) => {}
        Value::Number(_) => return Err(Refusal::Expired),
        _ => return Err(Refusal::Claims),
    }
    match claims.get("nbf") {
        None => {}
        Some(Value::Number(nbf)) if nbf.as_f64().is_some_and(|nbf| nbf <= now) => {}
        Some(Value::Number(_)) => return Err(Refusal::NotYet),
        Some(_) => return Err(Refusal::Claims),
    }
    if claims.get("app").is_some_and(|named| named.as_str() != Some(app)) {
        return Err(Refusal::Signature);
    }
    let subject = claims["sub"].as_str().ok_or(Refusal::Claims)?.to_owned();
    Ok(Identity { subject, permissions: permissions(&claims) })
}

/// Who a token says its bearer is, taken on trust: for gateways that check nothing.
pub(crate) fn believe(token: &str) -> Identity {
    let claims = token.split('.').nth(1).and_then(|claims| json(claims).ok()).unwrap_or_default();
    let subject = claims["sub"].as_str().unwrap_or("anonymous").to_owned();
    Identity { subject, permissions: Permissions::all() }
}

fn json(part: &str) -> Result<Value, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}

fn permissions(claims: &Value) -> Permissions {
    match (&claims["permissions"], &claims["scope"]) {
        (Value::Array(names), _) => Permissions::new(names.iter().filter_map(Value::as_str)),
        (_, Value::String(scope)) => Permissions::from_scope(scope),
        _ => Permissions::default(),
    }
}
