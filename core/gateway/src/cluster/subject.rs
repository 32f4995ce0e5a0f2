//! Topics as subjects in NATS, and back.
//!
//! A subject is `<prefix>.topic.<app>.<topic>`: app and topic are one part each. `A-Z a-z 0-9 _ - / @ : + ,` stand for
//! themselves, any other byte is `=` and two hex digits, and `=` alone is the empty topic.

use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-/@:+,".contains(&byte)
}

/// Appends any text as one part of a subject.
pub(super) fn encode(text: &str, out: &mut String) {
    if text.is_empty() {
        out.push('=');
    }
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('=');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// The text that a part of a subject stands for; `None` for what [`encode`] does not make.
pub(super) fn decode(part: &str) -> Option<Cow<'_, str>> {
    if part == "=" {
        return Some(Cow::Borrowed(""));
    }
    if !part.is_empty() && part.bytes().all(plain) {
        return Some(Cow::Borrowed(part));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(part.len()), part.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        if plain(first) {
            bytes.push(first);
            rest = after;
        } else {
            let (digits, after) = after.split_at_checked(2)?;
            let digit = |digit| HEX.iter().position(|found| *found == digit);
            let byte = ((digit(digits[0])? << 4) | digit(digits[1])?) as u8;
            if first != b'=' || plain(byte) {
                return None;
            }
            bytes.push(byte);
            rest = after;
        }
    }
    if bytes.is_empty() { None } else { String::from_utf8(bytes).ok().map(Cow::Owned) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        encode(text, &mut out);
        out
    }

    #[test]
    fn usual_topics_stay_readable() {
        for (topic, part) in
            [("chat", "chat"), ("secure/inbound", "secure/inbound"), ("a.b", "a=2Eb"), ("", "="), ("=", "=3D")]
        {
            assert_eq!(encoded(topic), part);
        }
    }

    proptest! {
        #[test]
        fn any_topic_becomes_one_safe_part_and_is_found_again(topic in any::<String>()) {
            let part = encoded(&topic);
            prop_assert!(!part.is_empty());
            prop_assert!(part.bytes().all(|byte| byte.is_ascii_graphic() && !b".*>$".contains(&byte)), "{part}");
            let found = decode(&part);
            prop_assert_eq!(found.as_deref(), Some(topic.as_str()));
        }

        #[test]
        fn each_topic_has_one_subject(part in "[a=A-F0-9./ *]{0,12}") {
            if let Some(topic) = decode(&part) {
                prop_assert_eq!(encoded(&topic), part);
            }
        }
    }
}
