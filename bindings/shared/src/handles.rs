//! Numbers that stand for objects.
//!
//! A handle is a number that [`Handles`] gave out. Looking it up clones the object's [`Arc`] first, so that whoever
//! frees the handle meanwhile frees nothing that is in use. A number that was freed, is of another type, or was never
//! given out is an error and never anything worse: each place in the table has a generation that changes when it is
//! freed, and a place whose generations are used up is not used again.
//!
//! ```
//! use realtime_pubsub_bindings::handles::{Handles, Named};
//!
//! struct Door;
//! impl Named for Door {
//!     const NAME: &'static str = "door";
//! }
//!
//! static HANDLES: Handles = Handles::new();
//! let handle = HANDLES.insert(Door)?;
//! assert!(HANDLES.get::<Door>(handle).is_ok());
//! HANDLES.remove::<Door>(handle)?;
//! assert!(HANDLES.get::<Door>(handle).is_err());
//! # Ok::<(), realtime_pubsub::Error>(())
//! ```

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use realtime_pubsub::{Error, ErrorKind};

/// A type that handles can stand for.
pub trait Named: Send + Sync + 'static {
    /// What error messages call it.
    const NAME: &'static str;
}

/// A handle is, from its lowest bits up: the shard, the place in it, the generation. The highest bit is never set, so
/// that a binding can have numbers of its own there.
const SHARD_BITS: u32 = 3;
const PLACE_BITS: u32 = 29;
const SHARDS: usize = 1 << SHARD_BITS;
const MAX_PLACES: usize = 1 << PLACE_BITS;
const MAX_GENERATION: u32 = (1 << 31) - 1;

/// The bit that no handle has set.
pub const RESERVED_BIT: u64 = 1 << 63;

type Object = Arc<dyn Any + Send + Sync>;

struct Slot {
    /// From 1 on: 0 is no handle.
    generation: u32,
    object: Option<Object>,
}

struct Shard {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// A table of handles, thread-safe, for a `static`.
pub struct Handles {
    shards: [RwLock<Shard>; SHARDS],
    next: AtomicUsize,
}

impl Default for Handles {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles").field("len", &self.len()).finish()
    }
}

impl Handles {
    /// An empty table.
    pub const fn new() -> Self {
        Handles {
            shards: [const { RwLock::new(Shard { slots: Vec::new(), free: Vec::new() }) }; SHARDS],
            next: AtomicUsize::new(0),
        }
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle for this object.
    ///
    /// # Errors
    /// [`ErrorKind::QueueFull`] when there are four billion.
    pub fn insert<T: Named>(&self, object: T) -> Result<u64, Error> {
        self.insert_arc(Arc::new(object))
    }

    /// A handle for this object.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_arc<T: Named>(&self, object: Arc<T>) -> Result<u64, Error> {
        // In turn, so that threads seldom meet.
        let shard_number = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = self.write(shard_number);
        let place = match shard.free.pop() {
            Some(place) => place as usize,
            None if shard.slots.len() < MAX_PLACES => {
                shard.slots.push(Slot { generation: 1, object: None });
                shard.slots.len() - 1
            }
            None => return Err(Error::new(ErrorKind::QueueFull, "there is no handle left: free some")),
        };
        let slot = &mut shard.slots[place];
        slot.object = Some(object);
        Ok(u64::from(slot.generation) << (SHARD_BITS + PLACE_BITS) | (place as u64) << SHARD_BITS | shard_number as u64)
    }

    /// The object that a handle stands for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidHandle`] for one that was freed, is of another type, or was never given out.
    pub fn get<T: Named>(&self, handle: u64) -> Result<Arc<T>, Error> {
        let (shard, place, generation) = split(handle);
        let shard = self.read(shard);
        let object = match shard.slots.get(place) {
            Some(Slot { generation: now, object: Some(object) }) if *now == generation => Arc::clone(object),
            _ => return Err(invalid::<T>(handle)),
        };
        drop(shard);
        object.downcast().map_err(|_| invalid::<T>(handle))
    }

    /// Frees a handle, and returns the object, which others may still be using.
    ///
    /// # Errors
    /// As [`get`](Self::get): so freeing twice is an error and does no harm.
    pub fn remove<T: Named>(&self, handle: u64) -> Result<Arc<T>, Error> {
        let (shard, place, generation) = split(handle);
        let mut shard = self.write(shard);
        let slot = match shard.slots.get_mut(place) {
            Some(slot) if slot.generation == generation => slot,
            _ => return Err(invalid::<T>(handle)),
        };
        let object = match slot.object.take() {
            Some(object) => match object.downcast::<T>() {
                Ok(object) => object,
                Err(other) => {
                    slot.object = Some(other);
                    return Err(invalid::<T>(handle));
                }
            },
            None => return Err(invalid::<T>(handle)),
        };
        if slot.generation < MAX_GENERATION {
            slot.generation += 1;
            shard.free.push(place as u32);
        }
        // Whoever drops the object does so without the lock: its end may need handles.
        Ok(object)
    }

    /// How many handles stand for something.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.read(shard).slots.iter().filter(|slot| slot.object.is_some()).count()).sum()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn split(handle: u64) -> (usize, usize, u32) {
    let shard = handle as usize & (SHARDS - 1);
    let place = (handle >> SHARD_BITS) as usize & (MAX_PLACES - 1);
    (shard, place, (handle >> (SHARD_BITS + PLACE_BITS)) as u32)
}

fn invalid<T: Named>(handle: u64) -> Error {
    let name = T::NAME;
    Error::new(
        ErrorKind::InvalidHandle,
        match handle {
            0 => format!("0 is no {name}"),
            _ => format!("{handle:#x} is no {name}: it was freed, is of another type, or was never given out"),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Apple(u32);
    impl Named for Apple {
        const NAME: &'static str = "apple";
    }
    #[derive(Debug, PartialEq)]
    struct Pear(u32);
    impl Named for Pear {
        const NAME: &'static str = "pear";
    }

    fn kind<T>(outcome: Result<T, Error>) -> ErrorKind {
        outcome.err().expect("an error").kind()
    }

    #[test]
    fn wrong_handles_are_errors() {
        let handles = Handles::new();
        let apple = handles.insert(Apple(1)).unwrap();
        assert_ne!(apple, 0);
        assert_eq!(apple & RESERVED_BIT, 0);
        assert_eq!(*handles.get::<Apple>(apple).unwrap(), Apple(1));
        for wrong in [0, 1, apple + 1, apple ^ RESERVED_BIT, u64::MAX] {
            assert_eq!(kind(handles.get::<Apple>(wrong)), ErrorKind::InvalidHandle);
            assert_eq!(kind(handles.remove::<Apple>(wrong)), ErrorKind::InvalidHandle);
        }
        assert_eq!(kind(handles.get::<Pear>(apple)), ErrorKind::InvalidHandle);
        assert_eq!(kind(handles.remove::<Pear>(apple)), ErrorKind::InvalidHandle);
        assert_eq!(*handles.remove::<Apple>(apple).unwrap(), Apple(1));
        assert_eq!(kind(handles.remove::<Apple>(apple)), ErrorKind::InvalidHandle);
        assert!(handles.is_empty());
    }

    #[test]
    fn what_is_in_use_outlives_its_handle() {
        let handles = Handles::new();
        let handle = handles.insert(Apple(7)).unwrap();
        let used = handles.get::<Apple>(handle).unwrap();
        drop(handles.remove::<Apple>(handle));
        assert_eq!(used.0, 7);
        assert_eq!(Arc::strong_count(&used), 1);
    }

    #[test]
    fn a_place_whose_generations_are_used_up_is_not_used_again() {
        let handles = Handles::new();
        let first = handles.insert(Apple(1)).unwrap();
        let (shard, place, _) = split(first);
        handles.write(shard).slots[place].generation = MAX_GENERATION;
        let last = (u64::from(MAX_GENERATION) << 32) | (first & u64::from(u32::MAX));
        assert!(handles.remove::<Apple>(last).is_ok());
        for _ in 0..3 * SHARDS {
            let handle = handles.insert(Apple(2)).unwrap();
            assert_ne!((split(handle).0, split(handle).1), (shard, place));
        }
    }

    #[test]
    fn threads_share_a_table() {
        const ROUNDS: u32 = if cfg!(miri) { 20 } else { 2_000 };
        let handles = Handles::new();
        let shared = handles.insert(Pear(9)).unwrap();
        let once = handles.insert(Apple(0)).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let handles = &handles;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let mine = handles.insert(Apple(thread * ROUNDS + round)).unwrap();
                        assert_eq!(handles.get::<Apple>(mine).unwrap().0, thread * ROUNDS + round);
                        assert_eq!(handles.get::<Pear>(shared).unwrap().0, 9);
                        assert!(handles.remove::<Apple>(mine).is_ok());
                        assert!(handles.remove::<Apple>(mine).is_err());
                    }
                });
            }
            // One of these wins; the others get an error.
            let free = || handles.remove::<Apple>(once).is_ok();
            let freeing: Vec<_> = (0..4).map(|_| scope.spawn(free)).collect();
            assert_eq!(freeing.into_iter().filter_map(|thread| thread.join().ok()).filter(|freed| *freed).count(), 1);
        });
        assert_eq!(handles.len(), 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Apple(u32),
        Pear(u32),
        Free(usize),
        Any(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            any::<u32>().prop_map(Step::Apple),
            any::<u32>().prop_map(Step::Pear),
            any::<usize>().prop_map(Step::Free),
            any::<u64>().prop_map(Step::Any),
        ];
        proptest::collection::vec(step, 0..if cfg!(miri) { 20 } else { 200 })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 5 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Against a map that never forgets: a handle given out is never given out again.
        #[test]
        fn behaves_like_a_map(steps in steps()) {
            let handles = Handles::new();
            let mut live: HashMap<u64, (bool, u32)> = HashMap::new();
            let mut seen: Vec<u64> = Vec::new();
            for step in steps {
                match step {
                    Step::Apple(value) => {
                        let handle = handles.insert(Apple(value)).unwrap();
                        prop_assert!(!seen.contains(&handle));
                        seen.push(handle);
                        live.insert(handle, (true, value));
                    }
                    Step::Pear(value) => {
                        let handle = handles.insert(Pear(value)).unwrap();
                        prop_assert!(!seen.contains(&handle));
                        seen.push(handle);
                        live.insert(handle, (false, value));
                    }
                    Step::Free(index) if !seen.is_empty() => {
                        let handle = seen[index % seen.len()];
                        let was = live.remove(&handle);
                        let apple = handles.remove::<Apple>(handle).ok().map(|apple| apple.0);
                        let pear = handles.remove::<Pear>(handle).ok().map(|pear| pear.0);
                        prop_assert_eq!(apple, was.filter(|(apple, _)| *apple).map(|(_, value)| value));
                        prop_assert_eq!(pear, was.filter(|(apple, _)| !*apple).map(|(_, value)| value));
                    }
                    Step::Free(_) => {}
                    Step::Any(handle) => {
                        prop_assert_eq!(handles.get::<Apple>(handle).is_ok(), live.get(&handle).is_some_and(|l| l.0));
                    }
                }
                prop_assert_eq!(handles.len(), live.len());
                for (handle, (apple, value)) in &live {
                    prop_assert_eq!(handles.get::<Apple>(*handle).ok().map(|a| a.0), apple.then_some(*value));
                    prop_assert_eq!(handles.get::<Pear>(*handle).ok().map(|p| p.0), (!apple).then_some(*value));
                }
            }
        }
    }
}
