//! Who listens to what.
//!
//! Listeners are found through [`PatternIndex`], and what was found is remembered by the message's name until somebody
//! registers or leaves: a connection sees the same few names over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use realtime_pubsub_protocol::{Pattern, PatternIndex};

use crate::error::{Error, Result};
use crate::event::{ControlEvent, Event};
use crate::event_wait::EventWait;
use crate::inbox::Inbox;
use crate::sync::Lock;

/// A registered listener, for [`Client::off`](crate::Client::off).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(crate) u64);

impl ListenerId {
    /// The id as a number, for languages that have no such type. Never 0.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The id of this number.
    pub fn from_raw(number: u64) -> Self {
        ListenerId(number)
    }
}

/// Where a listener's events go.
#[derive(Clone)]
pub(crate) enum Sink {
    /// The client's inbox.
    Inbox { once: bool },
    /// A stream's own.
    Stream(Arc<Inbox>),
    /// A single wait.
    Wait(Arc<EventWait>),
}

#[derive(Clone)]
struct Listener {
    id: ListenerId,
    sink: Sink,
}

enum Name {
    Control(ControlEvent),
    Pattern(Pattern),
}

/// All who listen to messages of one name.
#[derive(Default)]
pub(crate) struct Matched {
    pub(crate) listeners: Arc<[ListenerId]>,
    pub(crate) has_once: bool,
    pub(crate) streams: Vec<Arc<Inbox>>,
    pub(crate) waits: Vec<Arc<EventWait>>,
}

impl Matched {
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.streams.is_empty() && self.waits.is_empty()
    }

    fn of(mut found: Vec<&Listener>) -> Self {
        found.sort_unstable_by_key(|listener| listener.id);
        let mut matched = Matched::default();
        let mut ids = Vec::new();
        for listener in found {
            match &listener.sink {
                Sink::Inbox { once } => {
                    matched.has_once |= once;
                    ids.push(listener.id);
                }
                Sink::Stream(inbox) => matched.streams.push(Arc::clone(inbox)),
                Sink::Wait(wait) => matched.waits.push(Arc::clone(wait)),
            }
        }
        matched.listeners = ids.into();
        matched
    }
}

#[derive(Default)]
struct Listeners {
    last_id: u64,
    patterns: PatternIndex<Listener>,
    control: Vec<(ControlEvent, Listener)>,
    names: HashMap<ListenerId, (Name, bool)>,
}

#[derive(Default)]
pub(crate) struct Registry {
    listeners: Lock<Listeners>,
    version: AtomicU64,
}

impl Registry {
    /// Registers for a control event's name or a pattern. A control event's name never matches messages, so that
    /// nothing from the wire can pass for one.
    pub(crate) fn add(&self, name: &str, sink: impl FnOnce(ListenerId) -> Sink) -> Result<ListenerId> {
        let name = match ControlEvent::from_name(name) {
            Some(event) => Name::Control(event),
            None => Name::Pattern(Pattern::parse(name).map_err(|error| Error::invalid(error.to_string()))?),
        };
        let mut listeners = self.listeners.lock();
        listeners.last_id += 1;
        let id = ListenerId(listeners.last_id);
        let sink = sink(id);
        let once = matches!(sink, Sink::Inbox { once: true });
        let listener = Listener { id, sink };
        match &name {
            Name::Control(event) => listeners.control.push((*event, listener)),
            Name::Pattern(pattern) => listeners.patterns.insert(pattern, listener),
        }
        listeners.names.insert(id, (name, once));
        self.version.fetch_add(1, Ordering::Release);
        Ok(id)
    }

    /// Takes a listener off. Says whether it was there.
    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        let mut listeners = self.listeners.lock();
        self.remove_locked(&mut listeners, id)
    }

    fn remove_locked(&self, listeners: &mut Listeners, id: ListenerId) -> bool {
        let Some((name, _)) = listeners.names.remove(&id) else { return false };
        match &name {
            Name::Control(_) => listeners.control.retain(|(_, listener)| listener.id != id),
            Name::Pattern(pattern) => {
                listeners.patterns.remove(pattern, |listener| listener.id == id);
            }
        }
        self.version.fetch_add(1, Ordering::Release);
        true
    }

    /// Takes off those of `ids` that are `once`, and returns the ids without those that were taken off before.
    /// `None` where all stay.
    pub(crate) fn take_once(&self, ids: &Arc<[ListenerId]>) -> Option<Arc<[ListenerId]>> {
        let mut listeners = self.listeners.lock();
        let mut gone = false;
        let mut left = Vec::with_capacity(ids.len());
        for id in ids.iter() {
            match listeners.names.get(id).map(|(_, once)| *once) {
                None => gone = true,
                Some(once) => {
                    left.push(*id);
                    if once {
                        self.remove_locked(&mut listeners, *id);
                    }
                }
            }
        }
        gone.then(|| left.into())
    }

    /// The listeners of a control event; tells the waits for it at once.
    pub(crate) fn control_listeners(&self, event: &Event) -> Option<Arc<[ListenerId]>> {
        let kind = event.control()?;
        let listeners = self.listeners.lock();
        let found = listeners.control.iter().filter(|(of, _)| *of == kind).map(|(_, listener)| listener).collect();
        let matched = Matched::of(found);
        drop(listeners);
        for wait in &matched.waits {
            wait.settle(event);
        }
        (!matched.listeners.is_empty()).then_some(matched.listeners)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn find(&self, name: &str) -> Matched {
        let listeners = self.listeners.lock();
        let mut found = Vec::new();
        let keep = |listener| found.push(listener);
        if ControlEvent::from_name(name).is_some() {
            // A literal of this name is a control listener's, and it is not for messages.
            listeners.patterns.find_wild(name, keep);
        } else {
            listeners.patterns.find(name, keep);
        }
        Matched::of(found)
    }
}

/// What a connection remembers of the registry.
pub(crate) struct MatchCache {
    version: u64,
    matches: HashMap<Box<str>, Arc<Matched>>,
    name: String,
}

/// Beyond this many names a connection forgets them all and starts anew.
const CACHED_NAMES: usize = 4096;

impl MatchCache {
    pub(crate) fn new() -> Self {
        MatchCache { version: u64::MAX, matches: HashMap::new(), name: String::new() }
    }

    /// Those who listen to messages of this topic and type.
    pub(crate) fn find(&mut self, registry: &Registry, topic: &str, message_type: &str) -> &Arc<Matched> {
        let version = registry.version();
        if version != self.version || self.matches.len() >= CACHED_NAMES {
            self.matches.clear();
            self.version = version;
        }
        self.name.clear();
        self.name.push_str(topic);
        self.name.push('.');
        self.name.push_str(message_type);
        match self.matches.entry_ref(self.name.as_str()) {
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(entry) => {
                let found = Arc::new(registry.find(entry.key()));
                entry.insert_with_key(self.name.as_str().into(), found)
            }
        }
    }
}
