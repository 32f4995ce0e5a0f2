//! A client: made, connected, disconnected, looked at, freed.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use realtime_pubsub::{Client, Error, ErrorKind, Event, block_on};
use realtime_pubsub_bindings::handles::Named;

use crate::HANDLES;
use crate::boundary::{Result, boundary, invalid};
use crate::callback::{Callback, Completion, rps_completion, rps_url_provider};
use crate::dispatch::{Answer, Dispatch};
use crate::errors::{rps_error, state_number};
use crate::event::own;
use crate::handles::{rps_client, rps_event, rps_pending};
use crate::input::{Out, Sized_, text, timeout, write_struct};
use crate::options::{self, rps_options};
use crate::provider::Provider;

impl Named for Dispatch {
    const NAME: &'static str = "client";
}

pub(crate) fn client(handle: rps_client) -> Result<Arc<Dispatch>> {
    HANDLES.get(handle)
}

/// Makes a client for a URL: ws(s)://host/apps/ID?access_token=TOKEN. It connects when it is told to. `options` may be
/// NULL. For tokens that expire use rps_client_new_with_provider().
///
///     rps_client client;
///     if (rps_client_new(RPS_STR(url), NULL, &client, &error) != RPS_OK) { fprintf(stderr, "%s\n", error.message); }
///
/// RPS_INVALID_ARGUMENT for a URL that can't be used and for options that make no sense.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_new(
    url: *const c_char,
    url_len: usize,
    options: *const rps_options,
    client: *mut rps_client,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (url, made, out) =
            unsafe { (text(url, url_len, "url")?, options::read(options)?, Out::new(client, "client")?) };
        make(Client::builder().url(url), made, out)
    })
}

/// Makes a client that asks for its URL at each attempt to connect. `provider` is taken over, also on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_new_with_provider(
    provider: rps_url_provider,
    options: *const rps_options,
    client: *mut rps_client,
    error: *mut rps_error,
) -> i32 {
    let provider = Callback::from(provider);
    boundary(error, || {
        let provider = Provider::new(provider.check("provider")?);
        // SAFETY: what the header asks of these pointers.
        let (made, out) = unsafe { (options::read(options)?, Out::new(client, "client")?) };
        make(Client::builder().url_provider(move || Arc::clone(&provider).ask()), made, out)
    })
}

fn make(builder: realtime_pubsub::ClientBuilder, made: options::Made, out: Out<rps_client>) -> Result<()> {
    crate::logger::prepare();
    let runtime = realtime_pubsub::runtime::handle()?;
    let (client, inbox) = builder.options(made.options).runtime(runtime).build_with_inbox()?;
    out.write(HANDLES.insert_arc(Dispatch::new(client, inbox, made.polled)?)?);
    Ok(())
}

/// Frees a client, from any thread, also from its own callbacks. Its listeners are taken off and its waits cancelled:
/// once this returns none of its callbacks runs and all were destroyed, except the one that this is called from, which is
/// destroyed when it returns. Calls that block on other threads end with RPS_CLOSED. What is queued is still written and
/// the connection closed in the background; rps_disconnect() waits for that. The handles of its messages, replies, waits
/// and streams stay valid until they are freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_free(client: rps_client, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let dispatch = HANDLES.remove::<Dispatch>(client)?;
        dispatch.shut();
        crate::logger::end(&dispatch);
        // Ends what other threads wait for; they hold the client until they return.
        let client = dispatch.client.clone();
        if let Ok(runtime) = realtime_pubsub::runtime::handle() {
            runtime.spawn(async move { client.disconnect().await });
        }
        Ok(())
    })
}

/// Connects, and returns once the session has started: the topics are subscribed then. Keeps the client connected from
/// then on. In a running session it returns at once. RPS_DEFAULT_TIMEOUT is `connect_timeout_ms` of the options.
///
/// The last cause when the time is up: RPS_HANDSHAKE_FAILED, RPS_URL_PROVIDER_FAILED, RPS_TIMEOUT. RPS_CLOSED if it is
/// disconnected meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_connect(client: rps_client, timeout_ms: i64, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let client = &self::client(client)?.client;
        block_on(client.connect_within(connect_timeout(client, timeout_ms)))?.map(drop)
    })
}

fn connect_timeout(client: &Client, milliseconds: i64) -> Duration {
    timeout(milliseconds).unwrap_or(client.options().connect_timeout)
}

/// Begins to connect, and goes on for as long as it takes: see the events "session.started" and "error".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_start(client: rps_client, error: *mut rps_error) -> i32 {
    boundary(error, || self::client(client)?.client.start())
}

/// Writes what is queued, closes the connection, and ends all waits with RPS_CLOSED. The client can connect again. Safe
/// at any time, also in a callback. RPS_DEFAULT_TIMEOUT is `disconnect_timeout_ms` of the options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_disconnect(client: rps_client, timeout_ms: i64, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let client = &self::client(client)?.client;
        let within = timeout(timeout_ms).unwrap_or(client.options().disconnect_timeout);
        block_on(client.disconnect_within(within))
    })
}

/// Returns when all that was published before has reached the gateway.
///
/// RPS_NOT_CONNECTED without a session, RPS_CONNECTION_LOST if it ends before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_flush(client: rps_client, error: *mut rps_error) -> i32 {
    boundary(error, || block_on(self::client(client)?.client.flush())?)
}

/// Subscribes to a topic at the gateway, now and after each reconnect, and returns when the gateway has processed that.
/// Subscribing again is harmless.
///
/// RPS_FORBIDDEN for a topic that the token may not read; the client leaves it out from then on. RPS_NOT_CONNECTED where
/// the client was not told to connect, unless it queues while offline.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_subscribe_remote_topic(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of text.
        let topic = unsafe { text(topic, topic_len, "topic")? };
        block_on(self::client(client)?.client.subscribe_remote_topic(topic))?
    })
}

/// Ends a subscription, and returns when the gateway has processed that. Harmless for topics that are not subscribed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_unsubscribe_remote_topic(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of text.
        let topic = unsafe { text(topic, topic_len, "topic")? };
        block_on(self::client(client)?.client.unsubscribe_remote_topic(topic))?
    })
}

/// Like rps_connect(), but returns at once and calls `completion` with the session's event. For all functions of this
/// kind: `pending` may be NULL, and `completion` is taken over, also on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_connect_async(
    client: rps_client,
    timeout_ms: i64,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let dispatch = self::client(client)?;
        let client = dispatch.client.clone();
        let within = connect_timeout(&client, timeout_ms);
        let work =
            async move { client.connect_within(within).await.map(|info| Answer::Event(Event::SessionStarted(info))) };
        // SAFETY: what the header asks of outputs.
        unsafe { begin(&dispatch, completion, pending, work) }
    })
}

/// Like rps_disconnect(), but returns at once and calls `completion` when it is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_disconnect_async(
    client: rps_client,
    timeout_ms: i64,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let dispatch = self::client(client)?;
        let client = dispatch.client.clone();
        let within = timeout(timeout_ms).unwrap_or(client.options().disconnect_timeout);
        let work = async move {
            client.disconnect_within(within).await;
            Ok(Answer::Done)
        };
        // SAFETY: what the header asks of outputs.
        unsafe { begin(&dispatch, completion, pending, work) }
    })
}

/// Like rps_flush(), but returns at once and calls `completion` when it is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_flush_async(
    client: rps_client,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let dispatch = self::client(client)?;
        let client = dispatch.client.clone();
        let work = async move { client.flush().await.map(|()| Answer::Done) };
        // SAFETY: what the header asks of outputs.
        unsafe { begin(&dispatch, completion, pending, work) }
    })
}

/// Like rps_subscribe_remote_topic(), but returns at once and calls `completion` when it is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_subscribe_remote_topic_async(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let dispatch = self::client(client)?;
        // SAFETY: what the header asks of text.
        let topic = unsafe { text(topic, topic_len, "topic")? }.to_owned();
        let client = dispatch.client.clone();
        let work = async move { client.subscribe_remote_topic(&topic).await.map(|()| Answer::Done) };
        // SAFETY: what the header asks of outputs.
        unsafe { begin(&dispatch, completion, pending, work) }
    })
}

/// Like rps_unsubscribe_remote_topic(), but returns at once and calls `completion` when it is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_unsubscribe_remote_topic_async(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let dispatch = self::client(client)?;
        // SAFETY: what the header asks of text.
        let topic = unsafe { text(topic, topic_len, "topic")? }.to_owned();
        let client = dispatch.client.clone();
        let work = async move { client.unsubscribe_remote_topic(&topic).await.map(|()| Answer::Done) };
        // SAFETY: what the header asks of outputs.
        unsafe { begin(&dispatch, completion, pending, work) }
    })
}

/// # Safety
/// `pending` is as the header asks of outputs.
unsafe fn begin(
    dispatch: &Arc<Dispatch>,
    completion: Completion,
    pending: *mut rps_pending,
    work: impl Future<Output = Result<Answer>> + Send + 'static,
) -> Result<()> {
    let completion = completion.check("completion")?;
    // SAFETY: the caller's promise.
    let out = unsafe { Out::optional(pending) };
    let handle = dispatch.spawn(completion, out.is_some(), work)?;
    if let Some(out) = out {
        out.write(handle);
    }
    Ok(())
}

/// Where the client stands: RPS_STATE_IDLE, …
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_state(client: rps_client, state: *mut i32, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(state, "state")? };
        out.write(state_number(self::client(client)?.client.state()));
        Ok(())
    })
}

/// The present session's connection, as the event "session.started" that began it: look at it with rps_event_get(), free
/// it with rps_event_free(). RPS_NOT_CONNECTED without a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_connection(
    client: rps_client,
    event: *mut rps_event,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(event, "event")? };
        let info = self::client(client)?.client.connection();
        let info = info.ok_or_else(|| Error::new(ErrorKind::NotConnected, "there is no session: connect first"))?;
        own(Event::SessionStarted(info), out)
    })
}

/// With `manual_kick`: writes what is queued. Otherwise harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_kick(client: rps_client, error: *mut rps_error) -> i32 {
    boundary(error, || {
        self::client(client)?.client.kick();
        Ok(())
    })
}

/// A number that no other client of this process has; log records have it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_number(client: rps_client, number: *mut u64, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(number, "number")? };
        out.write(self::client(client)?.client.number());
        Ok(())
    })
}

/// Whether the client subscribes to this topic in each session: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_subscribes(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    subscribes: *mut i32,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (topic, out) = unsafe { (text(topic, topic_len, "topic")?, Out::new(subscribes, "subscribes")?) };
        if topic.is_empty() {
            return Err(invalid("the topic is empty"));
        }
        out.write(i32::from(self::client(client)?.client.subscriptions().iter().any(|subscribed| subscribed == topic)));
        Ok(())
    })
}

/// What a client has done since it was made, and what it holds now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_stats {
    /// sizeof(rps_stats), as RPS_STATS_INIT sets it.
    pub size: usize,
    /// Sessions started.
    pub sessions: u64,
    /// Attempts to connect that failed.
    pub failed_attempts: u64,
    /// Messages written.
    pub messages_sent: u64,
    /// Bytes of frames written.
    pub bytes_sent: u64,
    /// Messages received, acks and replies included.
    pub messages_received: u64,
    /// Bytes of frames received.
    pub bytes_received: u64,
    /// Acks received.
    pub acks: u64,
    /// Replies received.
    pub replies: u64,
    /// Messages that no listener wanted.
    pub unmatched: u64,
    /// Messages dropped because the inbox was full.
    pub dropped: u64,
    /// Messages dropped because they repeat another, see `dedupe`.
    pub duplicates: u64,
    /// Frames that could not be understood.
    pub unreadable: u64,
    /// Publishes that were given up while queued or unacknowledged.
    pub lost: u64,
    /// Messages that wait to be written.
    pub outbox_messages: u64,
    /// Their bytes.
    pub outbox_bytes: u64,
    /// Deliveries that wait for callbacks.
    pub inbox_len: u64,
    /// Messages whose ack or replies somebody can still ask for.
    pub receipts: u64,
    /// Waits that are going on.
    pub waits: u64,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are numbers.
unsafe impl Sized_ for rps_stats {
    const NAME: &'static str = "rps_stats";
}

/// The client's counters. Set `stats->size` first, as RPS_STATS_INIT does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_stats(client: rps_client, stats: *mut rps_stats, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let now = self::client(client)?.client.stats();
        let shown = rps_stats {
            size: size_of::<rps_stats>(),
            sessions: now.sessions,
            failed_attempts: now.failed_attempts,
            messages_sent: now.messages_sent,
            bytes_sent: now.bytes_sent,
            messages_received: now.messages_received,
            bytes_received: now.bytes_received,
            acks: now.acks,
            replies: now.replies,
            unmatched: now.unmatched,
            dropped: now.dropped,
            duplicates: now.duplicates,
            unreadable: now.unreadable,
            lost: now.lost,
            outbox_messages: now.outbox_messages,
            outbox_bytes: now.outbox_bytes,
            inbox_len: now.inbox_len,
            receipts: now.receipts,
            waits: now.waits,
        };
        // SAFETY: what the header asks of structs.
        unsafe { write_struct(stats, &shown, "stats") }
    })
}
