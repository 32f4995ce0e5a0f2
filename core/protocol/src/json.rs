//! Raw JSON text: validated once, then carried as it came, so that no number loses a digit on its way.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// A JSON value as text, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawJson<'a>(&'a str);

impl<'a> RawJson<'a> {
    /// The value `null`.
    pub const NULL: RawJson<'static> = RawJson("null");

    /// Takes `text` if it is one JSON value.
    ///
    /// # Errors
    /// Says what is wrong with the text, and where.
    pub fn new(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<IgnoredAny>(text)?;
        Ok(RawJson(text.trim_matches([' ', '\t', '\r', '\n'])))
    }

    /// Takes text that some JSON writer made. It is not looked at: if it is not one JSON value, the frame it is put
    /// into is not JSON either, and the other side will refuse it.
    pub const fn trusted(text: &'a str) -> Self {
        RawJson(text)
    }

    /// The text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The value as plain text where it is a string or a number: ids may be either.
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        match self.0.as_bytes().first()? {
            b'"' => string(self.0),
            b'-' | b'0'..=b'9' => Some(Cow::Borrowed(self.0)),
            _ => None,
        }
    }

    /// Reads the value into `T`.
    ///
    /// # Errors
    /// When the value has another shape.
    pub fn parse<T: serde::Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0)
    }
}

impl<'a> From<&'a RawValue> for RawJson<'a> {
    fn from(raw: &'a RawValue) -> Self {
        RawJson(raw.get())
    }
}

/// Reads a JSON string, borrowed where it has no escapes.
fn string(text: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    if !inner.bytes().any(|byte| byte == b'\\' || byte == b'"' || byte < 0x20) {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<Borrowed<'_>>(text).ok().map(|value| value.0)
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    // Most strings on this wire are short names and ids without anything to escape.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string into a Vec has no way to fail.
        let _ = serde_json::to_writer(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_one_value() {
        for text in ["", "{", "1 2", "nul", "\"a", "[1,]", "'a'"] {
            assert!(RawJson::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keeps_large_integers_to_the_last_digit() {
        let raw = RawJson::new(" 9007199254740993 ").unwrap();
        assert_eq!(raw.as_str(), "9007199254740993");
        assert_eq!(raw.to_text().unwrap(), "9007199254740993");
    }

    #[test]
    fn only_strings_and_numbers_are_ids() {
        assert_eq!(RawJson::trusted(r#""a\u0041""#).to_text().unwrap(), "aA");
        for text in ["null", "true", "{}", "[]", "", "\""] {
            assert_eq!(RawJson::trusted(text).to_text(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_string_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
            let written = String::from_utf8(out).unwrap();
            prop_assert_eq!(RawJson::trusted(&written).to_text().unwrap(), text);
        }
    }
}
