//! The settings together: from text to what the gateway takes, or to all that is wrong with them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use realtime_pubsub_gateway::{GatewayOptions, Limits, TlsOptions};
use tracing::level_filters::LevelFilter;

use super::file::{AppTable, File};
use super::keys::{App, KeySource, Keys, resolve};
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
    options.tls = tls(reader);
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

fn tls(reader: &mut Reader) -> Option<TlsOptions> {
    let mut pem = |name: &str, other: &str| {
        let Value { texts, source } = reader.given.all(name);
        let text = texts.last()?;
        if reader.given.all(other).texts.is_empty() {
            reader.wrong(name, &source, format!("needs {other} too"));
        }
        match read(&resolve(text, &source)) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                reader.wrong(name, &source, error);
                None
            }
        }
    };
    let (certificate, key) = (pem("tls-cert", "tls-key"), pem("tls-key", "tls-cert"));
    Some(TlsOptions::pem(certificate?, key?))
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
