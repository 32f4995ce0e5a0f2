//! The thread that runs a client's listeners: one at a time, in the order of arrival, off the path of input and output.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;

use hashbrown::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::inbox::Delivery;
use crate::registry::{ListenerId, Sink};
use crate::shared::Shared;

/// How much is taken from the inbox at a time.
const BATCH: usize = 256;

type Call = Box<dyn FnMut(Event) + Send>;

struct Slot {
    once: bool,
    /// Taken out while it runs.
    call: Option<Call>,
}

#[derive(Default)]
struct Table {
    slots: HashMap<ListenerId, Slot>,
    running: Option<(ListenerId, ThreadId)>,
    /// How many wait for the running call to end: telling nobody would still be a system call for each message.
    waiting: usize,
    started: bool,
}

#[derive(Default)]
pub(crate) struct Dispatcher {
    table: Mutex<Table>,
    /// Counts the listeners taken off.
    changes: AtomicU64,
    idle: Condvar,
}

impl Dispatcher {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a listener, and starts the thread with the first.
    pub(crate) fn add(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        name: &str,
        once: bool,
        call: Call,
    ) -> Result<ListenerId> {
        let mut table = self.lock();
        if !table.started {
            let dispatcher = Arc::downgrade(self);
            let running = Arc::clone(shared);
            std::thread::Builder::new()
                .name("realtime-listeners".into())
                .spawn(move || run(&dispatcher, &running))
                .map_err(|error| Error::new(ErrorKind::Internal, format!("no thread for listeners: {error}")))?;
            table.started = true;
        }
        // The table is held meanwhile, so that the thread can't see the listener's first event before the listener.
        let id = shared.registry.add(name, |_| Sink::Inbox { once })?;
        table.slots.insert(id, Slot { once, call: Some(call) });
        Ok(id)
    }

    /// Takes a listener off. Once this returns it does not run any more, except where it is called from the listener
    /// itself. Its closure is dropped before this returns, or when the running call ends.
    pub(crate) fn remove(&self, id: ListenerId, wait: bool) {
        let mut table = self.lock();
        let slot = table.slots.remove(&id);
        self.changes.fetch_add(1, Ordering::Release);
        let this = std::thread::current().id();
        if wait {
            while table.running.is_some_and(|(running, thread)| running == id && thread != this) {
                table.waiting += 1;
                table = self.idle.wait(table).unwrap_or_else(PoisonError::into_inner);
                table.waiting -= 1;
            }
        }
        drop(table);
        // Dropped without the lock: what it holds may use this client when it goes.
        drop(slot);
    }

    /// Takes a listener's closure out to call it, and marks the listener as running.
    fn hold(&self, id: ListenerId) -> Option<Held> {
        let mut table = self.lock();
        let changes = self.changes.load(Ordering::Acquire);
        let slot = table.slots.get_mut(&id)?;
        let call = slot.call.take()?;
        let once = slot.once;
        if once {
            table.slots.remove(&id);
        }
        table.running = Some((id, std::thread::current().id()));
        Some(Held { id, call, changes, once })
    }

    /// Puts a closure back, unless its listener was taken off meanwhile.
    fn release(&self, held: Held) {
        let mut left = Some(held.call);
        let mut table = self.lock();
        if let Some(slot) = table.slots.get_mut(&held.id) {
            slot.call = left.take();
        }
        table.running = None;
        let awaited = table.waiting > 0;
        drop(table);
        drop(left);
        if awaited {
            self.idle.notify_all();
        }
    }

    /// Whether a held closure may be called once more without a look at the table.
    fn is_current(&self, held: &Held, id: ListenerId) -> bool {
        held.id == id && !held.once && held.changes == self.changes.load(Ordering::Acquire)
    }
}

/// A listener's closure while it is called. It is held on to for as long as the same listener is called again and no
/// listener is taken off: then a call needs no lock.
struct Held {
    id: ListenerId,
    call: Call,
    changes: u64,
    once: bool,
}

fn call(shared: &Shared, held: &mut Held, event: Event) {
    let is_error = matches!(event, Event::Error(_));
    if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| (held.call)(event))) {
        let error = Error::new(ErrorKind::Internal, format!("a listener panicked: {}", panic_text(&*panic)));
        if is_error {
            // Reporting it to the listener that made it would go on for ever.
            tracing::error!("{error}");
        } else {
            shared.emit_error(error);
        }
    }
}

fn run(dispatcher: &Weak<Dispatcher>, shared: &Arc<Shared>) {
    let inbox = Arc::clone(&shared.inbox);
    let mut batch = Vec::new();
    loop {
        let any = inbox.wait(None);
        if !any && inbox.is_closed() {
            return;
        }
        inbox.drain(BATCH, &mut batch);
        let Some(dispatcher) = dispatcher.upgrade() else { return };
        let mut held: Option<Held> = None;
        for delivery in batch.drain(..) {
            let Delivery::Event { listeners, event } = delivery else { continue };
            let mut event = Some(event);
            for (index, id) in listeners.iter().enumerate() {
                if !held.as_ref().is_some_and(|held| dispatcher.is_current(held, *id)) {
                    if let Some(held) = held.take() {
                        dispatcher.release(held);
                    }
                    held = dispatcher.hold(*id);
                }
                let last = index + 1 == listeners.len();
                let told = if last { event.take() } else { event.clone() };
                if let (Some(held), Some(told)) = (&mut held, told) {
                    call(shared, held, told);
                }
            }
        }
        if let Some(held) = held {
            dispatcher.release(held);
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use realtime_pubsub_gateway::{Gateway, GatewayOptions};

    use super::*;
    use crate::Client;

    #[tokio::test]
    async fn a_client_that_is_dropped_with_messages_that_nobody_took_is_freed() {
        const MESSAGES: usize = 4 * BATCH;
        let gateway = Gateway::start(GatewayOptions::default()).await.unwrap();
        let client = Client::new(gateway.url_with_token("alice").unwrap()).unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        client.on("t.*", move |_| _ = wait.recv()).unwrap();
        client.connect().await.unwrap();
        client.subscribe_remote_topic("t").await.unwrap();
        for number in 0..=MESSAGES {
            client.publish("t", number).await.unwrap().wait_for_ack().await.unwrap();
        }
        client.flush().await.unwrap();
        assert!(client.stats().inbox_len as usize > 2 * BATCH);
        let freed = Arc::downgrade(&client.shared);
        drop(client);
        drop(go_on);
        let all_gone = async {
            while freed.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all_gone).await.unwrap();
    }
}
