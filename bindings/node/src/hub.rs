//! Waking the event loop: once for all that happens until it looks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::Status;
use napi::bindgen_prelude::{Env, Function, Uint32ArraySlice};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use realtime_pubsub::{ConnectionInfo, Error};

use crate::error::{Code, Result};
use crate::text::words;

/// Weak: it is [`NativeHub::hold`] that keeps the process alive.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which clients, streams and gateways of one JavaScript environment have news.
pub(crate) struct Hub {
    wake: Wake,
    woken: AtomicBool,
    ready: Mutex<VecDeque<u32>>,
    last_source: AtomicU32,
}

impl Hub {
    /// Says that a source has news. From any thread.
    fn notify(&self, source: u32) {
        lock(&self.ready).push_back(source);
        if !self.woken.swap(true, Ordering::AcqRel) {
            // It fails when the environment is being torn down: then nobody is there to be told.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// The event loop's side of a [`Hub`].
#[napi]
pub struct NativeHub {
    hub: Arc<Hub>,
    held: bool,
}

#[napi]
impl NativeHub {
    /// `wake` is called on the event loop when there is something to take.
    #[napi(constructor, catch_unwind)]
    pub fn new(wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .build()
            .map_err(|error| napi::Error::new(Code::from(error.status), error.reason.clone()))?;
        let hub = Hub { wake, woken: AtomicBool::new(false), ready: Mutex::default(), last_source: AtomicU32::new(0) };
        Ok(NativeHub { hub: Arc::new(hub), held: false })
    }

    /// Moves the numbers of the sources that have news to `out`, and says how many they are.
    #[napi(catch_unwind)]
    pub fn take(&self, mut out: Uint32ArraySlice<'_>) -> u32 {
        // Before looking, so that what comes from now on wakes anew.
        self.hub.woken.store(false, Ordering::Release);
        let mut ready = lock(&self.hub.ready);
        let out = words(&mut out);
        let count = out.len().min(ready.len());
        for (slot, source) in out.iter_mut().zip(ready.drain(..count)) {
            *slot = source;
        }
        count as u32
    }

    /// Keeps the process alive, or no longer.
    #[napi(catch_unwind)]
    pub fn hold(&mut self, env: Env, hold: bool) {
        if self.held == hold {
            return;
        }
        self.held = hold;
        let raw = self.hub.wake.raw();
        // SAFETY: this is the environment's thread, and the function lives as long as the hub.
        unsafe {
            if hold {
                napi::sys::napi_ref_threadsafe_function(env.raw(), raw);
            } else {
                napi::sys::napi_unref_threadsafe_function(env.raw(), raw);
            }
        }
    }
}

impl NativeHub {
    pub(crate) fn link(&self) -> Arc<Link> {
        let number = self.hub.last_source.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Link { hub: Arc::clone(&self.hub), number, news: Mutex::default() })
    }
}

/// What is told besides what comes through an inbox.
pub(crate) enum News {
    /// An operation has ended.
    Done { token: u64, outcome: std::result::Result<Option<Arc<ConnectionInfo>>, Error> },
    /// A URL is asked for.
    Url { request: u32 },
}

/// A source's line to the event loop.
pub(crate) struct Link {
    hub: Arc<Hub>,
    number: u32,
    news: Mutex<Vec<News>>,
}

impl Link {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn notify(&self) {
        self.hub.notify(self.number);
    }

    pub(crate) fn tell(&self, news: News) {
        lock(&self.news).push(news);
        self.notify();
    }

    pub(crate) fn take(&self) -> Vec<News> {
        std::mem::take(&mut *lock(&self.news))
    }
}
