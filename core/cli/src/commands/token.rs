//! `token`: makes tokens with a secret key.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use data_encoding::BASE64URL_NOPAD;
use ring::hmac;

use super::gateway::key_text;
use crate::failure::Failure;
use crate::quantity;

/// Make a token
///
/// It is signed with HS256 and printed on stdout. Without permissions it may subscribe to topics that are not under
/// `secure/`, and send; nothing else.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openssl rand -hex 32 > client.key
  realtime-pubsub token --key client.key --subject alice --publish 'chat/*' --read 'secure/news'
  REALTIME_TOKEN=$(realtime-pubsub token --key client.key --app chat --all --expires 5m) \\
      realtime-pubsub sub chat --url wss://gateway.example/apps/chat
  realtime-pubsub token --key admin.key --publish '*' --manage-connections      # for REST calls")]
pub(crate) struct Arguments {
    /// The secret: a file, or env:NAME for an environment variable
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Whose token it is
    #[arg(long, default_value = "local")]
    subject: String,
    /// Good for this app alone. Default: for every app with this key
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = quantity::duration)]
    expires: Duration,
    /// May publish to this topic; `*` at its end stands for any text
    #[arg(long, value_name = "TOPIC")]
    publish: Vec<String>,
    /// May subscribe to this topic under `secure/`; `*` at its end stands for any text
    #[arg(long, value_name = "TOPIC")]
    read: Vec<String>,
    /// May end connections, by REST
    #[arg(long)]
    manage_connections: bool,
    /// May end subscriptions of others, by REST
    #[arg(long)]
    manage_subscribers: bool,
    /// May look at the console, and so at all messages
    #[arg(long)]
    read_console: bool,
    /// May do everything
    #[arg(long)]
    all: bool,
    /// A permission by its name
    #[arg(long = "permission", value_name = "NAME")]
    permissions: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = key_text(&arguments.key, "--key")?;
    let secret = match text.trim() {
        "" => return Err(Failure::usage("--key: it is empty")),
        key if key.starts_with("-----BEGIN") || key.starts_with('{') => {
            return Err(Failure::usage("--key: tokens are signed with a secret, not with a key in PEM or a JWKS"));
        }
        secret => secret,
    };
    let permissions = arguments.permissions();
    if permissions.is_empty() {
        let _ = writeln!(
            std::io::stderr(),
            "note: no permissions were given; this token may only send, and subscribe outside of secure/"
        );
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut claims = serde_json::json!({
        "sub": arguments.subject,
        "permissions": permissions,
        "iat": now,
        "exp": now.saturating_add(arguments.expires.as_secs().max(1)),
    });
    if let Some(app) = &arguments.app {
        claims["app"] = app.as_str().into();
    }
    writeln!(std::io::stdout(), "{}", sign(secret, &claims)).map_err(|error| Failure::output(&error))
}

impl Arguments {
    fn permissions(&self) -> Vec<String> {
        let star = if self.all { &["*".to_owned()][..] } else { &[] };
        let publish = self.publish.iter().chain(star).map(|topic| format!("realtime:publisher:write:topic:{topic}"));
        let read = self.read.iter().chain(star).map(|topic| format!("realtime:subscriber:read:topic:{topic}"));
        let mut names: Vec<String> = publish.chain(read).collect();
        if self.manage_connections || self.all {
            names.push("realtime:admin:manage:connections".into());
        }
        if self.manage_subscribers || self.all {
            names.push("realtime:admin:manage:subscribers".into());
        }
        if self.read_console || self.all {
            names.push("realtime:admin:read:console".into());
        }
        names.extend(self.permissions.iter().cloned());
        names
    }
}

fn sign(secret: &str, claims: &serde_json::Value) -> String {
    let head = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"HS256"}"#);
    let signed = format!("{head}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}
