//! The REST calls, for administrators.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Request, StatusCode};
use realtime_pubsub_protocol::envelope::Delivery;
use realtime_pubsub_protocol::permission::{MANAGE_CONNECTIONS, MANAGE_SUBSCRIBERS};
use realtime_pubsub_protocol::{Permissions, RawJson, TOPIC_ACKS, TYPE_BROADCAST};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::cluster::Call as ClusterCall;
use crate::http::{Answer, Failure, app_of, json};
use crate::hub::{Message, Published};
use crate::server::{App, Shared};
use crate::token::{believe, verify};

/// Topic patterns of one unsubscribe call.
const MAX_PATTERNS: usize = 50;

/// A call's path, below `/api`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    Publish { app: &'a str },
    Unsubscribe { app: &'a str },
    Terminate { app: &'a str, connection: Option<&'a str> },
}

impl<'a> Call<'a> {
    /// The call that a path's segments name.
    pub(crate) fn of(path: &[&'a str]) -> Option<Self> {
        match *path {
            ["api", "topics", app, "publish"] => Some(Call::Publish { app }),
            ["api", "topics", app, "unsubscribe"] => Some(Call::Unsubscribe { app }),
            ["api", "connections", app] => Some(Call::Terminate { app, connection: None }),
            ["api", "connections", app, id] => Some(Call::Terminate { app, connection: Some(id) }),
            _ => None,
        }
    }

    fn app(self) -> &'a str {
        match self {
            Call::Publish { app } | Call::Unsubscribe { app } | Call::Terminate { app, .. } => app,
        }
    }

    fn method(self) -> Method {
        match self {
            Call::Terminate { .. } => Method::DELETE,
            _ => Method::POST,
        }
    }
}

#[derive(Deserialize)]
struct Publish<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow, rename = "messageType")]
    message_type: Option<Cow<'a, str>>,
    #[serde(default)]
    compress: bool,
}

#[derive(Deserialize)]
struct Unsubscribe<'a> {
    #[serde(borrow, rename = "topicPatterns")]
    patterns: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
}

/// Answers a call.
pub(crate) async fn answer(call: Call<'_>, request: Request<Incoming>, shared: &Shared) -> Result<Answer, Failure> {
    let app = app_of(call.app(), shared)?;
    let may = authorize(request.headers(), &app, shared)?;
    if request.method() != call.method() {
        let message = format!("this call is a {}", call.method());
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", message));
    }
    match call {
        Call::Publish { .. } => {
            let body = body(request, shared).await?;
            let call: Publish<'_> = parse(&body)?;
            publish(&call, &app, &may, shared).await
        }
        Call::Unsubscribe { .. } => {
            need(&may, MANAGE_SUBSCRIBERS)?;
            let body = body(request, shared).await?;
            unsubscribe(&parse(&body)?, &app).await
        }
        Call::Terminate { connection, .. } => {
            need(&may, MANAGE_CONNECTIONS)?;
            terminate(connection, &app).await
        }
    }
}

async fn publish(call: &Publish<'_>, app: &App, may: &Permissions, shared: &Shared) -> Result<Answer, Failure> {
    if call.topic.len() > shared.limits.topic_bytes {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "topic_too_long", "the topic's name is too long"));
    }
    if call.topic == TOPIC_ACKS || !may.publish(&call.topic) {
        return Err(forbidden("the token does not allow publishing to this topic"));
    }
    let scope = app.hub.scope.as_ref();
    let name = scope.map(|_| rand::random());
    let message = Message {
        delivery: Delivery {
            topic: &call.topic,
            message_type: call.message_type.as_deref().unwrap_or(TYPE_BROADCAST),
            client: None,
            payload: RawJson::from(call.message),
            id: None,
        },
        compress: call.compress,
    };
    let Published { mut delivered, epoch } = app.hub.publish(&message, name);
    if let (Some(scope), Some(message)) = (scope, name) {
        if epoch.is_none() || !scope.cluster.settle().await {
            return Err(nats_away("the message reached clients of this gateway only"));
        }
        delivered += scope.call(ClusterCall::Delivered { message }).await;
    }
    Ok(json(StatusCode::OK, &json!({ "delivered": delivered })))
}

/// Has the other gateways do something, if there are any; the sum of their answers.
async fn elsewhere(app: &App, call: impl FnOnce() -> ClusterCall) -> Result<usize, Failure> {
    match &app.hub.scope {
        None => Ok(0),
        Some(scope) if scope.cluster.up() => Ok(scope.call(call()).await),
        Some(_) => Err(nats_away("this was done at this gateway only")),
    }
}

fn nats_away(what: &'static str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "nats_away", format!("NATS is away: {what}"))
}

async fn unsubscribe(call: &Unsubscribe<'_>, app: &App) -> Result<Answer, Failure> {
    if call.patterns.len() > MAX_PATTERNS {
        let message = format!("topicPatterns has more than {MAX_PATTERNS} entries");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "too_many_patterns", message));
    }
    let mut ended = app.hub.unsubscribe_matching(&call.subject, &call.patterns);
    ended += elsewhere(app, || ClusterCall::Unsubscribe {
        subject: call.subject.clone().into_owned(),
        patterns: call.patterns.iter().map(|pattern| pattern.clone().into_owned()).collect(),
    })
    .await?;
    Ok(json(StatusCode::OK, &json!({ "unsubscribed": ended })))
}

async fn terminate(connection: Option<&str>, app: &App) -> Result<Answer, Failure> {
    let mut terminated = app.hub.terminate(connection);
    // The one that is meant is at one gateway only.
    if connection.is_none() || terminated == 0 {
        terminated += elsewhere(app, || ClusterCall::Terminate { connection: connection.map(str::to_owned) }).await?;
    }
    if connection.is_some() && terminated == 0 {
        return Err(Failure::new(StatusCode::NOT_FOUND, "connection_not_found", "there is no such connection"));
    }
    Ok(json(StatusCode::OK, &json!({ "terminated": terminated })))
}

pub(crate) fn authorize(headers: &HeaderMap, app: &App, shared: &Shared) -> Result<Permissions, Failure> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    if shared.insecure {
        return Ok(believe(token).permissions);
    }
    match verify(token, &app.id, &app.keys().admin) {
        Ok(identity) => Ok(identity.permissions),
        Err(refusal) => Err(Failure::new(StatusCode::UNAUTHORIZED, refusal.name(), refusal.to_string())),
    }
}

pub(crate) fn need(may: &Permissions, permission: &'static str) -> Result<(), Failure> {
    if may.has(permission) {
        return Ok(());
    }
    Err(forbidden(format!("the token lacks the permission {permission}")))
}

fn forbidden(message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "forbidden", message)
}

async fn body(request: Request<Incoming>, shared: &Shared) -> Result<Bytes, Failure> {
    let limit = shared.limits.message_bytes;
    match timeout(shared.limits.handshake, Limited::new(request.into_body(), limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {limit} bytes");
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_big", message))
        }
        Ok(Err(_)) => Err(Failure::new(StatusCode::BAD_REQUEST, "body", "the body can't be read")),
        Err(_) => Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long")),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(StatusCode::BAD_REQUEST, "body", format!("the body is not as it should be: {error}"))
    })
}

/// Whether a topic is one that an unsubscribe call means: `*` stands for any text. Our reading; the service's is not known.
pub(crate) fn matches(pattern: &str, topic: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = topic.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, topic, matched) in [
            ("", "", true),
            ("", "a", false),
            ("chat", "chat", true),
            ("chat", "chat/1", false),
            ("*", "", true),
            ("*", "any/thing.at@all", true),
            ("chat/*", "chat/1", true),
            ("chat/*", "chat", false),
            ("*/1", "chat/1", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "ac", false),
            ("a**c", "abc", true),
            ("ab*ba", "aba", false),
            ("*a*", "ba", true),
        ] {
            assert_eq!(matches(pattern, topic), matched, "{pattern} {topic}");
        }
    }
}
