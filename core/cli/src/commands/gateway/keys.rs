//! The apps' keys: where they are, reading them, and reading them again while the gateway runs.

use std::path::{Path, PathBuf};

use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayError, KeySet};

use super::settings::Source;

/// An app and where its keys are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) acks: bool,
    pub(crate) client: Vec<KeySource>,
    pub(crate) admin: Vec<KeySource>,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeySource {
    /// `client-key` or `admin-key`.
    pub(crate) setting: &'static str,
    /// A file, or `env:` and the name of a variable.
    pub(crate) place: String,
    pub(crate) source: Source,
}

/// An app's keys, and the texts that they were read from.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    client: KeySet,
    admin: KeySet,
    texts: Texts,
}

/// Compared, never shown.
#[derive(Clone, PartialEq)]
struct Texts(Vec<String>);

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Texts(…)")
    }
}

impl App {
    /// Reads the keys; all that is wrong with them.
    pub(crate) fn keys(&self) -> Result<Keys, Vec<String>> {
        let (mut errors, mut texts) = (Vec::new(), Vec::new());
        let mut read = |sources: &[KeySource]| {
            sources.iter().fold(KeySet::default(), |keys, source| match source.read() {
                Ok((key, text)) => {
                    texts.push(text);
                    keys.and(key)
                }
                Err(error) => {
                    errors.push(error);
                    keys
                }
            })
        };
        let (client, admin) = (read(&self.client), read(&self.admin));
        if errors.is_empty() { Ok(Keys { client, admin, texts: Texts(texts) }) } else { Err(errors) }
    }

    pub(crate) fn options(&self, keys: Option<&Keys>) -> AppOptions {
        let options = AppOptions::new(&self.id).acks(self.acks);
        match keys {
            Some(keys) => options.client_keys(keys.client.clone()).admin_keys(keys.admin.clone()),
            None => options,
        }
    }
}

impl Keys {
    /// Whether they were read from the same texts.
    pub(crate) fn same(&self, other: &Keys) -> bool {
        self.texts == other.texts
    }

    /// Has a gateway use them from now on.
    pub(crate) fn set(&self, gateway: &Gateway, app: &str) -> Result<(), GatewayError> {
        gateway.set_keys(app, self.client.clone(), self.admin.clone())
    }
}

impl KeySource {
    fn read(&self) -> Result<(KeySet, String), String> {
        let KeySource { setting, place, source } = self;
        let text = key_text(place, source).map_err(|error| format!("{setting}: {place}: {error} (from {source})"))?;
        let key = KeySet::parse(&text).map_err(|error| format!("{setting}: {place}: {error} (from {source})"))?;
        Ok((key, text))
    }
}

/// A file's path as its setting means it: in a file, relative to that file.
pub(crate) fn resolve(path: &str, source: &Source) -> PathBuf {
    match source {
        Source::File { path: file, .. } => file.parent().unwrap_or(Path::new("")).join(path),
        _ => PathBuf::from(path),
    }
}

/// The text of a key, from a file or an environment variable: keys do not stand among the arguments, which others see.
pub(crate) fn key_text(place: &str, source: &Source) -> Result<String, String> {
    if let Some(name) = place.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| format!("there is no environment variable {name:?} with text"));
    }
    let bytes = std::fs::read(resolve(place, source)).map_err(|error| format!("can't be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())
}
