//! A driver: the process that calls one language's client, as it is told to, line by line.

use std::collections::{HashMap, VecDeque};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Notify, oneshot};

use crate::json::Json;
use crate::pattern::shorten_text;

/// How long a driver may take for one operation, or an event to come: generous, for machines that are busy. Nothing that
/// passes takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a driver may take to begin: a virtual machine's first start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running driver.
pub(crate) struct Driver {
    pub(crate) language: String,
    stdin: tokio::sync::Mutex<ChildStdin>,
    state: Arc<State>,
    next: AtomicU64,
    runs: AtomicU64,
    child: tokio::sync::Mutex<Child>,
}

#[derive(Default)]
struct State {
    pending: Mutex<HashMap<u64, oneshot::Sender<Json>>>,
    heard: Mutex<HashMap<String, VecDeque<Json>>>,
    /// Something was heard, or the driver has ended.
    news: Notify,
    ended: Mutex<Option<String>>,
    /// The last of what it wrote to stderr.
    said: Mutex<VecDeque<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn line(&self, line: &str) -> Result<(), String> {
        let json = Json::parse(line).map_err(|error| format!("{error} in {}", shorten_text(line)))?;
        if let Some(number) = json.get("n").and_then(Json::as_u64) {
            let waiting = lock(&self.pending).remove(&number);
            let waiting = waiting.ok_or_else(|| format!("an answer to nothing that was asked: {line}"))?;
            let _ = waiting.send(json);
        } else if let Some(listener) = json.get("listener").and_then(Json::as_str) {
            lock(&self.heard).entry(listener.to_owned()).or_default().push_back(json.clone());
            self.news.notify_waiters();
        } else {
            return Err(format!("neither an answer nor an event: {}", shorten_text(line)));
        }
        Ok(())
    }

    fn end(&self, why: &str) {
        let said = lock(&self.said).iter().map(|line| format!("\n    {line}")).collect::<String>();
        *lock(&self.ended) = Some(format!("the driver has ended: {why}{said}"));
        lock(&self.pending).clear();
        self.news.notify_waiters();
    }
}

impl Driver {
    /// Starts a driver, and waits for its first line.
    pub(crate) async fn start(language: &str, command: &str) -> Result<Driver, String> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{command}: {error}"))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("the driver has no pipes".into());
        };
        let state = Arc::new(State::default());
        let listening = Arc::clone(&state);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut said = lock(&listening.said);
                said.push_back(line);
                if said.len() > 40 {
                    said.pop_front();
                }
            }
        });
        let mut lines = BufReader::new(stdout).lines();
        let hello = tokio::time::timeout(START, lines.next_line()).await;
        let hello = match hello {
            Err(_) => return Err(format!("said nothing in {START:?}")),
            Ok(Err(error)) => return Err(error.to_string()),
            Ok(Ok(None)) => {
                let _ = child.wait().await;
                state.end("before it said hello");
                return Err(lock(&state.ended).clone().unwrap_or_default());
            }
            Ok(Ok(Some(line))) => line,
        };
        let version = Json::parse(&hello).ok().and_then(|json| json.get("protocol").and_then(Json::as_u64));
        if version != Some(1) {
            return Err(format!("said {hello:?}, not {{\"protocol\":1}}"));
        }
        let reading = Arc::clone(&state);
        tokio::spawn(async move {
            let why = loop {
                match lines.next_line().await {
                    Ok(Some(line)) => {
                        if let Err(why) = reading.line(&line) {
                            break why;
                        }
                    }
                    Ok(None) => break "its output ended".into(),
                    Err(error) => break error.to_string(),
                }
            };
            reading.end(&why);
        });
        let (stdin, child) = (tokio::sync::Mutex::new(stdin), tokio::sync::Mutex::new(child));
        let (next, runs) = (AtomicU64::new(1), AtomicU64::new(1));
        Ok(Driver { language: language.to_owned(), stdin, state, next, runs, child })
    }

    /// Closes its input, and waits for its end.
    pub(crate) async fn stop(self) -> Result<(), String> {
        drop(self.stdin);
        let mut child = self.child.lock().await;
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                let said = lock(&self.state.said).iter().map(|line| format!("\n    {line}")).collect::<String>();
                Err(format!("ended with {status}{said}"))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("its input was closed, and {PATIENCE:?} later it still runs")),
        }
    }

    fn gone(&self) -> String {
        lock(&self.state.ended).clone().unwrap_or_else(|| "the driver has ended".into())
    }
}

/// One run's use of a driver: its names are apart from those of other runs.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) driver: Arc<Driver>,
    prefix: String,
}

/// What an operation calls things by.
const NAMES: [&str; 7] = ["client", "wait", "listener", "stream", "serving", "gate", "op"];

impl Session {
    pub(crate) fn new(driver: &Arc<Driver>) -> Session {
        let run = driver.runs.fetch_add(1, Ordering::Relaxed);
        Session { driver: Arc::clone(driver), prefix: format!("{run}.") }
    }

    fn named(&self, operation: &Json) -> Json {
        let Some(fields) = operation.fields() else { return operation.clone() };
        let fields = fields.iter().map(|(name, value)| {
            let value = match value {
                Json::String(text) if NAMES.contains(&name.as_str()) => Json::String(format!("{}{text}", self.prefix)),
                Json::Array(operations) if name == "then" => {
                    Json::Array(operations.iter().map(|operation| self.named(operation)).collect())
                }
                other => other.clone(),
            };
            (name.clone(), value)
        });
        Json::Object(fields.collect())
    }

    /// Has the driver do something; what is returned waits for its answer.
    pub(crate) async fn ask(
        &self,
        operation: &Json,
    ) -> Result<impl Future<Output = Result<Json, String>> + Send + use<>, String> {
        let number = self.driver.next.fetch_add(1, Ordering::Relaxed);
        let Json::Object(mut fields) = self.named(operation) else { return Err("an operation is an object".into()) };
        fields.insert("n".into(), number.into());
        let line = format!("{}\n", Json::Object(fields));
        let (answered, answer) = oneshot::channel();
        lock(&self.driver.state.pending).insert(number, answered);
        if self.driver.stdin.lock().await.write_all(line.as_bytes()).await.is_err() {
            return Err(self.driver.gone());
        }
        let driver = Arc::clone(&self.driver);
        Ok(async move {
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(driver.gone()),
                Err(_) => Err(format!("no answer in {PATIENCE:?}")),
            }
        })
    }

    /// The next that a listener heard, waiting for it.
    pub(crate) async fn hear(&self, listener: &str) -> Result<Json, String> {
        let state = &self.driver.state;
        let key = format!("{}{listener}", self.prefix);
        let hearing = async {
            loop {
                let news = state.news.notified();
                tokio::pin!(news);
                // Listening before looking, or what comes in between would be missed.
                news.as_mut().enable();
                if let Some(event) = lock(&state.heard).get_mut(&key).and_then(VecDeque::pop_front) {
                    return Ok(event);
                }
                if lock(&state.ended).is_some() {
                    return Err(self.driver.gone());
                }
                news.await;
            }
        };
        let timeout = tokio::time::timeout(PATIENCE, hearing).await;
        timeout.unwrap_or_else(|_| Err(format!("listener {listener} heard nothing in {PATIENCE:?}")))
    }

    /// What a listener has heard that nobody asked for.
    pub(crate) fn unheard(&self, listener: &str) -> Vec<Json> {
        let key = format!("{}{listener}", self.prefix);
        lock(&self.driver.state.heard).remove(&key).into_iter().flatten().collect()
    }
}
