//! The client.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use realtime_pubsub::{Client, Delivery, Error, Inbox, ListenerId, Serving, Stats, runtime};
use serde_json::value::RawValue;

use crate::calls::{Calls, Cancellation};
use crate::error::{CoreError, ErrorKind as Kind, closed, reported};
use crate::fast;
use crate::host::{ClientHost, Host};
use crate::open::{Open, Questions, lock};
use crate::options::ClientSettings;
use crate::outgoing::{self, Head, Outgoing};
use crate::pack;
use crate::stream::CoreMessages;

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CoreState {
    /// Never asked to connect.
    Idle,
    /// Asked to, without a session since.
    Connecting,
    /// In a session.
    Connected,
    /// Between two sessions.
    Reconnecting,
    /// Disconnected by its user.
    Closed,
    /// Given up.
    Failed,
}

/// A connection as the gateway introduced it.
#[derive(Clone, Debug, uniffi::Record)]
pub struct CoreConnection {
    /// Its id.
    pub id: String,
    /// The app's.
    pub app_id: String,
    /// The client's address as the gateway sees it.
    pub remote_address: String,
}

macro_rules! stats {
    ($($name:ident),* $(,)?) => {
        /// What a client has done and holds: the core's counters.
        #[derive(Clone, Debug, uniffi::Record)]
        pub struct CoreStats {
            $(/// See `Stats` of the Rust client.
            pub $name: u64,)*
            /// Batches that the package took.
            pub batches: u64,
        }

        impl CoreStats {
            fn new(stats: &Stats, batches: u64) -> Self {
                CoreStats { $($name: stats.$name,)* batches }
            }
        }
    };
}

stats! {
    sessions, failed_attempts, messages_sent, bytes_sent, messages_received, bytes_received, acks, replies, unmatched,
    dropped, duplicates, unreadable, lost, outbox_messages, outbox_bytes, inbox_len, receipts, waits,
}

static LIVE: AtomicU64 = AtomicU64::new(0);

pub(crate) fn live() -> u64 {
    LIVE.load(Ordering::SeqCst)
}

/// A client; [`CoreClient`] is the package's hold on it.
pub(crate) struct Inner {
    /// `None` once it was closed.
    client: RwLock<Option<Client>>,
    inbox: Arc<Inbox>,
    pub(crate) host: Arc<Host>,
    pub(crate) open: Open,
    calls: Calls,
    urls: Arc<Questions<Result<String, String>>>,
    answers: Arc<Questions<Result<String, String>>>,
    servings: Mutex<Vec<(u64, Serving)>>,
    /// The package was told of messages and is taking them.
    taking: AtomicBool,
    batches: AtomicU64,
    handle: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A client of Realtime Pub/Sub, for the packages to build theirs on.
#[derive(uniffi::Object)]
pub struct CoreClient {
    inner: Arc<Inner>,
}

impl Drop for CoreClient {
    fn drop(&mut self) {
        self.inner.close();
    }
}

/// Milliseconds as the fast calls have them: negative is the default.
fn timeout(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

impl Inner {
    fn new(url: Option<String>, settings: ClientSettings, host: Arc<dyn ClientHost>) -> Result<Arc<Self>, Error> {
        let host = Arc::new(Host::new(host));
        let urls = Arc::new(Questions::default());
        let builder = Client::builder().options(settings.into_options()).runtime(runtime::handle()?);
        let builder = match url {
            Some(url) => builder.url(url),
            None => {
                let (host, urls) = (Arc::clone(&host), Arc::clone(&urls));
                builder.url_provider(move || {
                    let (host, urls) = (Arc::clone(&host), Arc::clone(&urls));
                    async move {
                        let answer = urls.ask(|request| host.url_wanted(request)).await;
                        answer.unwrap_or_else(|| Err("it was not answered".to_owned()))
                    }
                })
            }
        };
        let (client, inbox) = builder.build_with_inbox()?;
        LIVE.fetch_add(1, Ordering::SeqCst);
        let inner = Arc::new(Inner {
            client: RwLock::new(Some(client)),
            inbox: Arc::clone(&inbox),
            host,
            open: Open::default(),
            calls: Calls::default(),
            urls,
            answers: Arc::default(),
            servings: Mutex::default(),
            taking: AtomicBool::new(false),
            batches: AtomicU64::new(0),
            handle: AtomicU64::new(0),
        });
        inner.handle.store(fast::insert(Arc::clone(&inner))?, Ordering::Release);
        // The inbox holds what holds the inbox, until it is closed: what waits then must still be told.
        let held = RwLock::new(Some(Arc::clone(&inner)));
        inbox.on_ready(move || {
            let inner = held.read().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(inner) = inner else { return };
            inner.ready();
            if inner.inbox.is_closed() {
                *held.write().unwrap_or_else(PoisonError::into_inner) = None;
                inner.open.close();
                inner.host.closed();
            }
        });
        Ok(inner)
    }

    fn client(&self) -> Result<Client, Error> {
        self.with(|client| Ok(client.clone()))
    }

    fn with<T>(&self, call: impl FnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        call(client.as_ref().ok_or_else(closed)?)
    }

    fn close(&self) {
        let client = self.client.write().unwrap_or_else(PoisonError::into_inner).take();
        self.calls.close();
        lock(&self.servings).clear();
        fast::remove(self.handle.load(Ordering::Acquire));
        // The last handle: what is queued is still written, and every wait is settled.
        drop(client);
    }

    /// The inbox has something: on any thread, so settled waits are handed over and messages announced.
    fn ready(&self) {
        let mut settled = Vec::new();
        self.inbox.drain_settled(usize::MAX, &mut settled);
        if !settled.is_empty() {
            let mut packed = Vec::with_capacity(settled.len() * 9);
            settled.iter().for_each(|delivery| self.pack(&mut packed, delivery));
            self.host.settled(packed);
        }
        if !self.inbox.is_empty() && !self.taking.swap(true, Ordering::AcqRel) {
            self.host.messages();
        }
    }

    fn pack(&self, out: &mut Vec<u8>, delivery: &Delivery) {
        if let Delivery::Settled { token, .. } = delivery {
            self.open.end(*token);
        }
        pack::delivery(out, delivery);
    }

    /// The next batch: whether there may be more (u8), then entries. Where there are none, the package has to be told
    /// again.
    fn take(&self, max: u32) -> Vec<u8> {
        let mut batch = Vec::new();
        loop {
            self.inbox.drain(max.max(1) as usize, &mut batch);
            // From here on settled waits are told although there are messages: a listener may wait for one.
            self.inbox.drain_settled(usize::MAX, &mut batch);
            if !batch.is_empty() {
                break;
            }
            self.taking.store(false, Ordering::Release);
            // What came between the two was not announced.
            if self.inbox.is_empty() || self.taking.swap(true, Ordering::AcqRel) {
                return vec![0];
            }
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        let mut packed = Vec::with_capacity(batch.len() * 256);
        packed.push(1);
        batch.iter().for_each(|delivery| self.pack(&mut packed, delivery));
        packed
    }

    pub(crate) fn publish(&self, number: u64, head: Head, text: &str) -> Result<(), Error> {
        let message = self.with(|client| Outgoing::new(client, head, text)?.enqueue())?;
        self.open.keep(number, message)
    }

    pub(crate) fn wait(&self, number: u64, wait: u64, reply: bool, timeout_ms: i64) -> Result<(), Error> {
        let timeout = timeout(timeout_ms);
        self.open.wait(number, wait, |message| match reply {
            true => message.notify_reply(wait, timeout),
            false => message.notify_ack(wait, timeout),
        })
    }
}

#[uniffi::export]
impl CoreClient {
    /// A client for this URL, or, without one, for those that the host provides.
    #[uniffi::constructor]
    pub fn new(
        url: Option<String>,
        settings: ClientSettings,
        host: Arc<dyn ClientHost>,
    ) -> Result<Arc<Self>, CoreError> {
        Ok(Arc::new(CoreClient { inner: Inner::new(url, settings, host)? }))
    }

    /// What stands for this client in fast calls. Good until it is closed.
    pub fn fast_handle(&self) -> u64 {
        self.inner.handle.load(Ordering::Acquire)
    }

    /// The client's number in logs.
    pub fn number(&self) -> Result<u64, CoreError> {
        Ok(self.inner.with(|client| Ok(client.number()))?)
    }

    /// Closes for good: what is queued is written in the background, calls and waits end with `CLOSED`.
    pub fn shut(&self) {
        self.inner.close();
    }

    /// Connects and waits for the session.
    pub async fn connect(
        &self,
        timeout_ms: Option<u64>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<CoreConnection, CoreError> {
        let client = self.inner.client()?;
        let timeout = timeout_ms.map_or(client.options().connect_timeout, Duration::from_millis);
        let info = self.inner.calls.run(cancellation, async move { client.connect_within(timeout).await }).await?;
        Ok(CoreConnection {
            id: info.id.clone(),
            app_id: info.app_id.clone(),
            remote_address: info.remote_address.clone(),
        })
    }

    /// Begins to connect.
    pub fn start(&self) -> Result<(), CoreError> {
        Ok(self.inner.with(Client::start)?)
    }

    /// Disconnects; the client can connect again.
    pub async fn disconnect(
        &self,
        timeout_ms: Option<u64>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<(), CoreError> {
        // A closed client is disconnected already.
        let Ok(client) = self.inner.client() else { return Ok(()) };
        let timeout = timeout_ms.map_or(client.options().disconnect_timeout, Duration::from_millis);
        let disconnect = async move {
            client.disconnect_within(timeout).await;
            Ok(())
        };
        self.inner.calls.run(cancellation, disconnect).await
    }

    /// Returns when all that was published before has reached the gateway.
    pub async fn flush(&self, cancellation: Option<Arc<Cancellation>>) -> Result<(), CoreError> {
        let client = self.inner.client()?;
        self.inner.calls.run(cancellation, async move { client.flush().await }).await
    }

    /// Subscribes to a topic, now and after each reconnect.
    pub async fn subscribe(&self, topic: String, cancellation: Option<Arc<Cancellation>>) -> Result<(), CoreError> {
        let client = self.inner.client()?;
        self.inner.calls.run(cancellation, async move { client.subscribe_remote_topic(&topic).await }).await
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, topic: String, cancellation: Option<Arc<Cancellation>>) -> Result<(), CoreError> {
        let client = self.inner.client()?;
        self.inner.calls.run(cancellation, async move { client.unsubscribe_remote_topic(&topic).await }).await
    }

    /// The topics subscribed to.
    pub fn subscriptions(&self) -> Vec<String> {
        self.inner.with(|client| Ok(client.subscriptions())).unwrap_or_default()
    }

    /// Where it stands.
    pub fn state(&self) -> CoreState {
        use realtime_pubsub::State;
        match self.inner.with(|client| Ok(client.state())) {
            Ok(State::Idle) => CoreState::Idle,
            Ok(State::Connecting) => CoreState::Connecting,
            Ok(State::Connected) => CoreState::Connected,
            Ok(State::Reconnecting) => CoreState::Reconnecting,
            Ok(State::Failed) => CoreState::Failed,
            Ok(State::Closed) | Err(_) => CoreState::Closed,
        }
    }

    /// The present session's connection.
    pub fn connection(&self) -> Option<CoreConnection> {
        let info = self.inner.with(|client| Ok(client.connection())).ok().flatten()?;
        Some(CoreConnection {
            id: info.id.clone(),
            app_id: info.app_id.clone(),
            remote_address: info.remote_address.clone(),
        })
    }

    /// What it has done and holds.
    pub fn stats(&self) -> CoreStats {
        let stats = self.inner.with(|client| Ok(client.stats())).unwrap_or_default();
        CoreStats::new(&stats, self.inner.batches.load(Ordering::Relaxed))
    }

    // ---- sending

    /// Queues a message under a number of the package's, that waits for its answers name. The other numbers are those of
    /// its [`Head`], which cross for less by themselves.
    pub fn publish(
        &self,
        number: u64,
        flags: u32,
        topic: u32,
        message_type: u32,
        id: u32,
        text: String,
    ) -> Result<(), CoreError> {
        Ok(self.inner.publish(number, Head { flags, topic, message_type, id }, &text)?)
    }

    /// Like `publish`, and waits for room in the queue.
    pub async fn publish_when_room(
        &self,
        number: u64,
        head: Head,
        text: String,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<(), CoreError> {
        let message = self.inner.with(|client| Outgoing::new(client, head, &text))?;
        let message = self.inner.calls.run(cancellation, message.when_room()).await?;
        Ok(self.inner.open.keep(number, message)?)
    }

    /// Queues many messages in order, waiting for room; then, if asked to, waits until the gateway has taken them all.
    /// Fails with the first failure: where it can't be queued, what comes after it isn't.
    pub async fn publish_batch(
        &self,
        packed: Vec<u8>,
        wait_for_acks: bool,
        timeout_ms: Option<u64>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<(), CoreError> {
        let (messages, timeout) = self.inner.with(|client| {
            let batch = outgoing::batch(&packed)?.into_iter();
            let messages: Result<Vec<_>, Error> = batch.map(|(head, text)| Outgoing::new(client, head, text)).collect();
            Ok((messages?, timeout_ms.map_or(client.options().wait_timeout, Duration::from_millis)))
        })?;
        drop(packed);
        let publish = async move {
            let mut waits = Vec::new();
            for message in messages {
                let wait = message.when_room().await?;
                if wait_for_acks {
                    waits.push(wait);
                }
            }
            // One after the other: most are there when the first is, and time runs for all of them together.
            let due = Instant::now().checked_add(timeout);
            for wait in waits {
                let left = due.map_or(timeout, |due| due.saturating_duration_since(Instant::now()));
                wait.wait_for_ack().timeout(left).await?;
            }
            Ok(())
        };
        self.inner.calls.run(cancellation, publish).await
    }

    /// Begins a wait for a message's ack or next reply. A negative timeout is the default.
    pub fn wait(&self, number: u64, wait: u64, reply: bool, timeout_ms: i64) -> Result<(), CoreError> {
        Ok(self.inner.wait(number, wait, reply, timeout_ms)?)
    }

    /// Begins a wait for an event: a message that matches the pattern, or a control event.
    pub fn wait_event(&self, name: String, wait: u64, timeout_ms: i64) -> Result<(), CoreError> {
        let client = self.inner.client()?;
        Ok(self.inner.open.wait_for(wait, || client.notify_event(&name, wait, timeout(timeout_ms)))?)
    }

    /// Ends a wait that nobody waits for any more.
    pub fn cancel_wait(&self, wait: u64) {
        self.inner.open.end(wait);
    }

    /// Nobody will ask for this message's answers any more.
    pub fn forget(&self, number: u64) {
        self.inner.open.forget(number);
    }

    // ---- receiving

    /// Registers a listener; its id.
    pub fn listen(&self, name: String, once: bool) -> Result<u64, CoreError> {
        Ok(self.inner.with(|client| client.listen(&name, once))?.get())
    }

    /// Takes a listener off. Whether it was there.
    pub fn off(&self, listener: u64) -> bool {
        self.inner.with(|client| Ok(client.off(ListenerId::from_raw(listener)))).unwrap_or(false)
    }

    /// The next batch of messages and events: a byte, 0 when there are none, in which case `on_messages` will say when
    /// there are some again; then the entries.
    pub fn take(&self, max: u32) -> Vec<u8> {
        self.inner.take(max)
    }

    /// Reports an error as an `error` event, as one that a listener threw.
    pub fn report(&self, kind: Kind, detail: String) {
        let _ = self.inner.with(|client| {
            client.report_error(reported(kind, detail));
            Ok(())
        });
    }

    /// The messages that match a pattern, from a queue of their own.
    pub fn messages(&self, pattern: String) -> Result<Arc<CoreMessages>, CoreError> {
        Ok(Arc::new(CoreMessages::new(self.inner.with(|client| client.messages(&pattern))?)))
    }

    // ---- being asked

    /// The URL that was wanted, or why there is none.
    pub fn provide_url(&self, request: u64, url: Option<String>, failure: Option<String>) {
        let answer = url.ok_or_else(|| failure.unwrap_or_else(|| "it gave no URL".to_owned()));
        self.inner.urls.answer(request, answer);
    }

    /// Asks the host to answer every message of this topic and type. `serving` is a number of the package's.
    pub async fn serve(
        &self,
        serving: u64,
        topic: String,
        message_type: String,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<(), CoreError> {
        let client = self.inner.client()?;
        let (host, answers) = (Arc::clone(&self.inner.host), Arc::clone(&self.inner.answers));
        let serve = async move {
            client
                .serve(&topic, &message_type, move |message| {
                    let (host, answers) = (Arc::clone(&host), Arc::clone(&answers));
                    async move {
                        let mut packed = Vec::new();
                        pack::message(&mut packed, &message);
                        let answer = answers.ask(|request| host.answer_wanted(serving, request, packed)).await;
                        answer.unwrap_or_else(|| Err("there was no answer".to_owned())).and_then(raw)
                    }
                })
                .await
        };
        let served = self.inner.calls.run(cancellation, serve).await?;
        let mut servings = lock(&self.inner.servings);
        // A client that was closed meanwhile serves nothing.
        self.inner.with(|_| Ok(()))?;
        servings.push((serving, served));
        Ok(())
    }

    /// The answer to a message, JSON, or why there is none.
    pub fn answer(&self, request: u64, json: Option<String>, failure: Option<String>) {
        let answer = json.ok_or_else(|| failure.unwrap_or_else(|| "it gave no answer".to_owned()));
        self.inner.answers.answer(request, answer);
    }

    /// Ends a serving.
    pub fn stop_serving(&self, serving: u64) {
        lock(&self.inner.servings).retain(|(number, _)| *number != serving);
    }
}

/// JSON that is passed on as it came.
fn raw(json: String) -> Result<Box<RawValue>, String> {
    RawValue::from_string(json).map_err(|error| format!("the answer is not one JSON value: {error}"))
}
