//! The gateway's settings: one table, from which come the flags, the environment variables, the keys of the file, the
//! defaults and the help; and where a value came from, so that an error can say it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// A setting. Its flag is `--NAME`, its variable `REALTIME_GATEWAY_NAME`, its key in the file `NAME`.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// What its value is called; empty for a switch.
    value: &'static str,
    many: bool,
    /// As it would be given; empty where there is none.
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
}

const fn one(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, value, many: false, default, help }
}

const fn many(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, value, many: true, default, help }
}

const fn switch(name: &'static str, help: &'static str) -> Setting {
    Setting { name, value: "", many: false, default: "false", help }
}

/// All of them, under the headings of the help.
pub(crate) const SETTINGS: [(&str, &[Setting]); 5] = [
    (
        "Options",
        &[
            one("listen", "ADDRESS:PORT", "127.0.0.1:0", "Where to listen; port 0 takes a free one"),
            many("app", "ID", "local", "An app to serve; may be given more than once"),
            many("client-key", "[APP=]KEY", "", "What client tokens are checked with"),
            many(
                "admin-key",
                "[APP=]KEY",
                "",
                "What admin (REST, console) tokens are checked with. Without one there are no admin calls",
            ),
            switch("insecure", "Take any token or none, with all permissions; on loopback only"),
            one("tls-cert", "FILE", "", "Serve wss:// and https:// with this certificate chain, PEM"),
            one("tls-key", "FILE", "", "The certificate's private key, PEM"),
            switch("no-acks", "Do not acknowledge messages"),
        ],
    ),
    (
        "Operations",
        &[
            switch("console", "Serve a page for operators at /console; it needs an admin token"),
            one(
                "log-level",
                "LEVEL",
                "",
                "off, error, warn, info, debug or trace. Default: info when keys are given, otherwise off",
            ),
            one("log-format", "FORMAT", "text", "text, or json: one object a line. Logs go to stderr"),
            one("reload-keys", "TIME", "", "How often to look whether a key has changed. Default: on SIGHUP only"),
            one(
                "drain-window",
                "TIME",
                "10s",
                "Over how long to spread asking clients to go when the gateway ends; less with few clients, 10 ms for each",
            ),
            one("drain", "TIME", "5s", "How long clients then have to take what is queued for them"),
        ],
    ),
    (
        "Many gateways as one",
        &[
            many("nats", "URL", "", "Be one with the gateways that use this NATS: servers of it, nats:// or tls://"),
            one("nats-user", "NAME", "", "The user to log in to NATS as"),
            one("nats-password", "KEY", "", "The user's password, as a KEY: a file, or env:NAME"),
            one("nats-token", "KEY", "", "The token to log in to NATS with, as a KEY: a file, or env:NAME"),
            one("nats-credentials", "FILE", "", "A credentials file (.creds) to log in to NATS with"),
            switch("nats-tls", "Refuse a NATS without TLS"),
            one("nats-ca", "FILE", "", "Trust these authorities, PEM, and no others; needs TLS"),
            one("nats-cert", "FILE", "", "Show NATS this certificate chain, PEM"),
            one("nats-key", "FILE", "", "The certificate's private key, PEM"),
            one(
                "nats-prefix",
                "TEXT",
                "realtime",
                "What all subjects in NATS begin with; gateways with the same are one",
            ),
            one(
                "nats-timeout",
                "TIME",
                "5s",
                "For connecting, and for NATS' answer to a ping; longer, and it counts as away",
            ),
            one("nats-member-timeout", "TIME", "5s", "Silence of another gateway after which it counts as gone"),
        ],
    ),
    (
        "Limits",
        &[
            one("connections", "N", "100000", "Connections in all"),
            one("handshakes", "N", "2000", "Handshakes and HTTP calls under way; one more, and the oldest is dropped"),
            one("connections-per-subject", "N", "100", "Connections with the same subject in one app"),
            one("message-bytes", "SIZE", "1MiB", "Largest message, and REST body"),
            one("messages-per-second", "N", "", "Messages a second on one connection. Default: no limit"),
            one("subscriptions-per-connection", "N", "1000", "Subscriptions of one connection"),
            one("topic-bytes", "SIZE", "1KiB", "Longest name of a topic"),
            one(
                "outbound-bytes",
                "SIZE",
                "8MiB",
                "What may wait to be written to one connection before it is closed as a slow consumer",
            ),
        ],
    ),
    (
        "Time limits",
        &[
            one("handshake", "TIME", "10s", "For the TLS handshake, a request's head, and its body, each"),
            one("idle", "TIME", "60s", "Silence after which a connection is closed; it is pinged after half of that"),
            one("close", "TIME", "2s", "How long to wait for a client's answer to a close frame"),
        ],
    ),
];

/// The setting of this name.
pub(crate) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().flat_map(|(_, settings)| *settings).find(|setting| setting.name == name)
}

impl Setting {
    pub(crate) fn variable(&self) -> String {
        format!("REALTIME_GATEWAY_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    pub(crate) fn is_switch(&self) -> bool {
        self.value.is_empty()
    }

    fn argument(&self, heading: &'static str) -> Arg {
        let help = match (self.default, self.is_switch()) {
            ("", _) | (_, true) => self.help.to_owned(),
            (default, false) => format!("{} [default: {default}]", self.help),
        };
        // Values are read later, all in one place: an error is then the same wherever the value came from.
        let argument = Arg::new(self.name)
            .long(self.name)
            .env(self.variable())
            .hide_env_values(true)
            .help(help)
            .value_parser(ValueParser::string());
        let argument = if heading == "Options" { argument } else { argument.help_heading(heading) };
        match (self.is_switch(), self.many) {
            (true, _) => argument
                .value_name("BOOL")
                .hide_possible_values(true)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
            (false, true) => argument.value_name(self.value).action(ArgAction::Append),
            (false, false) => argument.value_name(self.value),
        }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag(&'static str),
    Variable(String),
    File { path: PathBuf, line: usize },
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(name) => write!(f, "--{name}"),
            Source::Variable(name) => write!(f, "the environment variable {name}"),
            Source::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Source::Default => f.write_str("the default"),
        }
    }
}

/// The values of a setting, as text.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) texts: Vec<String>,
    pub(crate) source: Source,
}

/// The values given, by the name of their setting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(pub(crate) BTreeMap<&'static str, Value>);

impl Given {
    /// Adds the flags of all settings to a command.
    pub(crate) fn augment(command: Command) -> Command {
        let all =
            SETTINGS.iter().flat_map(|(heading, settings)| settings.iter().map(|setting| setting.argument(heading)));
        command.args(all)
    }

    /// What flags and environment say. An empty variable is none.
    pub(crate) fn of_matches(matches: &ArgMatches) -> Given {
        let mut given = Given::default();
        for setting in SETTINGS.iter().flat_map(|(_, settings)| *settings) {
            let texts = matches.get_many::<String>(setting.name).into_iter().flatten().cloned();
            let (texts, source) = match matches.value_source(setting.name) {
                Some(ValueSource::EnvVariable) => {
                    let split = |text: String| -> Vec<String> {
                        let parts = if setting.many { text.split(',').collect() } else { vec![&*text] };
                        parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
                    };
                    (texts.flat_map(split).collect(), Source::Variable(setting.variable()))
                }
                Some(_) => (texts.collect(), Source::Flag(setting.name)),
                None => continue,
            };
            let texts: Vec<String> = texts;
            if !texts.is_empty() {
                given.0.insert(setting.name, Value { texts, source });
            }
        }
        given
    }

    /// These, and what `other` has that these lack.
    pub(crate) fn or(mut self, other: Given) -> Given {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// A setting's values; those of its default if none were given.
    pub(crate) fn all(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_else(|| {
            let default = setting(name).map(|setting| setting.default).filter(|default| !default.is_empty());
            Value { texts: default.into_iter().map(str::to_owned).collect(), source: Source::Default }
        })
    }
}

/// Reads values, and collects what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) given: Given,
    pub(crate) errors: Vec<String>,
}

impl Reader {
    /// A setting's value; `None` if it is not given and has no default, or is wrong.
    pub(crate) fn get<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.given.all(name);
        match (&value.texts[..], parse) {
            ([], _) => None,
            ([text], parse) => match parse(text.trim()) {
                Ok(value) => Some(value),
                Err(error) => {
                    self.wrong(name, &value.source, error);
                    None
                }
            },
            _ => {
                self.wrong(name, &value.source, "is given more than once");
                None
            }
        }
    }

    /// Notes an error of a setting.
    pub(crate) fn wrong(&mut self, name: &str, source: &Source, error: impl fmt::Display) {
        self.errors.push(format!("{name}: {error} (from {source})"));
    }
}

/// `true` or `false`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

/// A number of things, at least one.
pub(crate) fn count<T: std::str::FromStr + PartialEq + From<u8>>(text: &str) -> Result<T, String> {
    match text.parse() {
        Ok(number) if number != T::from(0) => Ok(number),
        _ => Err("must be a whole number, at least 1 and not without end".into()),
    }
}
