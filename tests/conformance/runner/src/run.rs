//! One run of a scenario: its gateway, its clients, its steps.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::driver::{Driver, PATIENCE, Session};
use crate::json::Json;
use crate::pattern::{Memory, matches, resolve, shorten};
use crate::scenario::{ClientSpec, Scenario};
use crate::scripted::Scripted;
use crate::world::World;

/// How a run has ended, other than well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something was not as expected.
    Failed(String),
    /// A driver says that its language can't do this.
    Cannot { language: String, operation: String, reason: String },
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Failed(why)
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Failure {
        Failure::Failed(why.to_owned())
    }
}

type Outcome<T = ()> = Result<T, Failure>;

enum Server {
    Gateway(Box<World>),
    Scripted(Scripted),
}

impl Server {
    fn address(&self) -> String {
        match self {
            Server::Gateway(world) => world.address().to_string(),
            Server::Scripted(server) => server.address().to_string(),
        }
    }
}

struct Client {
    session: Session,
    subject: String,
}

/// What was begun with `later`: whose it is, the operation's name, and its answer to come.
struct Later {
    language: String,
    operation: String,
    answer: JoinHandle<Result<Json, String>>,
}

struct Run {
    server: Server,
    clients: HashMap<String, Client>,
    /// Listeners whose events must all be expected, with their clients.
    listeners: Vec<(String, String)>,
    memory: Memory,
    later: HashMap<String, Later>,
    log: Vec<String>,
}

/// Runs a scenario, its clients in `main`, those marked `other` in `other`.
pub(crate) async fn run(scenario: &Scenario, main: &Arc<Driver>, other: &Arc<Driver>) -> Outcome {
    let authority = scenario.tls.as_ref().map(Authority::new).transpose()?;
    let server = if scenario.scripted {
        Server::Scripted(Scripted::start(authority.as_ref()).await?)
    } else {
        Server::Gateway(Box::new(World::start(&scenario.gateway, authority.as_ref()).await?))
    };
    let mut memory = Memory::new();
    memory.insert("address".into(), server.address().as_str().into());
    if let Some(authority) = authority {
        memory.insert("tls".into(), authority.told()?);
    }
    let (main, other) = (Session::new(main), Session::new(other));
    let session = |client: &ClientSpec| if client.is_other() { other.clone() } else { main.clone() };
    let clients = scenario
        .clients
        .iter()
        .map(|client| (client.name.clone(), Client { session: session(client), subject: client.subject().to_owned() }));
    let mut run = Run {
        server,
        clients: clients.collect(),
        listeners: Vec::new(),
        memory,
        later: HashMap::new(),
        log: Vec::new(),
    };
    let outcome = run.play(scenario).await;
    let cleaned = run.clean().await;
    let failed = |why: String| Failure::Failed(format!("{why}\n{}", run.log.join("\n")));
    match outcome {
        Ok(()) => cleaned.map_err(failed),
        Err(Failure::Failed(why)) => Err(failed(why)),
        cannot => cannot,
    }
}

impl Run {
    async fn play(&mut self, scenario: &Scenario) -> Outcome {
        for client in &scenario.clients {
            self.make(client).await?;
        }
        for (index, step) in scenario.steps.iter().enumerate() {
            self.step(step).await.map_err(|failure| match failure {
                Failure::Failed(why) => Failure::Failed(format!("step {} {}: {why}", index + 1, shorten(step))),
                cannot => cannot,
            })?;
        }
        for (client, listener) in &self.listeners {
            let Some(client) = self.clients.get(client) else { continue };
            if let Some(event) = client.session.unheard(listener).first() {
                return Err(format!("listener {listener} heard what nobody expected: {}", shorten(event)).into());
            }
        }
        Ok(())
    }

    async fn make(&mut self, client: &ClientSpec) -> Outcome {
        let settings = resolve(&client.settings, &self.memory)?;
        let permissions = settings.get("permissions").and_then(Json::as_array);
        let url = match (settings.get("url").and_then(Json::as_str), &self.server) {
            (Some(url), _) => url.to_owned(),
            (None, Server::Gateway(world)) => world.url(client.subject(), permissions)?,
            (None, Server::Scripted(server)) => server.url(client.subject()),
        };
        self.memory.insert(format!("{}_url", client.name), url.as_str().into());
        let name = client.name.as_str();
        if settings.get("make").and_then(Json::as_bool) == Some(false) {
            return Ok(());
        }
        let options = settings.get("options").cloned().unwrap_or(Json::Object(Default::default()));
        self.client(name, "new", &Json::object([("url", url.as_str().into()), ("options", options)])).await?;
        if settings.get("connect").and_then(Json::as_bool) == Some(false) {
            return Ok(());
        }
        let connect = Json::Object(Default::default());
        let connecting = self.begin(name, "connect", &connect).await?;
        if let Server::Scripted(server) = &mut self.server {
            server.act("accept", &Json::object([("connection", name.into())])).await?;
            server.act("welcome", &Json::object([("id", format!("{name}1").as_str().into())])).await?;
        }
        let info = self.end(connecting, None).await?;
        self.memory.insert(name.to_owned(), info);
        for topic in settings.get("subscribe").and_then(Json::as_array).unwrap_or_default() {
            self.client(name, "subscribe", &Json::object([("topic", topic.clone())])).await?;
        }
        Ok(())
    }

    /// Has a client do something, which must succeed.
    async fn client(&mut self, name: &str, operation: &str, fields: &Json) -> Outcome<Json> {
        let begun = self.begin(name, operation, fields).await?;
        self.end(begun, None).await
    }

    async fn begin(&mut self, name: &str, operation: &str, fields: &Json) -> Outcome<Later> {
        let client = self.clients.get(name).ok_or_else(|| format!("there is no client {name:?}"))?;
        let mut line = fields.fields().cloned().unwrap_or_default();
        for word in ["do", "gives", "fails", "as", "rest"] {
            line.remove(word);
        }
        if let Some(later) = line.remove("later") {
            line.insert("op".into(), later);
        }
        line.insert("do".into(), operation.into());
        line.insert("client".into(), name.into());
        for within in line.get_mut("then").into_iter() {
            let Json::Array(operations) = within else { continue };
            for operation in operations {
                if let Json::Object(fields) = operation {
                    fields.entry("client".into()).or_insert_with(|| name.into());
                }
            }
        }
        let line = Json::Object(line);
        self.log.push(format!("  → {} {}", client.session.driver.language, shorten(&line)));
        let answer = client.session.ask(&line).await?;
        let language = client.session.driver.language.clone();
        Ok(Later { language, operation: operation.to_owned(), answer: tokio::spawn(answer) })
    }

    /// Waits for an answer: what it gives, unless it is expected to fail.
    async fn end(&mut self, begun: Later, fails: Option<&Json>) -> Outcome<Json> {
        let answer = begun.answer.await.map_err(|error| error.to_string())?;
        let answer = answer.map_err(|why| format!("{} {}: {why}", begun.language, begun.operation))?;
        self.log.push(format!("  ← {} {}", begun.language, shorten(&answer)));
        if let Some(reason) = answer.get("cannot").and_then(Json::as_str) {
            let (language, reason) = (begun.language, reason.to_owned());
            // Within a listener it is another operation that can't be done.
            let operation = answer.get("operation").and_then(Json::as_str).unwrap_or(&begun.operation).to_owned();
            return Err(Failure::Cannot { language, operation, reason });
        }
        match (answer.get("error"), fails) {
            (None, None) => Ok(answer.get("ok").cloned().unwrap_or(Json::Null)),
            (None, Some(fails)) => Err(format!("succeeded, and not {}", shorten(fails)).into()),
            (Some(error), None) => Err(format!("failed: {}", shorten(error)).into()),
            (Some(error), Some(fails)) => {
                let expected = expected_error(fails)?;
                matches(&expected, error)?;
                let text = error.get("message").and_then(Json::as_str).unwrap_or_default();
                if error.get("cancelled").is_none() && text.is_empty() {
                    return Err("the error says nothing".into());
                }
                Ok(error.clone())
            }
        }
    }

    fn step<'a>(&'a mut self, step: &'a Json) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            if let Some(operation) = step.get("do").and_then(Json::as_str) {
                return self.perform(operation, step).await;
            }
            if let Some(listener) = step.get("hear").and_then(Json::as_str) {
                return self.hear(listener, step).await;
            }
            if let Some(listener) = step.get("nothing").and_then(Json::as_str) {
                let session = self.session(step)?;
                return match session.unheard(listener).first() {
                    None => Ok(()),
                    Some(event) => Err(format!("heard {}", shorten(event)).into()),
                };
            }
            if let Some(name) = step.get("await").and_then(Json::as_str) {
                let begun = self.later.remove(name).ok_or_else(|| format!("nothing was begun as {name:?}"))?;
                let fails = step.get("fails").map(|fails| resolve(fails, &self.memory)).transpose()?;
                let outcome = self.end(begun, fails.as_ref()).await?;
                return self.settle(step, outcome);
            }
            if let Some(check) = step.get("check") {
                let (value, pattern) =
                    (resolve(check, &self.memory)?, resolve(step.get("is").unwrap_or(&Json::Null), &self.memory)?);
                return Ok(matches(&pattern, &value)?);
            }
            if let Some(until) = step.get("until") {
                let asked = async {
                    // A condition that no event tells of.
                    while let Err(Failure::Failed(_)) = self.step(until).await {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                if tokio::time::timeout(PATIENCE, asked).await.is_ok() {
                    return Ok(());
                }
                return self.step(until).await;
            }
            let times = step.get("repeat").and_then(Json::as_u64).unwrap_or(0);
            for index in 0..times {
                self.memory.insert("i".into(), index.into());
                for step in step.get("steps").and_then(Json::as_array).unwrap_or_default() {
                    self.step(step).await?;
                }
            }
            Ok(())
        })
    }

    fn session(&self, step: &Json) -> Outcome<Session> {
        let name = step.get("by").and_then(Json::as_str).unwrap_or_default();
        let client = self.clients.get(name).ok_or_else(|| format!("there is no client {name:?}"))?;
        Ok(client.session.clone())
    }

    async fn perform(&mut self, operation: &str, step: &Json) -> Outcome {
        let (who, what) = operation.split_once('.').unwrap_or_default();
        // What is expected may name what this step gives, so it is looked at after.
        let mut asked = step.fields().cloned().unwrap_or_default();
        let fails = asked.remove("fails").map(|fails| resolve(&fails, &self.memory)).transpose()?;
        asked.remove("gives");
        let fields = resolve(&Json::Object(asked), &self.memory)?;
        let outcome = match (who, &mut self.server) {
            ("gateway", Server::Gateway(world)) => {
                let client = fields.get("client").and_then(Json::as_str);
                let subject = client.map(|name| self.clients.get(name).map_or(name, |client| &client.subject));
                self.log.push(format!("  gateway {}", shorten(&fields)));
                world.act(what, &fields, subject).await?
            }
            ("server", Server::Scripted(server)) => {
                self.log.push(format!("  server {}", shorten(&fields)));
                let received = server.act(what, &fields).await?;
                self.log.push(format!("  server ← {}", shorten(&received)));
                received
            }
            _ => {
                if matches!(what, "on" | "once")
                    && fields.get("rest").and_then(Json::as_str) != Some("ignored")
                    && let Some(listener) = fields.get("listener").and_then(Json::as_str)
                {
                    self.listeners.push((who.to_owned(), listener.to_owned()));
                }
                let begun = self.begin(who, what, &fields).await?;
                if let Some(name) = fields.get("later").and_then(Json::as_str) {
                    self.later.insert(name.to_owned(), begun);
                    return Ok(());
                }
                self.end(begun, fails.as_ref()).await?
            }
        };
        self.settle(step, outcome)
    }

    /// Remembers an outcome, and compares it with what was expected.
    fn settle(&mut self, step: &Json, outcome: Json) -> Outcome {
        if let Some(name) = step.get("as").and_then(Json::as_str) {
            self.memory.insert(name.to_owned(), outcome.clone());
        }
        match step.get("gives") {
            Some(gives) => Ok(matches(&resolve(gives, &self.memory)?, &outcome)?),
            None => Ok(()),
        }
    }

    async fn hear(&mut self, listener: &str, step: &Json) -> Outcome {
        let session = self.session(step)?;
        let single = step.get("event").map(std::slice::from_ref);
        let expected = single.or(step.get("events").and_then(Json::as_array)).unwrap_or_default();
        let until = step.get("until").map(|until| resolve(until, &self.memory)).transpose()?;
        let mut last = Json::Null;
        if let Some(until) = until {
            loop {
                last =
                    self.next(&session, listener).await.map_err(|why| format!("{why}, at last {}", shorten(&last)))?;
                if matches(&until, &last).is_ok() {
                    break;
                }
            }
        }
        for (index, pattern) in expected.iter().enumerate() {
            let pattern = resolve(pattern, &self.memory)?;
            last = self.next(&session, listener).await?;
            matches(&pattern, &last).map_err(|why| format!("event {}: {why}", index + 1))?;
        }
        if let Some(name) = step.get("as").and_then(Json::as_str) {
            self.memory.insert(name.to_owned(), last);
        }
        Ok(())
    }

    async fn next(&mut self, session: &Session, listener: &str) -> Result<Json, String> {
        let heard = session.hear(listener).await?;
        self.log.push(format!("  ← {} {}", session.driver.language, shorten(&heard)));
        // What a listener did is told as it is, what it heard without the wrapping.
        Ok(heard.get("event").cloned().unwrap_or(heard))
    }

    async fn clean(&mut self) -> Result<(), String> {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        let mut drops = Vec::new();
        for name in &names {
            let Ok(dropping) = self.begin(name, "drop", &Json::Null).await else { continue };
            drops.push(dropping);
        }
        if let Server::Gateway(world) = &mut self.server {
            let _ = world.act("clear", &Json::Null, None).await;
        }
        for dropping in drops {
            self.end(dropping, None).await.map_err(|failure| format!("cleaning up: {failure:?}"))?;
        }
        Ok(())
    }
}

/// What an error is expected to be: its name, its number, or a pattern.
fn expected_error(fails: &Json) -> Result<Json, String> {
    let number = |name: &str| {
        let index = ERRORS.iter().position(|known| *known == name);
        index.map(|index| Json::Number(format!("-{}", index + 1))).ok_or_else(|| format!("there is no error {name}"))
    };
    match fails {
        Json::String(name) if name == "cancelled" => Ok(Json::object([("cancelled", true.into())])),
        Json::String(name) => Ok(Json::object([("number", number(name)?)])),
        Json::Object(fields) => {
            let mut fields = fields.clone();
            if let Some(Json::String(name)) = fields.remove("name") {
                fields.insert("number".into(), number(&name)?);
            }
            Ok(Json::Object(fields))
        }
        other => Err(format!("{other} is no error")),
    }
}

/// The table of errors, from -1 down. Written here again, because it is a promise.
pub(crate) const ERRORS: [&str; 16] = [
    "INVALID_ARGUMENT",
    "INVALID_HANDLE",
    "NOT_CONNECTED",
    "TIMEOUT",
    "CLOSED",
    "CONNECTION_LOST",
    "QUEUE_FULL",
    "MESSAGE_TOO_LARGE",
    "FORBIDDEN",
    "HANDSHAKE_FAILED",
    "URL_PROVIDER_FAILED",
    "PROTOCOL_VIOLATION",
    "CANCELLED",
    "WOULD_DEADLOCK",
    "INTERNAL",
    "NOT_REPLYABLE",
];
