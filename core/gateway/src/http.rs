//! HTTP: which request is what, the upgrade to WebSocket, and how errors are told.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::connection::Connection;
use crate::console::{self, Ask};
use crate::fault::ConnectFault;
use crate::hub::{Peer, random_id};
use crate::options::Limits;
use crate::outbox::Order;
use crate::rest::{self, Call};
use crate::server::{Alive, App, Shared, Stage};
use crate::session::Session;
use crate::stream::Stream;
use crate::token::{Identity, believe, verify};
use crate::websocket::accept_key;

pub(crate) type Answer = Response<Full<Bytes>>;

/// An HTTP error: `{"error":{"code":…,"message":…}}`.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// For programs; see the crate's documentation for all of them.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Failure { status, code, message: message.into() }
    }

    fn answer(&self) -> Answer {
        let body = serde_json::json!({"error": {"code": self.code, "message": self.message}});
        let mut answer = json(self.status, &body);
        if self.code == "websocket_version" {
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        answer
    }
}

pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Answers a request.
pub(crate) async fn handle(
    request: Request<Incoming>,
    remote: SocketAddr,
    shared: Arc<Shared>,
    alive: Alive,
    fault: Option<ConnectFault>,
) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).take(6).collect();
    let console = Ask::of(&segments).filter(|_| shared.console);
    let answer = match (&segments[..], Call::of(&segments), console) {
        _ if shared.insecure && !from_here(request.headers()) => {
            let message = "a gateway that checks no tokens takes no requests from web pages of other hosts";
            Err(Failure::new(StatusCode::FORBIDDEN, "origin", message))
        }
        (_, _, Some(ask)) => console::answer(ask, &request, &shared),
        (_, Some(call), _) => rest::answer(call, request, &shared).await,
        (["apps", app], ..) => upgrade(request, app, remote, &shared, alive, fault)
            .inspect_err(|failure| shared.metrics.refused(failure.code)),
        (["healthz"], ..) => Ok(json(StatusCode::OK, &health(&shared))),
        (["metrics"], ..) => Ok(text(shared.metrics_text())),
        _ => Err(Failure::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")),
    };
    let answer = answer.unwrap_or_else(|failure| {
        debug!(%remote, status = %failure.status, code = failure.code, "request refused");
        failure.answer()
    });
    shared.metrics.answered(answer.status().as_u16());
    Ok(answer)
}

/// Whether a request comes from no web page, or from one of this machine. Without tokens, any page that is open in a
/// browser here could talk to the gateway otherwise.
fn from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    uri.as_ref().and_then(Uri::host).is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
}

/// With NATS away a gateway still serves its own clients, so that is no reason to take it out of service: the status
/// stays 200.
fn health(shared: &Shared) -> serde_json::Value {
    match shared.cluster.as_ref().map(|cluster| cluster.standing()) {
        None => serde_json::json!({"status": "ok"}),
        Some("connected") => serde_json::json!({"status": "ok", "nats": "connected"}),
        Some(other) => serde_json::json!({"status": "degraded", "nats": other}),
    }
}

fn text(body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// One of the gateway's connections, and of a subject's, from its handshake to its end.
struct Claim {
    shared: Arc<Shared>,
    app: Arc<App>,
    subject: Arc<str>,
}

impl Claim {
    fn new(shared: &Arc<Shared>, app: &Arc<App>, subject: &Arc<str>) -> Result<Self, Failure> {
        let Limits { connections, connections_per_subject, .. } = shared.limits;
        if shared.claimed.fetch_add(1, Ordering::Relaxed) >= connections {
            shared.claimed.fetch_sub(1, Ordering::Relaxed);
            let message = "the gateway has as many connections as it may";
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "gateway_full", message));
        }
        if !app.hub.claim(subject, connections_per_subject) {
            shared.claimed.fetch_sub(1, Ordering::Relaxed);
            let message = "this subject has as many connections as it may";
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", message));
        }
        Ok(Claim { shared: shared.clone(), app: app.clone(), subject: subject.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.app.hub.unclaim(&self.subject);
        self.shared.claimed.fetch_sub(1, Ordering::Relaxed);
    }
}

fn upgrade(
    mut request: Request<Incoming>,
    app: &str,
    remote: SocketAddr,
    shared: &Arc<Shared>,
    alive: Alive,
    fault: Option<ConnectFault>,
) -> Result<Answer, Failure> {
    if let Some(ConnectFault::Refuse(status)) = fault {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        return Err(Failure::new(status, "fault", "refused for a test"));
    }
    let accept = handshake(&request)?;
    let app = app_of(app, shared)?;
    let Identity { subject, permissions } = identify(&request, &app, shared)?;
    let subject: Arc<str> = subject.into();
    let claim = Claim::new(shared, &app, &subject)?;
    let number = shared.number();
    let peer = Peer::new(number, random_id().into(), subject, permissions, remote, shared.limits.outbound_bytes);
    let upgraded = hyper::upgrade::on(&mut request);
    let shared = shared.clone();
    tokio::spawn(async move {
        serve_upgraded(upgraded, shared, app, peer, fault).await;
        drop((claim, alive));
    });
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(answer)
}

async fn serve_upgraded(
    upgraded: OnUpgrade,
    shared: Arc<Shared>,
    app: Arc<App>,
    peer: Peer,
    fault: Option<ConnectFault>,
) {
    let upgraded = match upgraded.await {
        Ok(upgraded) => upgraded,
        Err(error) => return debug!(%error, "upgrade failed"),
    };
    let (stream, early) = match take_apart(upgraded) {
        Some(parts) => parts,
        None => return warn!("an upgraded connection is not of the expected kind"),
    };
    let peer = Arc::new(peer);
    peer.outbox().closed = fault == Some(ConnectFault::NoWelcome);
    app.hub.join(&peer);
    // Once it is welcome, it gets what any gateway publishes.
    if let Some(cluster) = &shared.cluster {
        cluster.settle().await;
    }
    let session = Session::new(shared.clone(), app, peer.clone(), Instant::now());
    let connection = Box::new(Connection::new(stream, &early, session, fault.as_ref()));
    // Whoever stops the gateway may have looked for connections before this one was there.
    if *shared.stage.borrow() >= Stage::Draining {
        peer.order(Order::going_away());
    }
    drop((early, fault, peer, shared));
    connection.await;
}

/// The socket itself, so that nothing of the HTTP connection stays, and what was read beyond the request.
fn take_apart(upgraded: Upgraded) -> Option<(Stream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf))
}

/// Checks that the request is a WebSocket handshake (RFC 6455, 4.2.1); the key that accepts it.
fn handshake(request: &Request<Incoming>) -> Result<HeaderValue, Failure> {
    let headers = request.headers();
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        let message = "connect with WebSocket here";
        return Err(Failure::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message));
    }
    if request.method() != Method::GET {
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "a WebSocket handshake is a GET"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Failure::new(StatusCode::UPGRADE_REQUIRED, "websocket_version", "WebSocket version 13 is needed"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |nonce| nonce.len()) != 16 {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "websocket_key", "Sec-WebSocket-Key is missing or wrong"));
    }
    HeaderValue::try_from(accept_key(key))
        .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "websocket_key", "Sec-WebSocket-Key is wrong"))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
}

pub(crate) fn app_of(app: &str, shared: &Shared) -> Result<Arc<App>, Failure> {
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "app_not_found", "there is no such app here");
    shared.apps.get(app).cloned().ok_or_else(unknown)
}

/// Who wants to connect.
fn identify(request: &Request<Incoming>, app: &App, shared: &Shared) -> Result<Identity, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let token = pairs.find(|(name, _)| name == "access_token").map(|(_, token)| token).unwrap_or_default();
    if shared.insecure {
        return Ok(believe(&token));
    }
    verify(&token, &app.id, &app.keys().client)
        .map_err(|refusal| Failure::new(StatusCode::UNAUTHORIZED, refusal.name(), refusal.to_string()))
}
