//! The console: a page for operators, and the calls that it makes. Read-only, and off unless asked for.
//!
//! What a call may cost is bounded: an overview looks at so many connections and topics, and is made at most once a
//! second however many look at it; tails are bounded in [`crate::tail`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use realtime_pubsub_protocol::permission::READ_CONSOLE;
use serde_json::json;
use tokio::time::Instant;

use crate::http::{Answer, Failure, app_of, json};
use crate::hub::Survey;
use crate::rest::{authorize, need};
use crate::server::{App, Shared, Stage};

/// Connections and topics listed.
const LISTED: usize = 100;
/// Connections and topics looked at.
const LOOKED_AT: usize = 20_000;
/// How long an overview is good.
const FRESH: Duration = Duration::from_millis(900);
/// Overviews with different filters that are made in that time.
const OVERVIEWS: usize = 8;
/// Bytes of a filter or of a tail's topic.
const FILTER: usize = 1024;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'a> {
    File { kind: &'static str, text: &'static str },
    Overview { app: &'a str },
    Tail { app: &'a str },
}

impl<'a> Ask<'a> {
    /// What a path's segments name.
    pub(crate) fn of(path: &[&'a str]) -> Option<Self> {
        Some(match *path {
            ["console"] => Ask::File { kind: "text/html; charset=utf-8", text: include_str!("../console/index.html") },
            ["console", "console.js"] => {
                Ask::File { kind: "text/javascript; charset=utf-8", text: include_str!("../console/console.js") }
            }
            ["console", "console.css"] => {
                Ask::File { kind: "text/css; charset=utf-8", text: include_str!("../console/console.css") }
            }
            ["console", "icon.svg"] => Ask::File { kind: "image/svg+xml", text: include_str!("../console/icon.svg") },
            ["api", "console", app] => Ask::Overview { app },
            ["api", "console", app, "tail"] => Ask::Tail { app },
            _ => return None,
        })
    }
}

/// Answers.
pub(crate) fn answer(ask: Ask<'_>, request: &Request<Incoming>, shared: &Shared) -> Result<Answer, Failure> {
    if request.method() != Method::GET {
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "the console is read-only: this is a GET"));
    }
    // Without tokens, a page of another host whose name was made to mean this machine could read everything.
    if shared.insecure && !asks_here(request) {
        let message = "a gateway that checks no tokens shows its console under localhost only";
        return Err(Failure::new(StatusCode::FORBIDDEN, "origin", message));
    }
    let mut answer = match ask {
        Ask::File { kind, text } => {
            let mut answer = Response::new(Full::from(text));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            answer
        }
        Ask::Overview { app } => {
            let app = allowed(app, request, shared)?;
            let mut answer = Response::new(Full::new(overview(&app, &parameter(request, "find")?, shared)?));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer
        }
        Ask::Tail { app } => {
            let app = allowed(app, request, shared)?;
            let after = parameter(request, "after")?.parse().unwrap_or(0);
            let news = app.hub.tails.after(&parameter(request, "topic")?, after).map_err(|_| too_many("tails"))?;
            json(StatusCode::OK, &json!(news))
        }
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn allowed(app: &str, request: &Request<Incoming>, shared: &Shared) -> Result<std::sync::Arc<App>, Failure> {
    let app = app_of(app, shared)?;
    need(&authorize(request.headers(), &app, shared)?, READ_CONSOLE)?;
    Ok(app)
}

/// Whether the browser was told to go to this machine by a name that nobody else can give it.
fn asks_here(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Uri>().ok());
    host.as_ref().and_then(Uri::host).is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
}

fn parameter(request: &Request<Incoming>, name: &str) -> Result<String, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let value = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    let value = value.map(|(_, value)| value.into_owned()).unwrap_or_default();
    match value.len() > FILTER {
        true => Err(Failure::new(StatusCode::BAD_REQUEST, "topic_too_long", format!("`{name}` is too long"))),
        false => Ok(value),
    }
}

fn too_many(what: &str) -> Failure {
    let message = format!("others look at as many {what} as there may be");
    Failure::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tails", message)
}

/// Overviews made lately, by their filter.
#[derive(Debug, Default)]
pub(crate) struct Overviews(Mutex<Vec<(String, Instant, Bytes)>>);

fn overview(app: &App, find: &str, shared: &Shared) -> Result<Bytes, Failure> {
    let mut made = app.overviews.0.lock().unwrap_or_else(PoisonError::into_inner);
    made.retain(|(_, time, _)| time.elapsed() < FRESH);
    if let Some((.., overview)) = made.iter().find(|(filter, ..)| filter == find) {
        return Ok(overview.clone());
    }
    if made.len() >= OVERVIEWS {
        return Err(too_many("overviews"));
    }
    app.hub.measure();
    let Survey { connections, topics, complete } = app.hub.survey(find, LISTED, LOOKED_AT);
    let metrics = &app.metrics;
    let overview = json!({
        "app": app.id,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": shared.started.elapsed().as_secs_f64(),
        "draining": *shared.stage.borrow() >= Stage::Draining,
        // With several gateways: the counts, connections and topics are of this one.
        "cluster": shared.cluster.as_ref().map(|cluster| json!({
            "nats": cluster.standing(),
            "members": shared.metrics.cluster_members.get(),
        })),
        // Counters are read at this time: rates are differences of both.
        "time": shared.started.elapsed().as_secs_f64(),
        "counts": {
            "connections": metrics.connections.get(),
            "connectionsOpened": metrics.connections_opened.get(),
            "subscriptions": metrics.subscriptions.get(),
            "topics": metrics.topics.get(),
            "messagesReceived": metrics.messages_received.get(),
            "receivedBytes": metrics.received_bytes.get(),
            "messagesDelivered": metrics.messages_delivered.get(),
            "deliveredBytes": metrics.delivered_bytes.get(),
            "acks": metrics.acks.get(),
            "publishesRefused": metrics.publishes_refused.get(),
            "slowConsumers": metrics.slow_consumers.get(),
            "queuedBytes": metrics.queued_bytes.get(),
        },
        "connections": connections,
        "topics": topics,
        "complete": complete,
    });
    let overview = Bytes::from(overview.to_string());
    made.push((find.to_owned(), Instant::now(), overview.clone()));
    Ok(overview)
}
