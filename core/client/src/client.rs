//! The client's handle.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use realtime_pubsub_protocol::RawJson;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::control::{Command, Control};
use crate::deadlines::Deadlines;
use crate::dial::Dialer;
use crate::dispatch::Dispatcher;
use crate::driver::Driver;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{ConnectionInfo, ControlEvent, Event, State};
use crate::event_wait::{EventFuture, EventWait};
use crate::inbox::{Capacity, Inbox};
use crate::message::IncomingMessage;
use crate::options::{Offline, Options, Overflow};
use crate::outbox::{Item, Left, Outbox, not_connected};
use crate::publish::{Publish, Reply};
use crate::receipts::Receipts;
use crate::registry::{ListenerId, Registry, Sink};
use crate::runtime;
use crate::serve::{self, Serving};
use crate::shared::{Kicker, Shared, Standing};
use crate::stats::{Counters, Stats};
use crate::stream::Messages;
use crate::subscriptions::{Request, Subscriptions};
use crate::supervisor::{self, Supervisor};
use crate::sync::Lock;
use crate::url::{BoxError, UrlProvider};
use crate::waits::Ticket;

/// A client of Realtime Pub/Sub. The seed's `Client`; other languages call it `RealtimeClient`.
///
/// Cheap to clone: clones are handles to the same client. Thread-safe. When the last handle is dropped, what is queued
/// is still written and the connection closed, in the background; [`disconnect`](Self::disconnect) waits for that.
///
/// Its futures run on any executor: the client's own tasks do the work, on the tokio runtime in which it was made, or
/// on one thread of this crate's where there was none.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    dispatcher: Arc<Dispatcher>,
    runtime: Handle,
    _last: Arc<LastHandle>,
}

/// The name that other languages use.
pub type RealtimeClient = Client;

/// How many clients this process has made.
static CLIENTS: AtomicU64 = AtomicU64::new(0);

struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        let _ = self.0.command(Command::Shutdown);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = self.connection().map(|info| info.id.clone());
        f.debug_struct("Client").field("state", &self.state()).field("connection", &connection).finish()
    }
}

/// Makes a [`Client`], see [`Client::builder`].
#[derive(Debug, Default)]
pub struct ClientBuilder {
    url: Option<Result<UrlProvider>>,
    options: Options,
    runtime: Option<Handle>,
}

impl ClientBuilder {
    /// The URL to connect to: `ws(s)://host/apps/ID?access_token=TOKEN`. For tokens that expire use
    /// [`url_provider`](Self::url_provider).
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(UrlProvider::fixed(url.into()));
        self
    }

    /// A function that gives the URL, asked at each attempt to connect. The seed's `URLProvider`.
    pub fn url_provider<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.url = Some(Ok(UrlProvider::new(provider)));
        self
    }

    /// All options at once. Later calls of the other methods change them.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Changes options in place.
    ///
    /// ```
    /// # use realtime_pubsub::{Client, Offline};
    /// let client = Client::builder()
    ///     .url("ws://127.0.0.1:1/apps/x")
    ///     .with(|options| options.offline = Offline::queue())
    ///     .build()?;
    /// # Ok::<(), realtime_pubsub::Error>(())
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// What becomes of a publish without a session.
    pub fn offline(self, offline: Offline) -> Self {
        self.with(|options| options.offline = offline)
    }

    /// Write unacknowledged publishes again after a reconnect.
    pub fn retry(self, retry: bool) -> Self {
        self.with(|options| options.retry = retry)
    }

    /// Drop messages that repeat one of the last `remembered`.
    pub fn dedupe(self, remembered: usize) -> Self {
        self.with(|options| options.dedupe = Some(remembered))
    }

    /// What happens when the inbox is full.
    pub fn overflow(self, overflow: Overflow) -> Self {
        self.with(|options| options.overflow = overflow)
    }

    /// The runtime that the client's tasks run on. It must keep running, with time and I/O enabled. Default: the one
    /// this is called in, or else a thread of this crate's.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Makes the client. It connects when it is told to.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] without a URL or with one that can't be used, and for options that make no sense.
    pub fn build(self) -> Result<Client> {
        self.build_with_inbox().map(|(client, _)| client)
    }

    /// Makes a client whose listeners somebody else runs, by draining the inbox: for language bindings. Register them
    /// with [`Client::listen`].
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with_inbox(self) -> Result<(Client, Arc<Inbox>)> {
        let options = self.options;
        options.check()?;
        let url = self.url.unwrap_or_else(|| Err(Error::invalid("a client needs a url or a url_provider")))?;
        let dialer = Dialer::new(url, &options)?;
        let runtime = match self.runtime.or_else(|| Handle::try_current().ok()) {
            Some(handle) => handle,
            None => runtime::handle()?,
        };
        let kicker = Arc::new(Kicker::default());
        let registry = Arc::new(Registry::default());
        let capacity =
            Capacity { messages: options.inbox_messages, bytes: options.inbox_bytes, overflow: options.overflow };
        let inbox = Arc::new(Inbox::new(capacity, Some(Arc::clone(&registry)), Arc::clone(&kicker)));
        let (commands, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            number: CLIENTS.fetch_add(1, Ordering::Relaxed) + 1,
            standing: Lock::new(Standing { state: State::Idle, connection: None }),
            commands,
            outbox: Outbox::new(&options, &kicker),
            kicker,
            driver: Driver::default(),
            receipts: Receipts::default(),
            registry,
            inbox: Arc::clone(&inbox),
            streams: Lock::new(HashMap::new()),
            event_waits: Lock::new(HashMap::new()),
            deadlines: Deadlines::default(),
            subscriptions: Lock::new(Subscriptions::default()),
            gone: AtomicBool::new(false),
            counters: Counters::default(),
            options,
        });
        let supervised = Arc::clone(&shared);
        supervisor::spawn(&runtime, move || {
            let control = Control::new(Arc::clone(&supervised), received);
            Supervisor::new(supervised, dialer, control)
        });
        let client =
            Client { dispatcher: Arc::default(), runtime, _last: Arc::new(LastHandle(Arc::clone(&shared))), shared };
        Ok((client, inbox))
    }
}

struct KickOnDrop<'a>(&'a Kicker);

impl Drop for KickOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kick();
    }
}

impl Client {
    /// Begins a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client for this URL, with default options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a URL that can't be used.
    pub fn new(url: impl Into<String>) -> Result<Self> {
        Self::builder().url(url).build()
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    // ---- connecting

    /// Connects, and returns once the session has started: the welcome came, and the topics are subscribed. Keeps the
    /// client connected from then on. In a running session it returns at once. Dropping the future ends the attempt,
    /// unless another `connect` or a [`start`](Self::start) wants it too.
    ///
    /// # Errors
    /// After `connect_timeout` (30 s) the last cause: [`ErrorKind::HandshakeFailed`],
    /// [`ErrorKind::UrlProviderFailed`], [`ErrorKind::Timeout`]. [`ErrorKind::Closed`] if it is disconnected meanwhile.
    pub async fn connect(&self) -> Result<Arc<ConnectionInfo>> {
        self.connect_within(self.shared.options.connect_timeout).await
    }

    /// Like [`connect`](Self::connect), with a time limit of its own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_within(&self, timeout: Duration) -> Result<Arc<ConnectionInfo>> {
        if let Some(info) = self.shared.connection() {
            return Ok(info);
        }
        let (done, outcome) = oneshot::channel();
        self.command(Command::Connect { timeout, done })?;
        // Dropped after `outcome`: where nobody waits for that any more, the task looks.
        let _kick = KickOnDrop(&self.shared.kicker);
        outcome.await.unwrap_or_else(|_| Err(runtime_gone()))
    }

    /// Begins to connect, and goes on for as long as it takes; see the `session.started` and `error` events.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the client's runtime is gone.
    pub fn start(&self) -> Result<()> {
        self.command(Command::Start)
    }

    /// Writes what is queued, closes the connection, and ends all waits with [`ErrorKind::Closed`]. The client can
    /// connect again. Safe at any time, also from a listener.
    pub async fn disconnect(&self) {
        self.disconnect_within(self.shared.options.disconnect_timeout).await;
    }

    /// Like [`disconnect`](Self::disconnect), with a time limit of its own. What is not written by then is lost, and its
    /// waits end with [`ErrorKind::Closed`].
    pub async fn disconnect_within(&self, timeout: Duration) {
        let (done, told) = oneshot::channel();
        if self.command(Command::Disconnect { timeout, done }).is_ok() {
            let _ = told.await;
        }
    }

    fn command(&self, command: Command) -> Result<()> {
        self.shared.command(command)?;
        self.shared.kicker.kick();
        Ok(())
    }

    /// Where the client stands.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// The present session's connection; `None` without one. The seed's `ConnectionInfo`.
    pub fn connection(&self) -> Option<Arc<ConnectionInfo>> {
        self.shared.connection()
    }

    // ---- sending

    /// A message for a topic. Await it to queue it:
    ///
    /// ```no_run
    /// # async fn example(client: realtime_pubsub::Client) -> Result<(), realtime_pubsub::Error> {
    /// let waiter = client.publish("chat", "Hello, World!").message_type("text-message").await?;
    /// waiter.wait_for_ack().await?;
    /// let reply = waiter.wait_for_reply().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish(&self, topic: &str, payload: impl serde::Serialize) -> Publish {
        Publish::new(&self.shared, Some(topic), payload)
    }

    /// Like [`publish`](Self::publish), with a payload that is JSON text already.
    pub fn publish_raw(&self, topic: &str, payload: RawJson<'_>) -> Publish {
        Publish::raw(&self.shared, Some(topic), payload)
    }

    /// A message for the application: whoever may subscribe to `secure/inbound` gets it.
    pub fn send(&self, payload: impl serde::Serialize) -> Publish {
        Publish::new(&self.shared, None, payload)
    }

    /// Like [`send`](Self::send), with a payload that is JSON text already.
    pub fn send_raw(&self, payload: RawJson<'_>) -> Publish {
        Publish::raw(&self.shared, None, payload)
    }

    /// A reply to the message of this id, to the connection it came from: [`IncomingMessage::reply_raw`] for bindings,
    /// which do not keep every message. What is empty is missing: such messages can't be replied to.
    pub fn reply_raw(&self, connection_id: &str, id: &str, data: RawJson<'_>) -> Reply {
        Reply::addressed(&self.shared, connection_id, id, data)
    }

    /// Returns when all that was published before has reached the gateway.
    ///
    /// # Errors
    /// [`ErrorKind::NotConnected`] without a session, [`ErrorKind::ConnectionLost`] if it ends before.
    pub async fn flush(&self) -> Result<()> {
        self.require_session()?;
        let (done, outcome) = oneshot::channel();
        self.shared.outbox.push_control(Item::Flush(done));
        outcome.await.unwrap_or_else(|_| Err(runtime_gone()))
    }

    fn require_session(&self) -> Result<()> {
        match self.state() {
            State::Connected => Ok(()),
            State::Closed => Err(Error::new(ErrorKind::Closed, "the client was disconnected; connect again first")),
            _ => Err(not_connected("connect first")),
        }
    }

    /// With [`Kick::Manual`](crate::Kick::Manual): write what is queued.
    ///
    /// A message that came alone is written on this thread where that is possible.
    pub fn kick(&self) {
        match self.shared.outbox.end_burst() {
            Left::Nothing => {}
            Left::One if !self.shared.options.retry && self.shared.driver.write_here(&self.runtime) => {}
            Left::One | Left::Many => self.shared.kicker.kick(),
        }
    }

    // ---- remote topics

    /// Subscribes to a topic at the gateway, now and after each reconnect, and returns when the gateway has processed
    /// that. Subscribing again is harmless. While the client is connecting, it waits for the session.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] for a topic that the token may not read; the client leaves it out from then on.
    /// [`ErrorKind::NotConnected`] where the client was not told to connect, unless it queues while offline: then the
    /// topic is remembered for the next session. [`ErrorKind::Closed`] if it is disconnected meanwhile.
    pub async fn subscribe_remote_topic(&self, topic: &str) -> Result<()> {
        if topic.is_empty() {
            return Err(Error::invalid("the topic is empty"));
        }
        let asked = matches!(self.state(), State::Connected | State::Connecting | State::Reconnecting);
        let queues = self.shared.options.offline != Offline::Fail;
        if !asked && !queues {
            self.require_session()?;
        }
        let request = self.shared.subscriptions.lock().request(topic);
        let Request::Wait { outcome, write } = request else { return Ok(()) };
        if let Some(topic) = write
            && asked
        {
            self.shared.outbox.push_control(Item::Subscribe(topic));
        }
        if !asked {
            return Ok(());
        }
        outcome.await.unwrap_or_else(|_| Err(runtime_gone()))
    }

    /// Ends a subscription, and returns when the gateway has processed that. Harmless for topics that are not
    /// subscribed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty topic.
    pub async fn unsubscribe_remote_topic(&self, topic: &str) -> Result<()> {
        if topic.is_empty() {
            return Err(Error::invalid("the topic is empty"));
        }
        let forgotten = self.shared.subscriptions.lock().forget(topic);
        let Some(told) = forgotten else { return Ok(()) };
        told.tell();
        let state = self.state();
        if !matches!(state, State::Connected | State::Connecting | State::Reconnecting) {
            return Ok(());
        }
        let (done, outcome) = oneshot::channel();
        // Also while a session is being made: its subscriptions may be written already.
        self.shared.outbox.push_control(Item::Unsubscribe(topic.into(), done));
        if state != State::Connected {
            return Ok(());
        }
        match outcome.await {
            Ok(Err(error)) if error.kind() == ErrorKind::Internal => Err(error),
            // A session that has ended has no subscriptions, and the next will not have this one.
            _ => Ok(()),
        }
    }

    /// The topics that the client subscribes to in each session, in the order they were asked for.
    pub fn subscriptions(&self) -> Vec<String> {
        self.shared.subscriptions.lock().wanted()
    }

    // ---- listening

    /// Calls `listener` for every message whose name, `<topic>.<message_type>`, matches the pattern: `*` is one
    /// segment between dots, `**` any number. Listeners of a client run one at a time on a thread of its own, in the
    /// order of arrival and of registration; they may block, publish, and wait. A panic is reported as an `error` event.
    ///
    /// The listener lives until it is taken [off](Self::off) or the client is gone: capture the message's own
    /// [`reply`](IncomingMessage::reply), not the client, where that will do.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a bad pattern, and for the name of a control event, which
    /// [`on_event`](Self::on_event) takes.
    pub fn on(&self, pattern: &str, mut listener: impl FnMut(IncomingMessage) + Send + 'static) -> Result<ListenerId> {
        self.check_pattern(pattern)?;
        self.add(pattern, false, move |event| {
            if let Event::Message(message) = event {
                listener(message);
            }
        })
    }

    /// Like [`on`](Self::on), for the first message only.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn once(&self, pattern: &str, listener: impl FnOnce(IncomingMessage) + Send + 'static) -> Result<ListenerId> {
        self.check_pattern(pattern)?;
        let mut listener = Some(listener);
        self.add(pattern, true, move |event| {
            if let (Event::Message(message), Some(listener)) = (event, listener.take()) {
                listener(message);
            }
        })
    }

    fn check_pattern(&self, pattern: &str) -> Result<()> {
        match ControlEvent::from_name(pattern) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!("{pattern:?} is a control event, not a message: use on_event"))),
        }
    }

    /// Calls `listener` for every control event of this kind, in its place among the messages.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if no thread can be started.
    pub fn on_event(&self, event: ControlEvent, listener: impl FnMut(Event) + Send + 'static) -> Result<ListenerId> {
        self.add(event.name(), false, listener)
    }

    /// Like [`on_event`](Self::on_event), for the first event only.
    ///
    /// # Errors
    /// As [`on_event`](Self::on_event).
    pub fn once_event(&self, event: ControlEvent, listener: impl FnMut(Event) + Send + 'static) -> Result<ListenerId> {
        self.add(event.name(), true, listener)
    }

    fn add(&self, name: &str, once: bool, listener: impl FnMut(Event) + Send + 'static) -> Result<ListenerId> {
        self.dispatcher.add(&self.shared, name, once, Box::new(listener))
    }

    /// Takes a listener off. Says whether it was there. A call that is running goes on.
    pub fn off(&self, id: ListenerId) -> bool {
        let known = self.shared.registry.remove(id);
        self.dispatcher.remove(id, false);
        known
    }

    /// Like [`off`](Self::off), and waits for a call of it that is running, unless this is called from within it.
    pub fn off_and_wait(&self, id: ListenerId) -> bool {
        let known = self.shared.registry.remove(id);
        self.dispatcher.remove(id, true);
        known
    }

    /// Registers a listener that whoever drains the [`Inbox`] runs: for clients made by
    /// [`build_with_inbox`](ClientBuilder::build_with_inbox). `name` is a pattern or the name of a control event.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a bad pattern.
    pub fn listen(&self, name: &str, once: bool) -> Result<ListenerId> {
        self.shared.registry.add(name, |_| Sink::Inbox { once })
    }

    /// Reports an error as an `error` event, as a panic in a listener is: for those who run listeners themselves.
    pub fn report_error(&self, error: Error) {
        self.shared.emit_error(error);
    }

    /// All messages that match the pattern, as a stream with a queue of its own, bounded like the inbox.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a bad pattern or the name of a control event.
    pub fn messages(&self, pattern: &str) -> Result<Messages> {
        self.check_pattern(pattern)?;
        Messages::new(&self.shared, pattern)
    }

    /// Waits for an event: a message that matches the pattern, or a control event. `session.started` in a running
    /// session is there at once. The listening begins when this is called, not when the future is polled.
    pub fn wait_for(&self, name: &str) -> EventFuture {
        EventFuture::new(self.event_wait(name), self.shared.options.wait_timeout)
    }

    /// Registers that the inbox is told of an event, with this token: for bindings. Dropping the ticket cancels.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a bad pattern.
    pub fn notify_event(&self, name: &str, token: u64, timeout: Option<Duration>) -> Result<Ticket> {
        Ok(self.event_wait(name)?.notify(token, timeout))
    }

    fn event_wait(&self, name: &str) -> Result<Arc<EventWait>> {
        if self.shared.gone.load(Ordering::Acquire) {
            return Err(runtime_gone());
        }
        let mut made = None;
        self.shared.registry.add(name, |id| {
            let wait = EventWait::new(id, &self.shared);
            self.shared.event_waits.lock().insert(id, Arc::clone(&wait));
            made = Some(Arc::clone(&wait));
            Sink::Wait(wait)
        })?;
        let wait = made.ok_or_else(|| Error::new(ErrorKind::Internal, "the wait was not registered"))?;
        if name == ControlEvent::SessionStarted.name()
            && let Some(info) = self.connection()
        {
            wait.settle(&Event::SessionStarted(info));
        }
        Ok(wait)
    }

    /// Answers every message of this topic and type with what the function returns, as a reply with status `ok`, or,
    /// where it fails, with the error's text and status `error`. Subscribes to the topic. Up to 64 answers are worked on
    /// at once. Ends when the returned value is dropped.
    ///
    /// # Errors
    /// As [`subscribe_remote_topic`](Self::subscribe_remote_topic).
    pub async fn serve<F, Fut, T, E>(&self, topic: &str, message_type: &str, answer: F) -> Result<Serving>
    where
        F: Fn(IncomingMessage) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: serde::Serialize + Send,
        E: fmt::Display + Send,
    {
        serve::serve(self, topic, message_type, answer).await
    }

    // ---- looking

    /// What the client has done and holds.
    pub fn stats(&self) -> Stats {
        let (outbox_messages, outbox_bytes) = self.shared.outbox.load();
        Stats {
            outbox_messages: outbox_messages as u64,
            outbox_bytes: outbox_bytes as u64,
            inbox_len: self.shared.inbox.len() as u64,
            receipts: self.shared.receipts.len() as u64,
            waits: self.shared.deadlines.len() as u64,
            ..self.shared.counters.read()
        }
    }

    /// A number that no other client of this process has. What the client logs, through `tracing`, is within a span
    /// `client` with this number as its field `number`, so that a subscriber can tell clients apart.
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }
}

fn runtime_gone() -> Error {
    Error::new(ErrorKind::Closed, "the client's runtime was shut down")
}
