//! The receipts of messages that somebody still waits for, by id.

use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::error::{Error, Result};
use crate::inbox::Entry;
use crate::publish::MessageId;
use crate::receipt::Receipt;
use crate::shared::Shared;
use crate::sync::Lock;

#[derive(Default)]
pub(crate) struct Receipts {
    by_id: Lock<HashTable<Arc<Receipt>>>,
    hasher: DefaultHashBuilder,
}

impl Receipts {
    /// Registers a message. `frame` is what `retry` writes again.
    pub(crate) fn register(&self, id: MessageId, frame: Option<Bytes>, shared: &Arc<Shared>) -> Result<Arc<Receipt>> {
        let hash = self.hasher.hash_one(id.as_str());
        let mut by_id = self.by_id.lock();
        match by_id.entry(hash, |other| other.id() == id.as_str(), |other| other.hash()) {
            hashbrown::hash_table::Entry::Occupied(_) => Err(Error::invalid(format!(
                "a message with the id {:?} is still on its way: choose another, or none, and the client makes one",
                id.as_str()
            ))),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let receipt = Receipt::new(id, hash, frame, shared);
                entry.insert(Arc::clone(&receipt));
                Ok(receipt)
            }
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Receipt>> {
        let hash = self.hasher.hash_one(id);
        self.by_id.lock().find(hash, |receipt| receipt.id() == id).cloned()
    }

    pub(crate) fn remove(&self, receipt: &Arc<Receipt>) {
        let mut by_id = self.by_id.lock();
        if let Ok(entry) = by_id.find_entry(receipt.hash(), |other| Arc::ptr_eq(other, receipt)) {
            let (removed, _) = entry.remove();
            drop(by_id);
            drop(removed);
        }
    }

    /// Nobody waits for this one any more. It stays while `retry` keeps its frame, so that its ack is recognised.
    pub(crate) fn abandon(&self, receipt: &Arc<Receipt>) {
        if receipt.retained().is_none() {
            self.remove(receipt);
        }
    }

    /// Ends all waits that `choose` picks.
    pub(crate) fn fail(&self, error: &Error, told: &mut Vec<Entry>, choose: impl Fn(&Receipt) -> bool) {
        let chosen: Vec<_> = self.by_id.lock().iter().filter(|receipt| choose(receipt)).cloned().collect();
        for receipt in chosen {
            receipt.fail(error, told);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.lock().len()
    }
}
