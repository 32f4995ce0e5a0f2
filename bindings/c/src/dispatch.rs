//! Runs a client's callbacks, one at a time, in the order of arrival: on a thread of the client's own, which starts with
//! its first callback, or in rps_poll().
//!
//! No lock is held while the program's code runs, `destroy` included.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use realtime_pubsub::{Client, Delivery, Error, ErrorKind, Event, Inbox, ListenerId, ResponseMessage, Settled, Ticket};
use realtime_pubsub_bindings::logs::Sink;
use tokio::task::AbortHandle;

use crate::HANDLES;
use crate::boundary::{Result, caught, invalid};
use crate::callback::{Completion, ListenerCallback};
use crate::event::{rps_event_view, rps_outcome};
use crate::held::{self, Held};
use crate::listen::{Listener, Pending};
use crate::waiting::Signal;

/// How much is taken from the inbox at a time.
const BATCH: usize = 256;

/// What ends with an outcome, and got.
pub(crate) enum Answer {
    Done,
    Response(ResponseMessage),
    Event(Event),
}

struct Slot {
    callback: Arc<ListenerCallback>,
    once: bool,
    handle: u64,
}

/// What makes a wait end early.
pub(crate) enum Cancel {
    /// Its drop does. Never read.
    Ticket(#[allow(dead_code)] Ticket),
    Task(AbortHandle),
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if let Cancel::Task(task) = self {
            task.abort();
        }
    }
}

struct Wait {
    completion: Completion,
    cancel: Option<Cancel>,
    handle: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Running {
    Listener(ListenerId),
    Wait(u64),
}

#[derive(Default)]
struct Table {
    listeners: HashMap<ListenerId, Slot>,
    waits: HashMap<u64, Wait>,
    running: Option<(Running, ThreadId)>,
    /// How many threads wait for a call to end: waking none is a system call too.
    waiting: usize,
    started: bool,
    shut: bool,
}

/// A client and those who are called.
pub(crate) struct Dispatch {
    pub(crate) client: Client,
    inbox: Arc<Inbox>,
    table: Mutex<Table>,
    idle: Condvar,
    signal: Arc<Signal>,
    /// Whether the program polls.
    polled: bool,
    polling: AtomicBool,
    /// What ended that the inbox knows nothing of.
    ended: Mutex<Vec<(u64, Result<Answer>)>>,
    tokens: AtomicU64,
    /// Where the client's log goes.
    pub(crate) logger: Mutex<Option<Arc<Sink>>>,
}

impl Dispatch {
    pub(crate) fn new(client: Client, inbox: Arc<Inbox>, polled: bool) -> Result<Arc<Self>> {
        let failed = |error| Error::new(ErrorKind::Internal, format!("no descriptor to poll: {error}"));
        let signal = Arc::new(Signal::new(polled).map_err(failed)?);
        let waker = Arc::clone(&signal);
        inbox.on_ready(move || waker.wake());
        Ok(Arc::new(Dispatch {
            client,
            inbox,
            table: Mutex::default(),
            idle: Condvar::new(),
            signal,
            polled,
            polling: AtomicBool::new(false),
            ended: Mutex::default(),
            tokens: AtomicU64::new(1),
            logger: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table, if callbacks can still be registered, and a thread that runs them.
    fn open(self: &Arc<Self>) -> Result<MutexGuard<'_, Table>> {
        let mut table = self.lock();
        if table.shut {
            return Err(freed());
        }
        if !table.started && !self.polled {
            let (this, signal) = (Arc::downgrade(self), Arc::clone(&self.signal));
            std::thread::Builder::new()
                .name("realtime-listeners".into())
                .spawn(move || run(&this, &signal))
                .map_err(|error| Error::new(ErrorKind::Internal, format!("no thread for callbacks: {error}")))?;
            table.started = true;
        }
        Ok(table)
    }

    // ---- listeners

    /// Registers a listener for a pattern or a control event, and returns its handle.
    pub(crate) fn on(self: &Arc<Self>, name: &str, once: bool, callback: ListenerCallback) -> Result<u64> {
        // The table is held meanwhile, so that no event of the listener is dispatched before it is there. On failure
        // the callback is dropped after the lock: it was declared before it.
        let callback = Arc::new(callback);
        let mut table = self.open()?;
        let id = self.client.listen(name, once)?;
        let handle = match HANDLES.insert(Listener { dispatch: Arc::downgrade(self), id }) {
            Ok(handle) => handle,
            Err(error) => {
                self.client.off(id);
                return Err(error);
            }
        };
        table.listeners.insert(id, Slot { callback: Arc::clone(&callback), once, handle });
        Ok(handle)
    }

    /// Takes a listener off. Once this returns it does not run any more and has been destroyed, except where this is
    /// called from within it: then it is destroyed when it returns.
    pub(crate) fn off(&self, id: ListenerId) {
        self.client.off(id);
        let mut table = self.lock();
        let slot = table.listeners.remove(&id);
        drop(self.wait_while_running(table, |running| running == Running::Listener(id)));
        drop(slot);
    }

    /// Waits for a call on another thread.
    fn wait_while_running<'a>(
        &self,
        mut table: MutexGuard<'a, Table>,
        concerns: impl Fn(Running) -> bool,
    ) -> MutexGuard<'a, Table> {
        let this = std::thread::current().id();
        // The thread that does input and output must not wait: the call may be waiting for it.
        if table.running.is_none() || realtime_pubsub::block_on(std::future::ready(())).is_err() {
            return table;
        }
        while table.running.is_some_and(|(running, thread)| thread != this && concerns(running)) {
            table.waiting += 1;
            table = self.idle.wait(table).unwrap_or_else(PoisonError::into_inner);
            table.waiting -= 1;
        }
        table
    }

    // ---- waits

    /// Registers what is called when a wait ends. `begin` begins it under the token it is given. Returns a handle to
    /// cancel it with, where one is wanted.
    pub(crate) fn wait(
        self: &Arc<Self>,
        completion: Completion,
        cancellable: bool,
        begin: impl FnOnce(u64) -> Result<Cancel>,
    ) -> Result<u64> {
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let handle = match cancellable {
            true => HANDLES.insert(Pending { dispatch: Arc::downgrade(self), token })?,
            false => 0,
        };
        let opened = self.open().map(|mut table| {
            // It may end before `begin` returns.
            table.waits.insert(token, Wait { completion, cancel: None, handle });
        });
        match opened.and_then(|()| begin(token)) {
            Ok(cancel) => {
                let mut cancel = Some(cancel);
                if let Some(wait) = self.lock().waits.get_mut(&token) {
                    wait.cancel = cancel.take();
                }
                Ok(handle)
            }
            Err(error) => {
                let wait = self.lock().waits.remove(&token);
                drop(wait);
                let _ = HANDLES.remove::<Pending>(handle);
                Err(error)
            }
        }
    }

    /// Like [`wait`](Self::wait), for a future, which runs where the client does its input and output.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        completion: Completion,
        cancellable: bool,
        future: impl Future<Output = Result<Answer>> + Send + 'static,
    ) -> Result<u64> {
        let runtime = realtime_pubsub::runtime::handle()?;
        let this = Arc::downgrade(self);
        self.wait(completion, cancellable, |token| {
            let task = runtime.spawn(async move {
                let answer = future.await;
                if let Some(this) = this.upgrade() {
                    this.ended.lock().unwrap_or_else(PoisonError::into_inner).push((token, answer));
                    this.signal.wake();
                }
            });
            Ok(Cancel::Task(task.abort_handle()))
        })
    }

    /// Cancels a wait. Once this returns its callback does not run any more and has been destroyed, except where this
    /// is called from within it.
    pub(crate) fn cancel(&self, token: u64) {
        let mut table = self.lock();
        let wait = table.waits.remove(&token);
        drop(self.wait_while_running(table, |running| running == Running::Wait(token)));
        drop(wait);
    }

    // ---- running

    /// Takes off and cancels all, and waits for a call on another thread.
    pub(crate) fn shut(&self) {
        let mut table = self.lock();
        table.shut = true;
        let listeners = std::mem::take(&mut table.listeners);
        let waits = std::mem::take(&mut table.waits);
        drop(self.wait_while_running(table, |_| true));
        self.signal.wake();
        for (id, slot) in listeners {
            self.client.off(id);
            let _ = HANDLES.remove::<Listener>(slot.handle);
        }
        for (_, wait) in waits {
            let _ = HANDLES.remove::<Pending>(wait.handle);
        }
    }

    fn is_shut(&self) -> bool {
        self.lock().shut
    }

    /// Runs what there is, `max` at most. Says how many it were, and whether there is more.
    fn run_batch(&self, max: usize, batch: &mut Vec<Delivery>) -> (usize, bool) {
        let left = self.inbox.drain(max, batch);
        let mut handled = batch.len();
        for delivery in batch.drain(..) {
            match delivery {
                Delivery::Event { listeners, event } => self.deliver(&listeners, event),
                Delivery::Settled { token, outcome } => self.end(
                    token,
                    outcome.map(|settled| match settled {
                        Settled::Reply(response) => Answer::Response(response),
                        Settled::Event(event) => Answer::Event(event),
                        _ => Answer::Done,
                    }),
                ),
                _ => {}
            }
        }
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        handled += ended.len();
        for (token, outcome) in ended {
            self.end(token, outcome);
        }
        (handled, left > 0)
    }

    fn deliver(&self, listeners: &[ListenerId], event: Event) {
        // The view points to what the event's own `Arc`s hold, so that the event can move where it is lent.
        let mut view = rps_event_view::of(0, &event, 0);
        let is_message = matches!(event, Event::Message(_));
        held::lend(Held::event(event), |handle| {
            if is_message {
                view.message = handle;
            }
            for id in listeners {
                self.call(*id, &mut view);
            }
        });
    }

    fn call(&self, id: ListenerId, view: &mut rps_event_view) {
        let mut table = self.lock();
        // Taken off meanwhile.
        let Some(slot) = table.listeners.get(&id) else { return };
        let (callback, handle) = (Arc::clone(&slot.callback), slot.handle);
        let slot = if slot.once { table.listeners.remove(&id) } else { None };
        table.running = Some((Running::Listener(id), std::thread::current().id()));
        drop(table);
        if slot.is_some() {
            let _ = HANDLES.remove::<Listener>(handle);
        }
        let running = Idle(self);
        view.listener = handle;
        callback.call(view);
        // If it was taken off, this destroys it, before `off` returns where it waits.
        drop(slot);
        drop(callback);
        drop(running);
    }

    fn end(&self, token: u64, outcome: Result<Answer>) {
        let mut table = self.lock();
        let Some(wait) = table.waits.remove(&token) else { return };
        table.running = Some((Running::Wait(token), std::thread::current().id()));
        drop(table);
        let Wait { completion, cancel, handle } = wait;
        drop(cancel);
        if handle != 0 {
            let _ = HANDLES.remove::<Pending>(handle);
        }
        let running = Idle(self);
        match outcome {
            Ok(Answer::Done) => completion.call(&rps_outcome::done()),
            Err(error) => completion.call(&rps_outcome::failed(&error)),
            Ok(Answer::Response(response)) => held::lend(Held::response(response), |response| {
                completion.call(&rps_outcome { response, ..rps_outcome::done() });
            }),
            Ok(Answer::Event(event)) => {
                let view = rps_event_view::of(0, &event, 0);
                let is_message = matches!(event, Event::Message(_));
                held::lend(Held::event(event), |handle| {
                    let view = rps_event_view { message: if is_message { handle } else { 0 }, ..view };
                    completion.call(&rps_outcome { event: &view, ..rps_outcome::done() });
                });
            }
        }
        drop(completion);
        drop(running);
    }

    // ---- polling

    /// The descriptor of a client that is polled.
    pub(crate) fn fd(&self) -> Result<i32> {
        self.signal.fd().ok_or_else(|| {
            invalid("this client runs its callbacks on a thread; make it with options.dispatch = RPS_DISPATCH_POLL")
        })
    }

    /// Runs callbacks on this thread. Says how many there were.
    pub(crate) fn poll(&self, timeout: Option<Duration>, max: usize) -> Result<usize> {
        self.fd()?;
        if self.polling.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorKind::WouldDeadlock,
                "this client is being polled already, by this callback's rps_poll() or by another thread",
            ));
        }
        let polling = Polling(&self.polling);
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut batch = Vec::new();
        loop {
            self.signal.clear();
            let (handled, more) = self.run_batch(max.max(1), &mut batch);
            if more {
                self.signal.wake();
            }
            if handled > 0 {
                return Ok(handled);
            }
            if self.is_shut() {
                return Err(freed());
            }
            if !self.signal.wait(until) {
                drop(polling);
                return Ok(0);
            }
        }
    }
}

struct Polling<'a>(&'a AtomicBool);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The end of a call.
struct Idle<'a>(&'a Dispatch);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        let mut table = self.0.lock();
        table.running = None;
        let waited_for = table.waiting > 0;
        drop(table);
        if waited_for {
            self.0.idle.notify_all();
        }
    }
}

fn freed() -> Error {
    Error::new(ErrorKind::Closed, "the client was freed")
}

/// The thread that runs callbacks, until the client is freed.
fn run(dispatch: &Weak<Dispatch>, signal: &Signal) {
    let mut batch = Vec::new();
    loop {
        signal.wait(None);
        signal.clear();
        loop {
            let Some(dispatch) = dispatch.upgrade() else { return };
            if dispatch.is_shut() {
                return;
            }
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch.run_batch(BATCH, &mut batch)));
            match ran {
                Ok((0, false)) => break,
                Ok(_) => {}
                Err(panic) => dispatch.client.report_error(caught(panic, "running callbacks panicked")),
            }
        }
    }
}
