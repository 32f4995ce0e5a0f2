//! Event patterns: what a listener names.
//!
//! A message event is named `<topic>.<messageType>`. A pattern is split at `.`; the segment `*` stands for one
//! segment, `**` for zero or more. A pattern without wildcards matches that very name, dots and all.

use std::fmt;

use hashbrown::HashMap;

/// The longest pattern that is taken, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// A parsed event pattern.
///
/// ```
/// use realtime_pubsub_protocol::Pattern;
///
/// let all_of_chat = Pattern::parse("chat.*")?;
/// assert!(all_of_chat.matches("chat.text-message"));
/// assert!(!all_of_chat.matches("chat.room.text-message"));
/// assert!(Pattern::parse("**")?.matches("anything.at.all"));
/// # Ok::<(), realtime_pubsub_protocol::pattern::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    wild: bool,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty.
    #[error("the event pattern is empty")]
    Empty,
    /// It is longer than [`MAX_PATTERN_BYTES`].
    #[error("the event pattern has {0} bytes, more than {MAX_PATTERN_BYTES}")]
    TooLong(usize),
    /// A `*` stands beside other characters, where it would match nothing that was meant.
    #[error("the event pattern has the segment {0:?}: `*` and `**` must stand alone between dots")]
    PartialWildcard(Box<str>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is empty, too long, or has a `*` beside other characters in a segment.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong(text.len()));
        }
        let mut wild = false;
        for segment in text.split('.') {
            match segment {
                "*" | "**" => wild = true,
                _ if segment.contains('*') => return Err(PatternError::PartialWildcard(segment.into())),
                _ => {}
            }
        }
        Ok(Pattern { text: text.into(), wild })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has a wildcard.
    pub fn is_wild(&self) -> bool {
        self.wild
    }

    /// Whether `name` matches. For many patterns at once use [`PatternIndex`].
    pub fn matches(&self, name: &str) -> bool {
        if !self.wild {
            return *self.text == *name;
        }
        // Greedy with one point of return: the last `**` is the only one that can still grow.
        let mut names = name.split('.');
        let mut patterns = self.text.split('.');
        let mut retry: Option<(std::str::Split<'_, char>, std::str::Split<'_, char>)> = None;
        loop {
            let before = (patterns.clone(), names.clone());
            let matched = match (patterns.next(), names.next()) {
                (None, None) => return true,
                (Some("**"), _) => {
                    names = before.1;
                    retry = Some((patterns.clone(), names.clone()));
                    continue;
                }
                (Some("*"), Some(_)) => true,
                (Some(segment), Some(name)) => segment == name,
                _ => false,
            };
            if matched {
                continue;
            }
            let Some((after, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (patterns, names) = (after.clone(), from.clone());
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Values filed under patterns, found by name without a look at those that do not match.
///
/// Patterns without wildcards are one hash lookup; the others form a trie of segments, so that a lookup costs what
/// the name's segments and the wildcards on its way cost, however many patterns there are.
#[derive(Clone, Debug)]
pub struct PatternIndex<T> {
    literal: HashMap<Box<str>, Vec<T>>,
    wild: Node<T>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Node<T> {
    segments: HashMap<Box<str>, Node<T>>,
    one: Option<Box<Node<T>>>,
    many: Option<Box<Node<T>>>,
    /// Reached by `**`: stays for any number of segments.
    repeats: bool,
    values: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node { segments: HashMap::new(), one: None, many: None, repeats: false, values: Vec::new() }
    }
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        PatternIndex { literal: HashMap::new(), wild: Node::default(), len: 0 }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.segments.is_empty() && self.one.is_none() && self.many.is_none()
    }

    fn leaf(&mut self, pattern: &str) -> &mut Self {
        let mut node = self;
        for segment in pattern.split('.') {
            node = match segment {
                "*" => node.one.get_or_insert_default(),
                "**" => {
                    let many = node.many.get_or_insert_default();
                    many.repeats = true;
                    many
                }
                _ => node.segments.entry(segment.into()).or_default(),
            };
        }
        node
    }

    /// Takes the values `drop` chooses from the pattern's node, and prunes what is left empty.
    fn remove(&mut self, mut rest: std::str::Split<'_, char>, drop: &mut impl FnMut(&T) -> bool) {
        let Some(segment) = rest.next() else {
            self.values.retain(|value| !drop(value));
            return;
        };
        match segment {
            "*" | "**" => {
                let slot = if segment == "*" { &mut self.one } else { &mut self.many };
                if let Some(node) = slot {
                    node.remove(rest, drop);
                    if node.is_empty() {
                        *slot = None;
                    }
                }
            }
            _ => {
                if let Some(node) = self.segments.get_mut(segment) {
                    node.remove(rest, drop);
                    if node.is_empty() {
                        self.segments.remove(segment);
                    }
                }
            }
        }
    }
}

impl<T> PatternIndex<T> {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many values are filed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is filed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Files a value.
    pub fn insert(&mut self, pattern: &Pattern, value: T) {
        self.len += 1;
        if pattern.wild {
            self.wild.leaf(&pattern.text).values.push(value);
        } else {
            self.literal.entry(pattern.text.clone()).or_default().push(value);
        }
    }

    /// Takes out the values under `pattern` that `drop` chooses, and says how many.
    pub fn remove(&mut self, pattern: &Pattern, mut drop: impl FnMut(&T) -> bool) -> usize {
        let mut taken = 0;
        let mut drop = |value: &T| {
            let chosen = drop(value);
            taken += usize::from(chosen);
            chosen
        };
        if pattern.wild {
            self.wild.remove(pattern.text.split('.'), &mut drop);
        } else if let Some(values) = self.literal.get_mut(&*pattern.text) {
            values.retain(|value| !drop(value));
            if values.is_empty() {
                self.literal.remove(&*pattern.text);
            }
        }
        self.len -= taken;
        taken
    }

    /// Calls `found` for each value whose pattern matches `name`, in no particular order, each once.
    pub fn find<'a>(&'a self, name: &str, mut found: impl FnMut(&'a T)) {
        self.find_literal(name, &mut found);
        self.find_wild(name, found);
    }

    /// Like [`find`](Self::find), for patterns without wildcards only.
    pub fn find_literal<'a>(&'a self, name: &str, found: impl FnMut(&'a T)) {
        if let Some(values) = self.literal.get(name) {
            values.iter().for_each(found);
        }
    }

    /// Like [`find`](Self::find), for patterns with wildcards only.
    pub fn find_wild<'a>(&'a self, name: &str, mut found: impl FnMut(&'a T)) {
        if self.wild.is_empty() {
            return;
        }
        // The nodes a prefix of the name leads to. A node is entered once a segment, so that a row of `**` costs what
        // its nodes cost and not what their combinations would.
        let mut at: Vec<&Node<T>> = Vec::new();
        let mut next: Vec<&Node<T>> = Vec::new();
        enter(&mut at, &self.wild);
        for segment in name.split('.') {
            for node in at.drain(..) {
                if node.repeats {
                    enter(&mut next, node);
                }
                if let Some(child) = node.segments.get(segment) {
                    enter(&mut next, child);
                }
                if let Some(child) = &node.one {
                    enter(&mut next, child);
                }
            }
            std::mem::swap(&mut at, &mut next);
            if at.is_empty() {
                return;
            }
        }
        for node in at {
            node.values.iter().for_each(&mut found);
        }
    }
}

/// Adds a node, and the one behind its `**`, which may stand for nothing.
fn enter<'a, T>(nodes: &mut Vec<&'a Node<T>>, mut node: &'a Node<T>) {
    while !nodes.iter().any(|known| std::ptr::eq(*known, node)) {
        nodes.push(node);
        match &node.many {
            Some(many) => node = many,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, as slow as it is plain.
    fn matches(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (["**", rest @ ..], _) => matches(rest, name) || (!name.is_empty() && matches(pattern, &name[1..])),
            ([first, pattern @ ..], [segment, name @ ..]) => {
                (*first == "*" || first == segment) && matches(pattern, name)
            }
            _ => false,
        }
    }

    #[test]
    fn wildcards_stand_for_segments() {
        for (pattern, name, expected) in [
            ("chat.*", "chat.text", true),
            ("chat.*", "chat", false),
            ("chat.*", "chat.room.text", false),
            ("chat.**", "chat", true),
            ("chat.**", "chat.room.text", true),
            ("**.text", "text", true),
            ("**.text", "a.b.text.c", false),
            ("*.*", "a.", true),
            ("priv/user.name@x.com.response", "priv/user.name@x.com.response", true),
            ("*.response", "priv/user.name@x.com.response", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_that_would_match_nothing_meant_are_refused() {
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        assert_eq!(Pattern::parse("a.cha*.b"), Err(PatternError::PartialWildcard("cha*".into())));
        assert!(Pattern::parse("***").unwrap_err().to_string().contains("stand alone"));
        assert_eq!(Pattern::parse(&"x".repeat(5000)), Err(PatternError::TooLong(5000)));
    }

    #[test]
    fn removed_patterns_leave_nothing_behind() {
        let mut index = PatternIndex::new();
        let patterns: Vec<_> =
            ["a.*.b", "a.**", "a.b", "**", "a.*.c"].iter().map(|text| Pattern::parse(text).unwrap()).collect();
        for (value, pattern) in patterns.iter().enumerate() {
            index.insert(pattern, value);
        }
        for (value, pattern) in patterns.iter().enumerate() {
            assert_eq!(index.remove(pattern, |filed| *filed == value), 1);
            assert_eq!(index.remove(pattern, |filed| *filed == value), 0);
        }
        assert!(index.is_empty() && index.wild.is_empty() && index.literal.is_empty());
    }

    #[test]
    fn rows_of_wildcards_stay_cheap() {
        let pattern = Pattern::parse(&format!("{}b", "**.*.".repeat(40))).unwrap();
        let name = "a.".repeat(400) + "c";
        let mut index = PatternIndex::new();
        index.insert(&pattern, ());
        assert!(!pattern.matches(&name));
        index.find(&name, |()| panic!("must not match"));
    }

    fn segments(alphabet: &'static str) -> impl Strategy<Value = String> {
        prop::collection::vec(proptest::string::string_regex(alphabet).unwrap(), 1..6).prop_map(|parts| parts.join("."))
    }

    proptest! {
        #[test]
        fn pattern_and_index_agree_with_the_definition(
            patterns in prop::collection::vec(segments(r"[ab]?|\*|\*\*"), 1..12),
            names in prop::collection::vec(segments("[ab]?"), 1..6),
        ) {
            let mut index = PatternIndex::new();
            let patterns: Vec<_> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            for (value, pattern) in patterns.iter().enumerate() {
                index.insert(pattern, value);
            }
            for name in &names {
                let split: Vec<_> = name.split('.').collect();
                let expected: Vec<usize> = patterns.iter().enumerate()
                    .filter(|(_, pattern)| matches(&pattern.text.split('.').collect::<Vec<_>>(), &split))
                    .map(|(value, _)| value)
                    .collect();
                for (value, pattern) in patterns.iter().enumerate() {
                    prop_assert_eq!(pattern.matches(name), expected.contains(&value), "{} {}", pattern, name);
                }
                let mut found = Vec::new();
                index.find(name, |value| found.push(*value));
                found.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(pattern in any::<String>(), name in any::<String>()) {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.matches(&name);
            }
        }
    }
}
