//! The settings together: from text to what the gateway takes, or to all that is wrong with them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use realtime_pubsub_gateway::{GatewayOptions, Limits, NatsOptions, TlsOptions};
use tracing::level_filters::LevelFilter;

use super::file::{AppTable, File};
use super::keys::{App, KeySource, Keys, key_text, resolve};
use super::logs::{self, Format};
use super::read;
use super::settings::{Given, Reader, Value, boolean, count};
use crate::quantity;

/// A gateway's configuration, checked.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) options: GatewayOptions,
    pub(crate) apps: Vec<App>,
    /// Those of each app; none for a development gateway.
    pub(crate) keys: Vec<Keys>,
    /// Whether its keys are made for this run, so that whoever can read its output may use it.
    pub(crate) development: bool,
    pub(crate) reload_keys: Option<Duration>,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_format: Format,
}

impl Configuration {
    /// Reads everything: what was given, the file, the keys, the certificate. All that is wrong, each error with the
    /// name of its setting and where its value came from.
    pub(crate) fn read(given: Given, file: Option<&Path>) -> Result<Configuration, Vec<String>> {
        let file = match file {
            None => File::default(),
            Some(path) => {
                let text = read(path).map_err(|error| vec![format!("config: {error}")])?;
                let text =
                    String::from_utf8(text).map_err(|_| vec![format!("config: {} is not text", path.display())])?;
                File::parse(&text, path)?
            }
        };
        let mut reader = Reader { given: given.or(file.given), errors: Vec::new() };
        let apps = apps(&mut reader, &file.apps);
        let development = apps.iter().all(|app| app.client.is_empty());
        let keys = if development { Vec::new() } else { keys(&mut reader, &apps) };
        let options = options(&mut reader, development);
        let reload_keys = reader.get("reload-keys", quantity::duration);
        let log_format = reader.get("log-format", logs::format).unwrap_or(Format::Text);
        let usual = if development { LevelFilter::OFF } else { LevelFilter::INFO };
        let log_level = reader.get("log-level", logs::level).unwrap_or(usual);
        if !reader.errors.is_empty() {
            return Err(reader.errors);
        }
        let of_app = |(index, app): (usize, &App)| app.options(keys.get(index));
        let options = apps.iter().enumerate().map(of_app).fold(options, GatewayOptions::app);
        options.check().map_err(|error| vec![error.to_string()])?;
        Ok(Configuration { options, apps, keys, development, reload_keys, log_level, log_format })
    }
}

fn options(reader: &mut Reader, development: bool) -> GatewayOptions {
    let mut options = GatewayOptions::default();
    if let Some(listen) = reader.get("listen", |text| {
        text.parse::<SocketAddr>().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8080".to_owned())
    }) {
        options.listen = listen;
        if development && !listen.ip().is_loopback() {
            let source = reader.given.all("listen").source;
            let error = format!(
                "without keys this is a development gateway, which listens on loopback only, not on {}: \
                 give --client-key, or listen on 127.0.0.1",
                listen.ip()
            );
            reader.wrong("listen", &source, error);
        }
    }
    options.insecure = reader.get("insecure", boolean).unwrap_or_default();
    if options.insecure && !development {
        let source = reader.given.all("insecure").source;
        reader.wrong("insecure", &source, "checks no tokens, so there must be no client-key");
    }
    options.console = reader.get("console", boolean).unwrap_or_default();
    options.drain = reader.get("drain", quantity::duration).unwrap_or_default();
    options.drain_window = reader.get("drain-window", duration_or_none).unwrap_or_default();
    options.limits = limits(reader);
    options.tls = pair(reader, "tls-cert", "tls-key").map(|(certificate, key)| TlsOptions::pem(certificate, key));
    options.nats = nats(reader);
    options
}

fn limits(reader: &mut Reader) -> Limits {
    let mut limits = Limits::default();
    let mut set = |name: &str, limit: &mut usize, parse: fn(&str) -> Result<usize, String>| {
        if let Some(value) = reader.get(name, parse) {
            *limit = value;
        }
    };
    set("connections", &mut limits.connections, count);
    set("handshakes", &mut limits.handshakes, count);
    set("connections-per-subject", &mut limits.connections_per_subject, count);
    set("subscriptions-per-connection", &mut limits.subscriptions_per_connection, |text| {
        text.parse().map_err(|_| "must be a whole number, and not without end".to_owned())
    });
    set("message-bytes", &mut limits.message_bytes, quantity::size);
    set("topic-bytes", &mut limits.topic_bytes, quantity::size);
    set("outbound-bytes", &mut limits.outbound_bytes, quantity::size);
    let mut set = |name: &str, limit: &mut Duration| {
        if let Some(value) = reader.get(name, quantity::duration) {
            *limit = value;
        }
    };
    set("handshake", &mut limits.handshake);
    set("idle", &mut limits.idle);
    set("close", &mut limits.close);
    limits.messages_per_second = reader.get("messages-per-second", count);
    limits
}

/// A certificate chain and its key, which go together.
fn pair(reader: &mut Reader, certificate: &str, key: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    for (name, other) in [(certificate, key), (key, certificate)] {
        let Value { texts, source } = reader.given.all(name);
        if !texts.is_empty() && reader.given.all(other).texts.is_empty() {
            reader.wrong(name, &source, format!("needs {other} too"));
        }
    }
    let (certificate, key) = (contents(reader, certificate), contents(reader, key));
    Some((certificate?, key?))
}

/// The contents of the file that a setting names.
fn contents(reader: &mut Reader, name: &str) -> Option<Vec<u8>> {
    let source = reader.given.all(name).source;
    reader.get(name, |path| read(&resolve(path, &source)))
}

fn nats(reader: &mut Reader) -> Option<NatsOptions> {
    let servers = reader.given.all("nats");
    if servers.texts.is_empty() {
        let others = reader.given.0.iter().filter(|(name, _)| name.starts_with("nats-"));
        for (name, value) in others.map(|(name, value)| (*name, value.clone())).collect::<Vec<_>>() {
            reader.wrong(name, &value.source, "needs nats too");
        }
        return None;
    }
    let mut nats = NatsOptions::new(servers.texts.join(","));
    let secret = |reader: &mut Reader, name: &str| {
        let source = reader.given.all(name).source;
        reader.get(name, |place| Ok(key_text(place, &source)?.trim().to_owned()))
    };
    nats.user = reader.get("nats-user", |user| Ok(user.to_owned()));
    nats.password = secret(reader, "nats-password");
    nats.token = secret(reader, "nats-token");
    let source = reader.given.all("nats-credentials").source;
    nats.credentials_file = reader.get("nats-credentials", |path| {
        let path = resolve(path, &source);
        // It is read at each connection; that it can be is known before the first.
        read(&path).map(|_| path)
    });
    nats.tls_required = reader.get("nats-tls", boolean).unwrap_or_default();
    nats.tls_ca = contents(reader, "nats-ca");
    nats.tls_client = pair(reader, "nats-cert", "nats-key");
    nats.prefix = reader.get("nats-prefix", |prefix| Ok(prefix.to_owned())).unwrap_or_default();
    nats.timeout = reader.get("nats-timeout", quantity::duration).unwrap_or_default();
    nats.member_timeout = reader.get("nats-member-timeout", quantity::duration).unwrap_or_default();
    Some(nats)
}

/// The apps: those of the file's tables, or of the settings.
fn apps(reader: &mut Reader, tables: &[AppTable]) -> Vec<App> {
    let acks = !reader.get("no-acks", boolean).unwrap_or_default();
    let sources = |setting: &'static str, value: &Value| -> Vec<KeySource> {
        let source = |place: &String| KeySource { setting, place: place.clone(), source: value.source.clone() };
        value.texts.iter().map(source).collect()
    };
    if !tables.is_empty() {
        for name in ["app", "client-key", "admin-key"] {
            if let Some(Value { source, .. }) = reader.given.0.get(name).cloned() {
                reader.wrong(name, &source, "the file has [[app]] tables: set it there");
            }
        }
        return tables
            .iter()
            .map(|table| App {
                id: table.id.texts.concat(),
                acks: table.no_acks.map_or(acks, |off| !off),
                client: table.client_keys.as_ref().map(|value| sources("client-key", value)).unwrap_or_default(),
                admin: table.admin_keys.as_ref().map(|value| sources("admin-key", value)).unwrap_or_default(),
            })
            .collect();
    }
    let ids = reader.given.all("app").texts;
    // What stands before `=` is an app if there is one of that name; file names have `=` too.
    let of_app = |app: &str, setting: &'static str, value: &Value| {
        let mut sources = sources(setting, value);
        sources.retain_mut(|source| match source.place.split_once('=') {
            Some((owner, place)) if ids.iter().any(|id| id == owner) => {
                let mine = owner == app;
                source.place = place.to_owned();
                mine
            }
            _ => ids.first().is_some_and(|first| first == app),
        });
        sources
    };
    let (client, admin) = (reader.given.all("client-key"), reader.given.all("admin-key"));
    if client.texts.is_empty() && !admin.texts.is_empty() {
        reader.wrong("admin-key", &admin.source, "needs a client-key too");
    }
    ids.iter()
        .map(|id| App {
            id: id.clone(),
            acks,
            client: of_app(id, "client-key", &client),
            admin: of_app(id, "admin-key", &admin),
        })
        .collect()
}

fn keys(reader: &mut Reader, apps: &[App]) -> Vec<Keys> {
    let mut all = Vec::new();
    for app in apps {
        if app.client.is_empty() {
            reader.errors.push(format!("client-key: app {:?} has none, and others have", app.id));
        }
        match app.keys() {
            Ok(keys) => all.push(keys),
            Err(errors) => reader.errors.extend(errors),
        }
    }
    all
}

/// A duration, or `0`.
fn duration_or_none(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0ms") { Ok(Duration::ZERO) } else { quantity::duration(text) }
}
