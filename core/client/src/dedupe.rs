//! Which messages were seen before, for the `dedupe` option.

use std::num::NonZeroUsize;

use lru::LruCache;

/// The last messages, by topic, sender's subject and id: the sender's connection changes when it reconnects.
pub(crate) struct Dedupe {
    seen: LruCache<Box<[u8]>, ()>,
    key: Vec<u8>,
}

impl Dedupe {
    pub(crate) fn new(capacity: usize) -> Self {
        Dedupe { seen: LruCache::new(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)), key: Vec::new() }
    }

    /// Remembers a message, and says whether it was known.
    pub(crate) fn repeats(&mut self, topic: &str, subject: &str, id: &str) -> bool {
        self.key.clear();
        for part in [topic, subject] {
            // Lengths keep "a","bc" and "ab","c" apart.
            self.key.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.key.extend_from_slice(part.as_bytes());
        }
        self.key.extend_from_slice(id.as_bytes());
        if self.seen.get(self.key.as_slice()).is_some() {
            return true;
        }
        self.seen.put(self.key.as_slice().into(), ());
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_ones_and_no_more() {
        let mut dedupe = Dedupe::new(2);
        assert!(!dedupe.repeats("t", "s", "1"));
        assert!(dedupe.repeats("t", "s", "1"));
        assert!(!dedupe.repeats("t", "s", "2"));
        assert!(dedupe.repeats("t", "s", "1"), "used again, so it stays");
        assert!(!dedupe.repeats("t", "s", "3"));
        assert!(!dedupe.repeats("t", "s", "2"), "the least recently used went");
    }

    #[test]
    fn keys_do_not_run_together() {
        let mut dedupe = Dedupe::new(9);
        assert!(!dedupe.repeats("ab", "c", "d"));
        assert!(!dedupe.repeats("a", "bc", "d"));
        assert!(!dedupe.repeats("ab", "", "cd"));
    }
}
