//! `gateway`: runs one until a signal ends it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, KeySet, Limits, TlsOptions, TokenRequest};
use tokio::io::AsyncReadExt;

use crate::failure::Failure;
use crate::quantity;
use crate::signals::Stop;

/// How long the tokens of a development gateway are good. Their key ends with the process anyway.
const DEVELOPMENT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Run a gateway
///
/// With no keys given it is a development gateway: it listens on loopback only, makes keys for this run, and prints a
/// ready URL with a token that may do everything. With keys it prints no tokens; `realtime-pubsub token` makes them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub gateway
  realtime-pubsub gateway --listen 127.0.0.1:8080 --app chat
  realtime-pubsub gateway --json                       # one line when ready, for programs
  realtime-pubsub gateway --listen 0.0.0.0:8443 --app chat --client-key client.key --admin-key admin.key \\
      --tls-cert cert.pem --tls-key key.pem
  realtime-pubsub gateway --app chat --app news --client-key chat=chat.jwks --client-key news=env:NEWS_KEY

KEY is a file that holds a secret (for HS256, HS384, HS512), a public key in PEM (RS256, ES256, EdDSA) or a JWKS;
or env:NAME for an environment variable that does. APP= says whose it is; without, it is the first app's. Give an
option twice to rotate keys: tokens of either are good.

The line of --json is an object with `url` (with a token), `address`, `app`, `token` and `admin_token`; with keys
given `url` has no token, and the tokens are null.")]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// An app to serve; may be given more than once
    #[arg(long = "app", value_name = "ID", default_value = "local")]
    apps: Vec<String>,
    /// What client tokens are checked with
    #[arg(long = "client-key", value_name = "[APP=]KEY")]
    client_keys: Vec<String>,
    /// What admin (REST) tokens are checked with. Without one there are no admin calls
    #[arg(long = "admin-key", value_name = "[APP=]KEY", requires = "client_keys")]
    admin_keys: Vec<String>,
    /// Take any token or none, with all permissions; on loopback only
    #[arg(long, conflicts_with_all = ["client_keys", "admin_keys"])]
    insecure: bool,
    /// Serve wss:// and https:// with this certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Do not acknowledge messages
    #[arg(long)]
    no_acks: bool,
    /// When ready, print one line of JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// End when stdin is closed: for programs that start a gateway and may die without ending it
    #[arg(long)]
    until_stdin_closes: bool,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArguments {
    /// Largest message, and REST body
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = quantity::size)]
    message_bytes: usize,
    /// Connections with the same subject in one app
    #[arg(long, value_name = "N", default_value_t = 100)]
    connections_per_subject: usize,
    /// Messages a second on one connection. Default: no limit
    #[arg(long, value_name = "N")]
    messages_per_second: Option<u32>,
    /// Subscriptions of one connection
    #[arg(long, value_name = "N", default_value_t = 1000)]
    subscriptions_per_connection: usize,
    /// Longest name of a topic
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = quantity::size)]
    topic_bytes: usize,
    /// What may wait to be written to one connection before it is closed as a slow consumer
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = quantity::size)]
    outbound_bytes: usize,
    /// For the TLS handshake, a request's head, and its body, each
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = quantity::duration)]
    handshake: Duration,
    /// Silence after which a connection is closed; it is pinged after half of that
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = quantity::duration)]
    idle: Duration,
    /// How long to wait for a client's answer to a close frame
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = quantity::duration)]
    close: Duration,
    /// How long clients have to take what is queued for them when the gateway ends
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = quantity::duration)]
    drain: Duration,
}

pub(crate) async fn run(arguments: &Arguments, mut stop: Stop) -> Result<(), Failure> {
    let gateway = Gateway::start(arguments.options()?).await?;
    announce(arguments, &gateway)?;
    tokio::select! {
        _ = stop.requested() => {}
        () = stdin_closed(), if arguments.until_stdin_closes => {}
        () = gateway.ended() => return Err(Failure::new("the gateway has ended by itself")),
    }
    gateway.stop().await;
    Ok(())
}

impl Arguments {
    /// Whether its keys are made for this run, so that whoever can read its output may use it.
    fn development(&self) -> bool {
        self.client_keys.is_empty()
    }

    fn options(&self) -> Result<GatewayOptions, Failure> {
        if self.development() && !self.listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "without keys this is a development gateway, which listens on loopback only, not on {}: \
                 give --client-key, or listen on 127.0.0.1",
                self.listen.ip()
            )));
        }
        let limits = &self.limits;
        let mut options =
            GatewayOptions::default().listen(self.listen).insecure(self.insecure).drain(limits.drain).limits(
                Limits::default()
                    .message_bytes(limits.message_bytes)
                    .connections_per_subject(limits.connections_per_subject)
                    .messages_per_second(limits.messages_per_second)
                    .subscriptions_per_connection(limits.subscriptions_per_connection)
                    .topic_bytes(limits.topic_bytes)
                    .outbound_bytes(limits.outbound_bytes)
                    .handshake(limits.handshake)
                    .idle(limits.idle)
                    .close(limits.close),
            );
        for id in &self.apps {
            let mut app = AppOptions::new(id).acks(!self.no_acks);
            if !self.development() {
                let client_keys = self.keys_of(id, &self.client_keys, "--client-key")?;
                if client_keys.is_empty() {
                    return Err(Failure::usage(format!("app {id:?} has no --client-key: give {id}=KEY")));
                }
                app = app.client_keys(client_keys).admin_keys(self.keys_of(id, &self.admin_keys, "--admin-key")?);
            }
            options = options.app(app);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            options = options.tls(TlsOptions::pem(read(certificate, "--tls-cert")?, read(key, "--tls-key")?));
        }
        Ok(options)
    }

    /// The keys given for an app.
    fn keys_of(&self, app: &str, given: &[String], option: &str) -> Result<KeySet, Failure> {
        let mut keys = KeySet::default();
        for value in given {
            // What stands before `=` is an app if there is one of that name; file names have `=` too.
            let (owner, source) = match value.split_once('=') {
                Some((owner, source)) if self.apps.iter().any(|id| id == owner) => (Some(owner), source),
                _ => (self.apps.first().map(String::as_str), value.as_str()),
            };
            if owner == Some(app) {
                let key = KeySet::parse(&key_text(source, option)?)
                    .map_err(|error| Failure::usage(format!("{option} {source}: {error}")))?;
                keys = keys.and(key);
            }
        }
        Ok(keys)
    }
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(format!("can't read {option} {}: {error}", path.display())))
}

/// The text of a key, from a file or an environment variable: keys do not stand among the arguments, which others see.
pub(crate) fn key_text(source: &str, option: &str) -> Result<String, Failure> {
    if let Some(name) = source.strip_prefix("env:") {
        return std::env::var(name)
            .map_err(|_| Failure::usage(format!("{option}: there is no environment variable {name:?} with text")));
    }
    let bytes = read(Path::new(source), option)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{option} {source}: it is not text")))
}

fn announce(arguments: &Arguments, gateway: &Gateway) -> Result<(), Failure> {
    let request = || TokenRequest::new("developer").expires_in(DEVELOPMENT);
    let tokens =
        if arguments.development() { Some((gateway.token(request())?, gateway.admin_token(request())?)) } else { None };
    let url = match &tokens {
        Some((token, _)) => format!("{}?access_token={token}", gateway.url()),
        None => gateway.url(),
    };
    let text = if arguments.json {
        let (token, admin_token) = tokens.unzip();
        let line = serde_json::json!({
            "url": url,
            "address": gateway.address().to_string(),
            "app": gateway.app(),
            "token": token,
            "admin_token": admin_token,
        });
        format!("{line}\n")
    } else {
        let mut text = format!("The gateway is ready: {}, apps: {}\n", gateway.address(), arguments.apps.join(", "));
        match tokens {
            Some((_, admin_token)) => {
                let open = if arguments.insecure { " It takes any token or none." } else { "" };
                text += &format!(
                    "For development: its keys are for this run, its tokens may do everything.{open}\n\n\
                     export REALTIME_URL='{url}'\n\
                     export REALTIME_ADMIN_TOKEN='{admin_token}'\n\n\
                     Try: realtime-pubsub sub chat\n"
                );
            }
            None => text += &format!("URL: {url}, and a token; see `realtime-pubsub token --help`\n"),
        }
        text
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    while matches!(stdin.read(&mut [0; 1024]).await, Ok(1..)) {}
}
