//! In place of `cluster` where the feature `nats` is off: there is never one, and the compiler knows.

use std::sync::Arc;

use crate::hub::Peer;

#[derive(Debug)]
pub(crate) enum Cluster {}

#[derive(Debug)]
pub(crate) enum Barrier {}

#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) cluster: Arc<Cluster>,
}

#[allow(dead_code, reason = "nobody ever reads a call here")]
pub(crate) enum Call {
    Delivered { message: u64 },
    Unsubscribe { subject: String, patterns: Vec<String> },
    Terminate { connection: Option<String> },
}

impl Barrier {
    pub(crate) fn taken(&self) -> Option<bool> {
        match *self {}
    }
}

impl Scope {
    pub(crate) fn new(cluster: Arc<Cluster>, _: &str) -> Self {
        Scope { cluster }
    }

    pub(crate) fn need(&self, _: &str) {
        match *self.cluster {}
    }

    pub(crate) fn unneed(&self, _: &str) {
        match *self.cluster {}
    }

    pub(crate) fn follow(&self, _: Option<&str>) {
        match *self.cluster {}
    }

    pub(crate) fn unfollow(&self, _: Option<&str>) {
        match *self.cluster {}
    }

    pub(crate) fn joined(&self, _: &Arc<Peer>) {
        match *self.cluster {}
    }

    pub(crate) fn left(&self, _: &Peer) {
        match *self.cluster {}
    }

    pub(crate) fn elsewhere(&self, _: &str) -> usize {
        match *self.cluster {}
    }

    pub(crate) fn publish(&self, _: &str, _: bool, _: Option<u64>, _: impl FnOnce(&mut Vec<u8>)) -> Option<u64> {
        match *self.cluster {}
    }

    pub(crate) async fn call(&self, _: Call) -> usize {
        match *self.cluster {}
    }
}

impl Cluster {
    pub(crate) fn up(&self) -> bool {
        match *self {}
    }

    pub(crate) fn standing(&self) -> &'static str {
        match *self {}
    }

    pub(crate) fn congested(&self) -> bool {
        match *self {}
    }

    pub(crate) fn barrier(&self, _: &Arc<Peer>, _: Option<u64>) -> Option<Arc<Barrier>> {
        match *self {}
    }

    pub(crate) async fn settle(&self) -> bool {
        match *self {}
    }

    pub(crate) async fn leave(&self) {
        match *self {}
    }
}
