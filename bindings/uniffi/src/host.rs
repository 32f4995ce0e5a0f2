//! The package's side of a client.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crate::fast::FastHost;

/// What a package implements for a client. The calls come from any thread, also from the one that does the client's
/// input and output: they must not block and should not throw.
#[uniffi::export(with_foreign)]
pub trait ClientHost: Send + Sync {
    /// Waits have ended: packed entries.
    fn on_settled(&self, packed: Vec<u8>);
    /// There are messages or events: call `take` until it says there are no more. Not said again before that.
    fn on_messages(&self);
    /// The URL is wanted: answer with `provide_url`.
    fn on_url_wanted(&self, request: u64);
    /// A message for a `serve` is to be answered: with `answer`.
    fn on_answer_wanted(&self, serving: u64, request: u64, message: Vec<u8>);
    /// The client is closed: nothing more will come.
    fn on_closed(&self);
}

/// A host that nothing it does can harm.
pub(crate) struct Host {
    host: Arc<dyn ClientHost>,
    fast: OnceLock<FastHost>,
}

impl Host {
    pub(crate) fn new(host: Arc<dyn ClientHost>) -> Self {
        Host { host, fast: OnceLock::new() }
    }

    /// From now on settled waits and messages are told this way.
    pub(crate) fn set_fast(&self, fast: FastHost) {
        let _ = self.fast.set(fast);
    }

    /// A callback that throws where it may not makes UniFFI panic. Said nothing of: the package has its own handlers.
    fn call(&self, call: impl FnOnce(&dyn ClientHost)) {
        let _ = catch_unwind(AssertUnwindSafe(|| call(&*self.host)));
    }

    pub(crate) fn settled(&self, packed: Vec<u8>) {
        match self.fast.get() {
            Some(fast) => fast.settled(&packed),
            None => self.call(|host| host.on_settled(packed)),
        }
    }

    pub(crate) fn messages(&self) {
        match self.fast.get() {
            Some(fast) => fast.messages(),
            None => self.call(|host| host.on_messages()),
        }
    }

    pub(crate) fn url_wanted(&self, request: u64) {
        self.call(|host| host.on_url_wanted(request));
    }

    pub(crate) fn answer_wanted(&self, serving: u64, request: u64, message: Vec<u8>) {
        self.call(|host| host.on_answer_wanted(serving, request, message));
    }

    pub(crate) fn closed(&self) {
        self.call(|host| host.on_closed());
    }
}
