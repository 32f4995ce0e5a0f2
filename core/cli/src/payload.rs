//! Payloads between the shell, where all is text, and the wire, where all is JSON.

use std::borrow::Cow;

use realtime_pubsub::{Client, Publish, RawJson};

use crate::failure::Failure;

/// A payload as given: text, or JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    text: &'a str,
    json: bool,
}

impl<'a> Payload<'a> {
    pub(crate) fn new(text: &'a str, json: bool) -> Self {
        Payload { text, json }
    }

    /// As JSON: what was given, checked, or the text as a JSON string.
    pub(crate) fn to_json(self) -> Result<Cow<'a, str>, Failure> {
        if !self.json {
            return Ok(Cow::Owned(serde_json::Value::from(self.text).to_string()));
        }
        match RawJson::new(self.text.trim()) {
            Ok(raw) => Ok(Cow::Borrowed(raw.as_str())),
            Err(error) => Err(Failure::usage(format!("the payload is not JSON: {error}"))),
        }
    }

    /// A message with this payload, for a topic or, without one, for the application.
    pub(crate) fn message(self, client: &Client, topic: Option<&str>) -> Result<Publish, Failure> {
        let json = self.to_json()?;
        // Checked above, or written by serde_json.
        let raw = RawJson::trusted(&json);
        Ok(match topic {
            Some(topic) => client.publish_raw(topic, raw),
            None => client.send_raw(raw),
        })
    }
}

/// JSON as the shell likes it: a string's text, anything else as it is.
pub(crate) fn plain(raw: RawJson<'_>) -> Cow<'_, str> {
    if raw.as_str().starts_with('"') {
        raw.parse::<String>().map_or(Cow::Borrowed(raw.as_str()), Cow::Owned)
    } else {
        Cow::Borrowed(raw.as_str())
    }
}
