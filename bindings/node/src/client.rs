//! One client.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use hashbrown::HashMap;
use napi::bindgen_prelude::{Env, Uint32ArraySlice, Unknown};
use napi_derive::napi;
use realtime_pubsub::{
    Client, ConnectionInfo, Delivery, Error, ErrorKind, Inbox, ListenerId, RawJson, Ticket, WaitFor, runtime,
};
use realtime_pubsub_bindings::logs::{Level, Logs, Record, Sink};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::batch::{Writer, fault};
use crate::error::{Result, invalid, thrown};
use crate::hub::{Link, NativeHub, News, lock};
use crate::options::{NativeOptions, timeout};
use crate::stream::NativeStream;
use crate::text::{Text, string_or_null, words as written};

/// So many messages' answers can still be asked for. Of older ones, whose `WaitFor` JavaScript has not collected yet,
/// they can't.
const MOST_RECEIPTS: usize = 65_536;

/// The URL requests that JavaScript has not answered.
type Asked = Arc<Mutex<HashMap<u32, oneshot::Sender<std::result::Result<String, String>>>>>;

/// What has been published, by number: the first one's is `first`.
#[derive(Default)]
struct Receipts {
    first: u64,
    kept: VecDeque<Option<WaitFor>>,
}

impl Receipts {
    fn keep(&mut self, receipt: WaitFor) -> u64 {
        if self.kept.len() >= MOST_RECEIPTS {
            self.kept.pop_front();
            self.first += 1;
        }
        self.kept.push_back(Some(receipt));
        self.first + self.kept.len() as u64 - 1
    }

    fn get(&self, number: u64) -> Option<&WaitFor> {
        self.kept.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?.as_ref()
    }

    fn release(&mut self, from: u64, to: u64) {
        for number in from.max(self.first)..to {
            let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
            match self.kept.get_mut(index) {
                Some(receipt) => *receipt = None,
                None => break,
            }
        }
        while let Some(None) = self.kept.front() {
            self.kept.pop_front();
            self.first += 1;
        }
    }
}

/// What publishes have in common.
struct Route {
    topic: Option<String>,
    message_type: Option<Box<str>>,
    compress: bool,
}

/// What is going on for a token.
enum Pending {
    Wait { _ticket: Ticket },
    Task(AbortHandle),
}

/// What a client has done and holds, see `Stats` of the client crate.
#[napi(object)]
pub struct NativeStats {
    pub sessions: f64,
    pub failed_attempts: f64,
    pub messages_sent: f64,
    pub bytes_sent: f64,
    pub messages_received: f64,
    pub bytes_received: f64,
    pub acks: f64,
    pub replies: f64,
    pub unmatched: f64,
    pub dropped: f64,
    pub duplicates: f64,
    pub unreadable: f64,
    pub lost: f64,
    pub outbox_messages: f64,
    pub outbox_bytes: f64,
    pub inbox_len: f64,
    pub receipts: f64,
    pub waits: f64,
}

#[napi]
pub struct NativeClient {
    client: Client,
    inbox: Arc<Inbox>,
    link: Arc<Link>,
    runtime: Handle,
    asked: Asked,
    big_integers: bool,
    writer: RefCell<Writer>,
    /// Drained, and too much for the last batch.
    taken: RefCell<VecDeque<Delivery>>,
    routes: RefCell<Vec<Route>>,
    receipts: RefCell<Receipts>,
    pending: RefCell<HashMap<u64, Pending>>,
    buffer: RefCell<Vec<u8>>,
    /// Why the last publish or reply failed.
    error: RefCell<Option<Error>>,
    /// What it logs, where somebody wants that.
    logs: Option<Arc<Sink>>,
    /// Drained, and too much for the last batch.
    logged: RefCell<VecDeque<Record>>,
}

impl Drop for NativeClient {
    fn drop(&mut self) {
        if let Some(logs) = &self.logs {
            logs.close();
        }
    }
}

#[napi]
impl NativeClient {
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &NativeHub, options: NativeOptions) -> Result<Self> {
        let link = hub.link();
        let asked = Asked::default();
        // A host that has a subscriber of its own gets the logs there.
        let logs = Logs::install().ok();
        let runtime = runtime::handle().map_err(|error| thrown(&error))?;
        let mut core = realtime_pubsub::Options::default();
        options.apply(&mut core)?;
        let builder = Client::builder().options(core).runtime(runtime.clone());
        let builder = match options.url {
            Some(url) => builder.url(url),
            None => {
                let (asked, link) = (Arc::clone(&asked), Arc::clone(&link));
                let requests = Mutex::new(0_u32);
                builder.url_provider(move || {
                    let (answer, answered) = oneshot::channel();
                    let request = {
                        let mut last = lock(&requests);
                        *last = last.wrapping_add(1);
                        *last
                    };
                    let mut asked = lock(&asked);
                    // Those nobody waits for any more.
                    asked.retain(|_, answer| !answer.is_closed());
                    asked.insert(request, answer);
                    drop(asked);
                    link.tell(News::Url { request });
                    async move { answered.await.unwrap_or_else(|_| Err("it was not called".to_owned())) }
                })
            }
        };
        let (client, inbox) = builder.build_with_inbox().map_err(|error| thrown(&error))?;
        let woken = Arc::clone(&link);
        inbox.on_ready(move || woken.notify());
        let level = options.log_level.as_deref().map(log_level).transpose()?;
        let logs = logs.zip(level).map(|(logs, level)| {
            let sink = logs.attach(Some(client.number()), level);
            let link = Arc::clone(&link);
            sink.on_ready(move || link.notify());
            sink
        });
        let big_integers = options.big_integers.unwrap_or(false);
        Ok(NativeClient {
            client,
            inbox,
            link,
            runtime,
            asked,
            big_integers,
            writer: RefCell::new(Writer::new(big_integers)),
            taken: RefCell::default(),
            routes: RefCell::default(),
            receipts: RefCell::default(),
            pending: RefCell::default(),
            buffer: RefCell::default(),
            error: RefCell::default(),
            logs,
            logged: RefCell::default(),
        })
    }

    /// The number under which the hub tells of it.
    #[napi(catch_unwind)]
    pub fn source(&self) -> u32 {
        self.link.number()
    }

    /// The next batch: its words go to `words`, its texts are returned. With `settled_only`, while a listener is being
    /// awaited, messages and control events stay where they are.
    #[napi(catch_unwind)]
    pub fn drain<'env>(
        &self,
        env: &'env Env,
        mut words: Uint32ArraySlice<'_>,
        settled_only: Option<bool>,
    ) -> napi::Result<Option<Unknown<'env>>> {
        let mut writer = self.writer.borrow_mut();
        let mut batch = writer.batch(written(&mut words));
        let mut taken = self.taken.borrow_mut();
        let settled_only = settled_only == Some(true);
        let mut left = 0;
        if taken.is_empty() {
            let mut drained = Vec::new();
            if settled_only {
                left = self.inbox.drain_settled(batch.room(), &mut drained);
            } else {
                self.inbox.drain(batch.room(), &mut drained);
            }
            *taken = drained.into();
        }
        {
            let mut pending = self.pending.borrow_mut();
            while batch.room() > 0 {
                let Some(delivery) = taken.pop_front() else { break };
                if let Delivery::Settled { token, .. } = &delivery {
                    pending.remove(token);
                }
                batch.delivery(&delivery);
            }
        }
        // What comes from now on wakes anew.
        let waits = if settled_only { left > 0 } else { !self.inbox.is_empty() };
        let more = !taken.is_empty() || waits;
        if !more {
            let mut news = self.link.take().into_iter();
            for news in news.by_ref().take(batch.room()) {
                if let News::Done { token, .. } = &news {
                    self.pending.borrow_mut().remove(token);
                }
                batch.news(&news);
            }
            for late in news {
                self.link.tell(late);
            }
            if let Some(logs) = &self.logs {
                let mut logged = self.logged.borrow_mut();
                logged.append(&mut logs.drain());
                let count = batch.room().min(logged.len());
                logged.drain(..count).for_each(|record| batch.log(&record));
                if !logged.is_empty() {
                    self.link.notify();
                }
            }
        }
        string_or_null(env, batch.finish(more))
    }

    // ---- connecting

    #[napi(catch_unwind)]
    pub fn connect(&self, token: f64, limit: f64) {
        let client = self.client.clone();
        self.spawn(token, async move {
            match timeout(limit) {
                Some(limit) => client.connect_within(limit).await.map(Some),
                None => client.connect().await.map(Some),
            }
        });
    }

    #[napi(catch_unwind)]
    pub fn start(&self) -> Result<()> {
        self.client.start().map_err(|error| thrown(&error))
    }

    #[napi(catch_unwind)]
    pub fn disconnect(&self, token: f64, limit: f64) {
        let client = self.client.clone();
        self.spawn(token, async move {
            match timeout(limit) {
                Some(limit) => client.disconnect_within(limit).await,
                None => client.disconnect().await,
            }
            Ok(None)
        });
    }

    /// The answer to a request for a URL: one, or why there is none.
    #[napi(catch_unwind)]
    pub fn provide(&self, request: u32, url: Option<String>, failure: Option<String>) {
        if let Some(answer) = lock(&self.asked).remove(&request) {
            let _ = answer.send(url.ok_or_else(|| failure.unwrap_or_default()));
        }
    }

    #[napi(catch_unwind)]
    pub fn state(&self) -> &'static str {
        self.client.state().name()
    }

    /// The connection's id, app and remote address.
    #[napi(catch_unwind)]
    pub fn connection(&self) -> Option<Vec<String>> {
        let info = self.client.connection()?;
        Some(vec![info.id.clone(), info.app_id.clone(), info.remote_address.clone()])
    }

    // ---- sending

    /// What publishes have in common, by number.
    #[napi(catch_unwind)]
    pub fn route(&self, topic: Option<String>, message_type: Option<String>, compress: bool) -> u32 {
        let mut routes = self.routes.borrow_mut();
        routes.push(Route { topic, message_type: message_type.map(Into::into), compress });
        routes.len() as u32 - 1
    }

    #[napi(catch_unwind)]
    pub fn clear_routes(&self) {
        self.routes.borrow_mut().clear();
    }

    /// Queues a message. Returns its receipt's number, or -1: then [`take_error`](Self::take_error) says why.
    #[napi(catch_unwind)]
    pub fn publish(&self, route: u32, payload: Text, json: bool, id: Option<String>) -> Result<f64> {
        let routes = self.routes.borrow();
        let Some(route) = routes.get(route as usize) else { return Ok(self.refuse(unknown("route"))) };
        let mut buffer = self.buffer.borrow_mut();
        let payload = payload.read(&mut buffer).map_err(from_napi)?;
        let mut publish = match (&route.topic, json) {
            (Some(topic), true) => self.client.publish_raw(topic, RawJson::trusted(payload)),
            (Some(topic), false) => self.client.publish(topic, payload),
            (None, true) => self.client.send_raw(RawJson::trusted(payload)),
            (None, false) => self.client.send(payload),
        };
        if let Some(message_type) = &route.message_type {
            publish = publish.message_type(message_type);
        }
        if let Some(id) = id {
            publish = publish.id(id);
        }
        Ok(self.keep(publish.compress(route.compress).enqueue()))
    }

    /// Queues a reply. As [`publish`](Self::publish).
    #[napi(catch_unwind)]
    pub fn reply(&self, connection: String, id: String, data: Text, status: String, compress: bool) -> Result<f64> {
        let mut buffer = self.buffer.borrow_mut();
        let data = RawJson::trusted(data.read(&mut buffer).map_err(from_napi)?);
        let reply = self.client.reply_raw(&connection, &id, data).status(status).compress(compress);
        Ok(self.keep(reply.enqueue()))
    }

    fn keep(&self, queued: realtime_pubsub::Result<WaitFor>) -> f64 {
        match queued {
            Ok(receipt) => self.receipts.borrow_mut().keep(receipt) as f64,
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&self, error: Error) -> f64 {
        self.error.replace(Some(error));
        -1.0
    }

    /// Why the last publish or reply failed, as JSON.
    #[napi(catch_unwind)]
    pub fn take_error(&self) -> String {
        let error = self.error.take().unwrap_or_else(|| unknown("error"));
        fault(&error).to_string()
    }

    /// Writes what is queued.
    #[napi(catch_unwind)]
    pub fn kick(&self) {
        self.client.kick();
    }

    #[napi(catch_unwind)]
    pub fn flush(&self, token: f64) {
        let client = self.client.clone();
        self.spawn(token, async move { client.flush().await.map(|()| None) });
    }

    // ---- waiting

    #[napi(catch_unwind)]
    pub fn message_id(&self, receipt: f64) -> Option<String> {
        self.receipts.borrow().get(receipt as u64).map(|receipt| receipt.id().to_owned())
    }

    /// Has the token settled by the ack. Says whether the receipt is still there.
    #[napi(catch_unwind)]
    pub fn wait_ack(&self, receipt: f64, token: f64, limit: f64) -> bool {
        self.wait(receipt, token, |receipt, token| receipt.notify_ack(token, timeout(limit)))
    }

    /// Has the token settled by the next reply. Says whether the receipt is still there.
    #[napi(catch_unwind)]
    pub fn wait_reply(&self, receipt: f64, token: f64, limit: f64) -> bool {
        self.wait(receipt, token, |receipt, token| receipt.notify_reply(token, timeout(limit)))
    }

    fn wait(&self, receipt: f64, token: f64, wait: impl FnOnce(&WaitFor, u64) -> Ticket) -> bool {
        let receipts = self.receipts.borrow();
        let Some(receipt) = receipts.get(receipt as u64) else { return false };
        let ticket = wait(receipt, token as u64);
        self.pending.borrow_mut().insert(token as u64, Pending::Wait { _ticket: ticket });
        true
    }

    #[napi(catch_unwind)]
    pub fn wait_event(&self, name: String, token: f64, limit: f64) -> Result<()> {
        let ticket = self.client.notify_event(&name, token as u64, timeout(limit)).map_err(|error| thrown(&error))?;
        self.pending.borrow_mut().insert(token as u64, Pending::Wait { _ticket: ticket });
        Ok(())
    }

    /// Gives up what is going on for a token. It may be settled all the same.
    #[napi(catch_unwind)]
    pub fn cancel(&self, token: f64) {
        if let Some(Pending::Task(task)) = self.pending.borrow_mut().remove(&(token as u64)) {
            task.abort();
        }
    }

    /// Nobody can ask for the answers to these messages any more.
    #[napi(catch_unwind)]
    pub fn release(&self, from: f64, to: f64) {
        self.receipts.borrow_mut().release(from as u64, to as u64);
    }

    // ---- topics and listeners

    #[napi(catch_unwind)]
    pub fn subscribe(&self, token: f64, topic: String) {
        let client = self.client.clone();
        self.spawn(token, async move { client.subscribe_remote_topic(&topic).await.map(|()| None) });
    }

    #[napi(catch_unwind)]
    pub fn unsubscribe(&self, token: f64, topic: String) {
        let client = self.client.clone();
        self.spawn(token, async move { client.unsubscribe_remote_topic(&topic).await.map(|()| None) });
    }

    #[napi(catch_unwind)]
    pub fn subscriptions(&self) -> Vec<String> {
        self.client.subscriptions()
    }

    #[napi(catch_unwind)]
    pub fn listen(&self, name: String, once: bool) -> Result<f64> {
        self.client.listen(&name, once).map(|id| id.get() as f64).map_err(|error| thrown(&error))
    }

    #[napi(catch_unwind)]
    pub fn off(&self, listener: f64) {
        self.client.off(ListenerId::from_raw(listener as u64));
    }

    /// All messages that match, in a queue of their own.
    #[napi(catch_unwind)]
    pub fn messages(&self, hub: &NativeHub, pattern: String) -> Result<NativeStream> {
        let messages = self.client.messages(&pattern).map_err(|error| thrown(&error))?;
        Ok(NativeStream::new(messages, hub.link(), self.big_integers))
    }

    // ---- looking

    #[napi(catch_unwind)]
    pub fn stats(&self) -> NativeStats {
        let stats = self.client.stats();
        NativeStats {
            sessions: stats.sessions as f64,
            failed_attempts: stats.failed_attempts as f64,
            messages_sent: stats.messages_sent as f64,
            bytes_sent: stats.bytes_sent as f64,
            messages_received: stats.messages_received as f64,
            bytes_received: stats.bytes_received as f64,
            acks: stats.acks as f64,
            replies: stats.replies as f64,
            unmatched: stats.unmatched as f64,
            dropped: stats.dropped as f64,
            duplicates: stats.duplicates as f64,
            unreadable: stats.unreadable as f64,
            lost: stats.lost as f64,
            outbox_messages: stats.outbox_messages as f64,
            outbox_bytes: stats.outbox_bytes as f64,
            inbox_len: stats.inbox_len as f64,
            receipts: stats.receipts as f64,
            waits: stats.waits as f64,
        }
    }

    /// The number that the client's logs carry.
    #[napi(catch_unwind)]
    pub fn number(&self) -> f64 {
        self.client.number() as f64
    }

    fn spawn(
        &self,
        token: f64,
        work: impl Future<Output = realtime_pubsub::Result<Option<Arc<ConnectionInfo>>>> + Send + 'static,
    ) {
        let token = token as u64;
        let link = Arc::clone(&self.link);
        let mut work = Box::pin(async move {
            let outcome = work.await;
            link.tell(News::Done { token, outcome });
        });
        // What it queues is queued here and now, in order with what is published after it.
        let _runtime = self.runtime.enter();
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        let task = self.runtime.spawn(work);
        self.pending.borrow_mut().insert(token, Pending::Task(task.abort_handle()));
    }
}

fn log_level(name: &str) -> Result<Level> {
    Level::from_name(name).ok_or_else(|| {
        invalid(format!("option logLevel is \"error\", \"warn\", \"info\", \"debug\" or \"trace\", not {name:?}"))
    })
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("there is no such {what}"))
}

fn from_napi(error: napi::Error) -> napi::Error<crate::error::Code> {
    napi::Error::new(error.status.into(), error.reason.clone())
}
