//! Patterns: one alone, and the index of many, agree with each other whatever they are and whatever they are asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_pubsub_protocol::{Pattern, PatternIndex};

fuzz_target!(|input: (Vec<&str>, &str)| {
    let (texts, name) = input;
    let patterns: Vec<_> = texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
    let mut index = PatternIndex::new();
    for (number, pattern) in patterns.iter().enumerate() {
        index.insert(pattern, number);
    }
    let mut found = Vec::new();
    index.find(name, |number| found.push(*number));
    found.sort_unstable();
    let expected: Vec<_> = (0..patterns.len()).filter(|number| patterns[*number].matches(name)).collect();
    assert_eq!(found, expected);
    for (number, pattern) in patterns.iter().enumerate() {
        assert_eq!(index.remove(pattern, |filed| *filed == number), 1);
    }
    assert!(index.is_empty());
});
