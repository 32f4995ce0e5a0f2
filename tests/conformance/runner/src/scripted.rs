//! A server that does what a scenario says, frame by frame: for what a gateway never sends, and to see what is sent to it.

use std::collections::HashMap;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::authority::Authority;
use crate::driver::PATIENCE;
use crate::json::Json;
use crate::pattern::shorten;

/// A socket, plain or under TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
type Connection = WebSocketStream<Box<dyn Stream>>;

/// The server of a run.
pub(crate) struct Scripted {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    connections: HashMap<String, Connection>,
    latest: String,
}

impl Scripted {
    pub(crate) async fn start(authority: Option<&Authority>) -> Result<Scripted, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let tls = authority.map(Authority::acceptor).transpose()?;
        Ok(Scripted { listener, address, tls, connections: HashMap::new(), latest: String::new() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, subject: &str) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}/apps/local?access_token={subject}", self.address)
    }

    /// Does what a step says.
    pub(crate) async fn act(&mut self, action: &str, step: &Json) -> Result<Json, String> {
        let acting = self.perform(action, step);
        let outcome = tokio::time::timeout(PATIENCE, acting).await;
        outcome.unwrap_or_else(|_| Err(format!("server.{action}: nothing in {PATIENCE:?}")))
    }

    async fn perform(&mut self, action: &str, step: &Json) -> Result<Json, String> {
        let name = step.get("connection").and_then(Json::as_str).unwrap_or(&self.latest).to_owned();
        if action == "accept" {
            let (stream, _) = self.listener.accept().await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let stream: Box<dyn Stream> = match &self.tls {
                // Refused on either side, that is what is to be seen.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(error) => return Ok(Json::object([("refused", error.to_string().as_str().into())])),
                },
                None => Box::new(stream),
            };
            let socket = tokio_tungstenite::accept_async(stream).await.map_err(|error| error.to_string())?;
            self.latest.clone_from(&name);
            self.connections.insert(name, socket);
            return Ok(Json::Null);
        }
        if action == "drop" {
            let gone = self.connections.remove(&name);
            return gone.map(|_| Json::Null).ok_or_else(|| format!("there is no connection {name:?}"));
        }
        let socket = self.connections.get_mut(&name).ok_or_else(|| format!("there is no connection {name:?}"))?;
        let frame = || step.get("frame").map(Json::to_string).unwrap_or_default();
        let message = match action {
            "receive" => return receive(socket, step.get("pings").and_then(Json::as_bool) == Some(true)).await,
            "welcome" => {
                let id = step.get("id").and_then(Json::as_str).unwrap_or("c1");
                Message::text(format!(
                    r#"{{"topic":"main","messageType":"welcome","data":{{"connection":{{"id":"{id}","appId":"local","remoteAddress":"127.0.0.1"}}}}}}"#
                ))
            }
            "send" => Message::text(frame()),
            "send_binary" => Message::binary(frame().into_bytes()),
            "close" => {
                let code = step.get("code").and_then(Json::as_u64).unwrap_or(1000) as u16;
                let reason = step.get("reason").and_then(Json::as_str).unwrap_or_default().to_owned();
                Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
            }
            _ => return Err(format!("the server does not know {action:?}")),
        };
        socket.send(message).await.map_err(|error| format!("server.{action}: {error}"))?;
        Ok(Json::Null)
    }
}

/// The next frame: JSON as it is, a ping, a close frame. Pings are answered, and passed over unless they are asked for.
async fn receive(socket: &mut Connection, pings: bool) -> Result<Json, String> {
    loop {
        let message = match socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Ok(Json::object([("ended", error.to_string().as_str().into())])),
            None => return Ok(Json::object([("ended", "closed".into())])),
        };
        // Sends the pong, or the close frame, that reading has queued.
        let _ = socket.flush().await;
        return Ok(match message {
            Message::Text(text) => {
                Json::parse(&text).map_err(|error| format!("{error} in {}", shorten(&(&*text).into())))?
            }
            Message::Close(frame) => {
                let (code, reason) =
                    frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                Json::object([("close", u64::from(code).into()), ("reason", reason.as_str().into())])
            }
            Message::Ping(_) if pings => Json::object([("ping", true.into())]),
            Message::Ping(_) | Message::Pong(_) => continue,
            other => return Err(format!("a client sent {other:?}")),
        });
    }
}
