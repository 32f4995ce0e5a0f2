//! A checking reader of JSON that finds where things stand and makes nothing of them.
//!
//! Every message passes through here once, and nearly all that is wanted of it is where its parts begin and end. The
//! whole text is checked to be JSON, by the grammar of RFC 8259, so that what is cut out can be handed on as JSON.

use std::borrow::Cow;

use crate::json::RawJson;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 1024;

/// Why a text is not JSON, or not of the shape that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    what: &'static str,
    at: usize,
}

type Result<T> = std::result::Result<T, Malformed>;

pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// Reads an object, the whole of `text`, calling `field` at each key; it must read the value.
pub(crate) fn object<'a>(text: &'a str, mut field: impl FnMut(&str, &mut Scanner<'a>) -> Result<()>) -> Result<()> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.space();
    scanner.object(&mut field)?;
    scanner.end()
}

/// Checks that `text` is one JSON value.
#[cfg(test)]
pub(crate) fn check(text: &str) -> Result<()> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.value()?;
    scanner.end()
}

impl<'a> Scanner<'a> {
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn error<T>(&self, what: &'static str) -> Result<T> {
        Err(Malformed { what, at: self.at })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<()> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.error("something behind the value") }
    }

    /// Whether the next value is an object. Only where a value is to begin.
    pub(crate) fn at_object(&mut self) -> bool {
        self.space();
        self.peek() == Some(b'{')
    }

    /// Reads an object, calling `field` at each key; it must read the value.
    pub(crate) fn object(&mut self, field: &mut impl FnMut(&str, &mut Self) -> Result<()>) -> Result<()> {
        if self.peek() != Some(b'{') {
            return self.error("expected an object");
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            field(&key, self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.error("expected `,` or `}`"),
            }
            self.space();
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return self.error("expected a key");
        }
        let from = self.at;
        let escapes = self.string()?;
        let key = if escapes {
            RawJson::trusted(&self.text[from..self.at]).to_text().unwrap_or_default()
        } else {
            Cow::Borrowed(&self.text[from + 1..self.at - 1])
        };
        self.space();
        if self.peek() != Some(b':') {
            return self.error("expected `:`");
        }
        self.at += 1;
        Ok(key)
    }

    /// Reads any value, and returns its text.
    pub(crate) fn value(&mut self) -> Result<RawJson<'a>> {
        self.space();
        let from = self.at;
        match self.peek() {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{' | b'[') => self.container()?,
            _ => self.scalar()?,
        }
        Ok(RawJson::trusted(&self.text[from..self.at]))
    }

    /// Reads any value, and returns its text; looks at its fields on the way where it is an object.
    pub(crate) fn value_with(&mut self, mut field: impl FnMut(&str, &mut Self) -> Result<()>) -> Result<RawJson<'a>> {
        if !self.at_object() {
            return self.value();
        }
        let from = self.at;
        self.object(&mut field)?;
        Ok(RawJson::trusted(&self.text[from..self.at]))
    }

    /// Skips an array or object with all that is in it.
    fn container(&mut self) -> Result<()> {
        // One bit a level: whether it is an object.
        let mut objects = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        'value: loop {
            // At the beginning of a value.
            match self.peek() {
                Some(opening @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return self.error("nested too deeply");
                    }
                    let is_object = opening == b'{';
                    let bit = 1 << (depth % 64);
                    if is_object {
                        objects[depth / 64] |= bit;
                    } else {
                        objects[depth / 64] &= !bit;
                    }
                    depth += 1;
                    self.at += 1;
                    self.space();
                    if self.peek() != Some(if is_object { b'}' } else { b']' }) {
                        if is_object {
                            self.key()?;
                            self.space();
                        }
                        continue 'value;
                    }
                    // Empty: closed below.
                }
                Some(b'"') => {
                    self.string()?;
                }
                _ => self.scalar()?,
            }
            // Behind a value, or at the end of an empty container.
            loop {
                let is_object = depth > 0 && objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                self.space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.space();
                        if is_object {
                            self.key()?;
                            self.space();
                        }
                        continue 'value;
                    }
                    Some(b'}') if is_object => {}
                    Some(b']') if !is_object => {}
                    _ => return self.error("expected `,` or the end of an array or object"),
                }
                self.at += 1;
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// Skips a string; says whether it has escapes.
    fn string(&mut self) -> Result<bool> {
        let bytes = self.bytes();
        self.at += 1;
        let mut escapes = false;
        loop {
            self.at += plain(&bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escapes);
                }
                Some(b'\\') => {
                    escapes = true;
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            let hex = bytes.get(self.at + 1..self.at + 5);
                            if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                                return self.error("bad escape");
                            }
                            self.at += 5;
                        }
                        _ => return self.error("bad escape"),
                    }
                }
                Some(_) => return self.error("control character in a string"),
                None => return self.error("string without end"),
            }
        }
    }

    fn scalar(&mut self) -> Result<()> {
        for word in ["null", "true", "false"] {
            if self.bytes()[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.number()
    }

    fn number(&mut self) -> Result<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.error("expected a value"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<()> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.error("expected a digit");
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

/// How many bytes at the beginning are neither a quote, a backslash nor a control character. Most of a message is inside
/// strings: long ones go by 32 bytes, which the compiler turns into vector instructions, short ones by eight.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let mut done = 0;
    while let Some(chunk) = bytes.get(done..done + 32).and_then(|chunk| <&[u8; 32]>::try_from(chunk).ok()) {
        let special = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20);
        if chunk.iter().fold(0, |found, byte| found | special(byte)) != 0 {
            break;
        }
        done += 32;
    }
    while let Some(chunk) = bytes.get(done..done + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        // The high bit of each byte that is zero in `x`; bytes above a hit may be wrong, which the first hit hides.
        let zeros = |x: u64| x.wrapping_sub(ONES) & !x;
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let hits = (quotes | backslashes | controls) & HIGH;
        if hits != 0 {
            return done + hits.trailing_zeros() as usize / 8;
        }
        done += 8;
    }
    let is_special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
    done + bytes[done..].iter().position(is_special).unwrap_or(bytes.len() - done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn agrees_with_serde_json_at_the_edges() {
        for text in [
            "",
            " ",
            "null",
            "nul",
            "nullx",
            "true",
            "false",
            "-",
            "-0",
            "00",
            "01",
            "1.",
            "1.5",
            ".5",
            "1e",
            "1e+",
            "1e+5",
            "1E-07",
            "-1.0e10",
            "+1",
            "\"\"",
            "\"",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\u12aF\"",
            "\"\\x\"",
            "\"\t\"",
            "\"\u{7f}é\u{1F600}\"",
            "[]",
            "[ ]",
            "[1]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2",
            "]",
            "{}",
            "{ }",
            "{\"a\":1}",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":[{}]}",
            "[}",
            "{]",
            "[{]}",
            " [ 1 , { \"a\" : null } ] ",
            "1 1",
            "\u{feff}1",
            "[1]\u{0}",
            "NaN",
            "Infinity",
            "\"\\ud800\"",
        ] {
            assert_eq!(check(text).is_ok(), is_json(text), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(check(&nested(MAX_DEPTH + 1)).unwrap_err().what, "nested too deeply");
        let mixed = format!("{}1{}", "[{\"a\":".repeat(300), "}]".repeat(300));
        assert!(check(&mixed).is_ok());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"([\[\]{}:,"\\ 01e.\-+a]|null|true|\\u00e9|\\n|é){0,14}"#) {
            prop_assert_eq!(check(&text).is_ok(), is_json(&text), "{:?}", text);
        }

        #[test]
        fn agrees_with_serde_json_inside_strings(text in r#""[ -~\x00-\x30é\\"]{0,40}""#) {
            prop_assert_eq!(check(&text).is_ok(), is_json(&text), "{:?}", text);
        }

        #[test]
        fn finds_the_first_special_byte(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|byte| *byte == b'"' || *byte == b'\\' || *byte < 0x20);
            prop_assert_eq!(plain(&bytes), expected.unwrap_or(bytes.len()));
        }
    }
}
