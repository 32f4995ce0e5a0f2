//! Things that messages have in common, told to JavaScript once and then by number.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

/// Beyond this many, all are forgotten and numbered anew.
const MOST: usize = 4096;

/// What has a number already. JavaScript keeps a table of the same numbers: a number that is told again replaces what it
/// stood for.
pub(crate) struct Interned<K> {
    numbers: HashMap<K, u32>,
    last: Option<(K, u32)>,
}

impl<K> Default for Interned<K> {
    fn default() -> Self {
        Interned { numbers: HashMap::new(), last: None }
    }
}

impl<K: Eq + Hash + Clone> Interned<K> {
    /// The number of `key`, and whether it is a new one, of which JavaScript must be told.
    pub(crate) fn number<Q>(&mut self, key: &Q, make: impl FnOnce() -> K) -> (u32, bool)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // Messages come in runs of the same name and sender.
        if let Some((last, number)) = &self.last
            && key.equivalent(last)
        {
            return (*number, false);
        }
        let (key, number, new) = match self.numbers.get_key_value(key) {
            Some((key, number)) => (key.clone(), *number, false),
            None => {
                if self.numbers.len() >= MOST {
                    self.numbers.clear();
                }
                let key = make();
                let number = self.numbers.len() as u32;
                self.numbers.insert(key.clone(), number);
                (key, number, true)
            }
        };
        self.last = Some((key, number));
        (number, new)
    }
}
