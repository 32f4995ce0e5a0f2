//! The Rust client's driver for the conformance scenarios: see `tests/conformance/README.md`.

mod options;
mod tell;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use futures_util::StreamExt;
use realtime_pubsub::{
    BoxError, Client, ControlEvent, Error, Event, IncomingMessage, ListenerId, Messages, RawJson, Serving, WaitFor,
    blocking,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// What the runner asks for. Fields are those of the operation's; the others are missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Operation {
    n: u64,
    #[serde(rename = "do")]
    what: String,
    client: String,
    url: Option<String>,
    urls: Option<Vec<Value>>,
    options: Value,
    timeout: Option<u64>,
    topic: Option<String>,
    payload: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
    message_type: Option<String>,
    id: Option<String>,
    compress: bool,
    status: Option<String>,
    wait: Option<String>,
    name: String,
    listener: String,
    then: Vec<Operation>,
    stream: String,
    serving: String,
    answer: Option<Answer>,
    gate: String,
    op: Option<String>,
    count: u64,
    text: String,
}

/// What `serve` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// The message's payload.
    Echo,
    /// An error of this text.
    Throw(String),
}

/// How an operation has failed.
enum Failure {
    Error(Error),
    /// The scenario or this driver is wrong.
    Wrong(String),
    /// What the language has no way to do, and why.
    Cannot(&'static str),
    /// A listener is to fail with this text.
    Throw(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// JSON text.
type Outcome = Result<String, Failure>;

#[derive(Default)]
struct Things {
    clients: HashMap<String, Client>,
    waits: HashMap<String, Arc<WaitFor>>,
    listeners: HashMap<String, ListenerId>,
    streams: HashMap<String, Arc<tokio::sync::Mutex<Messages>>>,
    servings: HashMap<String, Serving>,
    gates: HashMap<String, Arc<Semaphore>>,
    running: HashMap<String, (u64, AbortHandle)>,
}

#[derive(Clone, Default)]
struct Driver(Arc<Mutex<Things>>);

fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn nothing() -> Outcome {
    Ok("null".into())
}

impl Driver {
    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, name: &str) -> Result<Client, Failure> {
        self.things().clients.get(name).cloned().ok_or_else(|| Failure::Wrong(format!("no client {name}")))
    }

    fn gate(&self, name: &str) -> Arc<Semaphore> {
        Arc::clone(self.things().gates.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    fn perform<'a>(
        &'a self,
        operation: &'a Operation,
        message: Option<&'a IncomingMessage>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match operation.what.as_str() {
                "release" => {
                    self.gate(&operation.gate).add_permits(1);
                    return nothing();
                }
                "hold" => {
                    if let Ok(permit) = self.gate(&operation.gate).acquire().await {
                        permit.forget();
                    }
                    return nothing();
                }
                "throw" => return Err(Failure::Throw(operation.text.clone())),
                "use_handle" => return Err(Failure::Cannot("there are no handles")),
                "new" => return self.make(operation),
                "cancel" => return self.cancel(operation),
                "drop" => return self.drop_client(&operation.client).await,
                _ => {}
            }
            let client = self.client(&operation.client)?;
            let timeout = operation.timeout.map(Duration::from_millis);
            match operation.what.as_str() {
                "connect" => {
                    let connecting = match timeout {
                        Some(timeout) => client.connect_within(timeout).await,
                        None => client.connect().await,
                    };
                    Ok(tell::connection(&*connecting?))
                }
                "start" => Ok(client.start().map(|()| "null".into())?),
                "disconnect" => {
                    match timeout {
                        Some(timeout) => client.disconnect_within(timeout).await,
                        None => client.disconnect().await,
                    }
                    nothing()
                }
                "flush" => Ok(client.flush().await.map(|()| "null".into())?),
                "subscribe" => Ok(client.subscribe_remote_topic(topic(operation)?).await.map(|()| "null".into())?),
                "unsubscribe" => {
                    Ok(client.unsubscribe_remote_topic(topic(operation)?).await.map(|()| "null".into())?)
                }
                "state" => Ok(Value::from(client.state().name()).to_string()),
                "connection" => Ok(client.connection().map_or("null".into(), |info| tell::connection(&info))),
                "stats" => Ok(tell::stats(&client.stats())),
                "publish" | "send" => self.keep(operation, outgoing(&client, operation)?.await?),
                "publish_now" => self.keep(operation, outgoing(&client, operation)?.enqueue()?),
                "burst" => {
                    for number in 0..operation.count {
                        drop(client.publish(topic(operation)?, number).await?);
                    }
                    nothing()
                }
                "request" => {
                    let mut request = outgoing(&client, operation)?.request();
                    if let Some(timeout) = timeout {
                        request = request.timeout(timeout);
                    }
                    Ok(tell::reply(&request.await?))
                }
                "reply" => {
                    let message = message.ok_or_else(|| Failure::Wrong("there is no message to reply to".into()))?;
                    let data = raw(operation.data.as_deref())?;
                    let mut reply = message.reply_raw(data).compress(operation.compress);
                    if let Some(status) = &operation.status {
                        reply = reply.status(status.as_str());
                    }
                    self.keep(operation, reply.await?)
                }
                "ack" | "next_reply" | "replies" => self.wait(operation, timeout).await,
                "forget" => {
                    self.things().waits.remove(operation.wait.as_deref().unwrap_or_default());
                    nothing()
                }
                "on" | "once" => self.listen(&client, operation),
                "off" => {
                    let id = self.things().listeners.remove(&operation.listener);
                    Ok(id.is_some_and(|id| client.off(id)).to_string())
                }
                "wait_for" => {
                    let mut wait = client.wait_for(&operation.name);
                    if let Some(timeout) = timeout {
                        wait = wait.timeout(timeout);
                    }
                    Ok(tell::event(&wait.await?))
                }
                "messages" => {
                    let stream = Arc::new(tokio::sync::Mutex::new(client.messages(&operation.name)?));
                    self.things().streams.insert(operation.stream.clone(), stream);
                    nothing()
                }
                "next" => {
                    let stream = self.things().streams.get(&operation.stream).cloned();
                    let stream = stream.ok_or_else(|| Failure::Wrong("no such stream".into()))?;
                    let next = stream.lock().await.next().await;
                    Ok(next.map_or("null".into(), |message| tell::event(&Event::Message(message))))
                }
                "close_stream" => {
                    self.things().streams.remove(&operation.stream);
                    nothing()
                }
                "serve" => self.serve(&client, operation).await,
                "stop_serving" => {
                    self.things().servings.remove(&operation.serving);
                    nothing()
                }
                "wait_for_itself" => tokio::task::block_in_place(|| wait_for_itself(&client)),
                other => Err(Failure::Wrong(format!("this driver does not know {other}"))),
            }
        })
    }

    fn make(&self, operation: &Operation) -> Outcome {
        let mut applied = Ok(());
        let mut builder = Client::builder().with(|options| applied = options::apply(options, &operation.options));
        applied.map_err(Failure::Wrong)?;
        if let Some(url) = &operation.url {
            builder = builder.url(url.as_str());
        }
        if let Some(urls) = operation.urls.clone() {
            let next = Arc::new(Mutex::new(urls.into_iter()));
            let last = Arc::new(Mutex::new(Value::Null));
            builder = builder.url_provider(move || {
                let next = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(next) = next {
                    *last = next;
                }
                let given = last.clone();
                async move {
                    match given.as_str() {
                        Some(url) => Ok(url.to_owned()),
                        None => Err(BoxError::from(given["fails"].as_str().unwrap_or_default().to_owned())),
                    }
                }
            });
        }
        let client = builder.build()?;
        self.things().clients.insert(operation.client.clone(), client);
        nothing()
    }

    fn keep(&self, operation: &Operation, wait: WaitFor) -> Outcome {
        let told = json!({ "id": wait.id() }).to_string();
        if let Some(name) = &operation.wait {
            self.things().waits.insert(name.clone(), Arc::new(wait));
        }
        Ok(told)
    }

    async fn wait(&self, operation: &Operation, timeout: Option<Duration>) -> Outcome {
        let name = operation.wait.as_deref().unwrap_or_default();
        let wait = self.things().waits.get(name).cloned().ok_or_else(|| Failure::Wrong(format!("no wait {name}")))?;
        match operation.what.as_str() {
            "ack" => {
                let mut ack = wait.wait_for_ack();
                if let Some(timeout) = timeout {
                    ack = ack.timeout(timeout);
                }
                ack.await?;
                nothing()
            }
            "next_reply" => {
                let mut reply = wait.wait_for_reply();
                if let Some(timeout) = timeout {
                    reply = reply.timeout(timeout);
                }
                Ok(tell::reply(&reply.await?))
            }
            _ => {
                let mut replies = wait.replies();
                if let Some(timeout) = timeout {
                    replies = replies.timeout(timeout);
                }
                let mut told = Vec::new();
                while let Some(reply) = replies.next().await {
                    told.push(tell::reply(&reply?));
                }
                Ok(format!("[{}]", told.join(",")))
            }
        }
    }

    /// Listeners run on the client's own thread, where they may block.
    fn listen(&self, client: &Client, operation: &Operation) -> Outcome {
        let (driver, listener) = (self.clone(), operation.listener.clone());
        let then = operation.then.clone();
        let runtime = tokio::runtime::Handle::current();
        let heard = move |event: Event| {
            say(&format!("{{\"listener\":{},\"event\":{}}}", json!(listener), tell::event(&event)));
            if then.is_empty() {
                return;
            }
            let mut did = Vec::new();
            let mut thrown = None;
            for operation in &then {
                match runtime.block_on(driver.perform(operation, event.message())) {
                    Err(Failure::Throw(text)) => thrown = Some(text),
                    outcome => did.push(tell::outcome(outcome)),
                }
            }
            say(&format!("{{\"listener\":{},\"did\":[{}]}}", json!(listener), did.join(",")));
            if let Some(text) = thrown {
                // What a Rust listener does in place of throwing.
                std::panic::panic_any(text);
            }
        };
        let id = match (ControlEvent::from_name(&operation.name), operation.what.as_str()) {
            (Some(event), "on") => client.on_event(event, heard)?,
            (Some(event), _) => client.once_event(event, heard)?,
            (None, "on") => client.on(&operation.name, move |message| heard(Event::Message(message)))?,
            (None, _) => client.once(&operation.name, move |message| heard(Event::Message(message)))?,
        };
        self.things().listeners.insert(operation.listener.clone(), id);
        nothing()
    }

    async fn serve(&self, client: &Client, operation: &Operation) -> Outcome {
        let how = operation.answer.clone().ok_or_else(|| Failure::Wrong("serve needs an answer".into()))?;
        let message_type = operation.message_type.as_deref().unwrap_or("broadcast");
        let serving = client.serve(topic(operation)?, message_type, move |message| {
            let how = how.clone();
            async move {
                match how {
                    Answer::Echo => message.payload_as::<Value>().map_err(|error| error.to_string()),
                    Answer::Throw(text) => Err(text),
                }
            }
        });
        let serving = serving.await?;
        self.things().servings.insert(operation.serving.clone(), serving);
        nothing()
    }

    fn cancel(&self, operation: &Operation) -> Outcome {
        let running = self.things().running.remove(operation.op.as_deref().unwrap_or_default());
        let (number, running) = running.ok_or_else(|| Failure::Wrong("nothing runs under this name".into()))?;
        // A future that is dropped is what cancels.
        running.abort();
        say(&json!({ "n": number, "error": { "cancelled": true } }).to_string());
        nothing()
    }

    async fn drop_client(&self, name: &str) -> Outcome {
        let Some(client) = self.things().clients.remove(name) else { return nothing() };
        // Names begin with the run's number, up to the dot.
        let run = name.split_inclusive('.').next().unwrap_or(name).to_owned();
        let gates: Vec<_> = self
            .things()
            .gates
            .iter()
            .filter(|(gate, _)| gate.starts_with(&run))
            .map(|(_, gate)| Arc::clone(gate))
            .collect();
        for gate in gates {
            gate.add_permits(1 << 20);
        }
        client.disconnect_within(Duration::from_millis(200)).await;
        let mut things = self.things();
        things.gates.retain(|gate, _| !gate.starts_with(&run));
        things.waits.retain(|wait, _| !wait.starts_with(&run));
        things.servings.retain(|serving, _| !serving.starts_with(&run));
        things.streams.retain(|stream, _| !stream.starts_with(&run));
        nothing()
    }
}

fn topic(operation: &Operation) -> Result<&str, Failure> {
    operation.topic.as_deref().ok_or_else(|| Failure::Wrong("no topic".into()))
}

/// Blocks on the thread that does the input and output of clients that were made outside of any runtime, which is where their
/// URL providers are asked.
fn wait_for_itself(client: &Client) -> Outcome {
    let (told, outcome) = mpsc::channel();
    let client = client.clone();
    let builder = Client::builder().url_provider(move || {
        let _ = told.send(realtime_pubsub::block_on(client.flush()).and_then(|flushed| flushed));
        std::future::ready(Err::<String, _>(BoxError::from("this was only to see where it is asked")))
    });
    let outside = std::thread::spawn(move || {
        let other = blocking::Client::build(builder)?;
        other.start()?;
        let waited = outcome.recv();
        other.disconnect()?;
        Ok::<_, Error>(waited)
    });
    let waited = outside.join().map_err(|_| Failure::Wrong("the thread has panicked".into()))??;
    waited.map_err(|_| Failure::Wrong("the URL provider was not asked".into()))??;
    nothing()
}

fn raw(json: Option<&RawValue>) -> Result<RawJson<'_>, Failure> {
    let text = json.map_or("null", RawValue::get);
    RawJson::new(text).map_err(|error| Failure::Wrong(error.to_string()))
}

fn outgoing(client: &Client, operation: &Operation) -> Result<realtime_pubsub::Publish, Failure> {
    let payload = raw(operation.payload.as_deref())?;
    let mut publish = match operation.topic.as_deref() {
        Some(topic) => client.publish_raw(topic, payload),
        None => client.send_raw(payload),
    };
    publish = publish.compress(operation.compress);
    if let Some(message_type) = &operation.message_type {
        publish = publish.message_type(message_type.as_str());
    }
    if let Some(id) = &operation.id {
        publish = publish.id(id.as_str());
    }
    Ok(publish)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // Listeners that are to panic would fill the error output.
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<String>() {
            eprintln!("{info}");
        }
    }));
    say(r#"{"protocol":1,"language":"rust"}"#);
    let driver = Driver::default();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let operation: Operation = match serde_json::from_str(&line) {
            Ok(operation) => operation,
            Err(error) => {
                eprintln!("{error} in {line}");
                std::process::exit(1);
            }
        };
        let (number, name) = (operation.n, operation.op.clone().filter(|_| operation.what != "cancel"));
        let doing = driver.clone();
        let done = name.clone();
        let task = tokio::spawn(async move {
            let outcome = doing.perform(&operation, None).await;
            if let Some(name) = done {
                doing.things().running.remove(&name);
            }
            let told = tell::outcome(outcome);
            say(&format!("{{\"n\":{number},{}", told.trim_start_matches('{')));
        });
        if let Some(name) = name {
            driver.things().running.insert(name, (number, task.abort_handle()));
        }
    }
    Ok(())
}
