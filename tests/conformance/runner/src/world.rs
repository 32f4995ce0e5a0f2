//! The gateway of a run, and the faults it is told to have.

use std::net::SocketAddr;
use std::time::Duration;

use realtime_pubsub_gateway::{
    AckFault, AppOptions, ConnectFault, Gateway, GatewayOptions, KeySet, Limits, Target, TokenRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::json::Json;

/// The gateway of a run.
pub(crate) struct World {
    gateway: Gateway,
    options: GatewayOptions,
    /// Made before the gateway was ever stopped: keys stay the same.
    admin: String,
}

fn text<'a>(step: &'a Json, name: &str) -> Option<&'a str> {
    step.get(name).and_then(Json::as_str)
}

fn number(step: &Json, name: &str) -> Option<u64> {
    step.get(name).and_then(Json::as_u64)
}

fn ms(step: &Json, name: &str) -> Duration {
    Duration::from_millis(number(step, name).unwrap_or(0))
}

fn code(step: &Json, name: &str) -> Result<u16, String> {
    let code = number(step, name).and_then(|code| u16::try_from(code).ok());
    code.ok_or_else(|| format!("{name} wants a number up to 65535"))
}

impl World {
    pub(crate) async fn start(settings: &Json, authority: Option<&Authority>) -> Result<World, String> {
        let mut limits = Limits::default();
        let mut app = AppOptions::new("local")
            .client_keys(KeySet::secret("conformance clients"))
            .admin_keys(KeySet::secret("conformance admins"));
        for (name, value) in settings.fields().into_iter().flatten() {
            let count = value.as_u64().map(|count| count as usize);
            let wrong = || format!("the gateway's {name} can't be {value}");
            match name.as_str() {
                "acks" => app = app.acks(value.as_bool().ok_or_else(wrong)?),
                "message_bytes" => limits.message_bytes = count.ok_or_else(wrong)?,
                "outbound_bytes" => limits.outbound_bytes = count.ok_or_else(wrong)?,
                "connections_per_subject" => limits.connections_per_subject = count.ok_or_else(wrong)?,
                "messages_per_second" => limits.messages_per_second = Some(count.ok_or_else(wrong)? as u32),
                _ => return Err(format!("the gateway has no setting {name}")),
            }
        }
        let mut options = GatewayOptions::default().app(app).limits(limits).drain(Duration::from_secs(1));
        if let Some(authority) = authority {
            options = options.tls(authority.gateway()?);
        }
        let gateway = Gateway::start(options.clone()).await.map_err(|error| error.to_string())?;
        let options = options.listen(gateway.address());
        let admin = gateway.admin_token("conformance").map_err(|error| error.to_string())?;
        Ok(World { gateway, options, admin })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// A URL for a client: its subject, and its permissions unless it has all.
    pub(crate) fn url(&self, subject: &str, permissions: Option<&[Json]>) -> Result<String, String> {
        let mut token = TokenRequest::new(subject);
        if let Some(permissions) = permissions {
            token = token.permissions(permissions.iter().filter_map(Json::as_str));
        }
        self.gateway.url_with_token(token).map_err(|error| error.to_string())
    }

    /// Does what a step says. `subject` is that of the client which the step names.
    pub(crate) async fn act(&mut self, action: &str, step: &Json, subject: Option<&str>) -> Result<Json, String> {
        let faults = self.gateway.faults();
        let target = || subject.map_or(Target::All, |subject| Target::Subject(subject.to_owned()));
        let reason = text(step, "reason").unwrap_or_default();
        let some = |count: usize| if count > 0 { Ok(()) } else { Err(format!("{action}: there was no connection")) };
        match action {
            "kick" => some(self.gateway.kick(target(), code(step, "code")?, reason))?,
            "close" => some(faults.close(target(), code(step, "code")?, reason))?,
            "reset" => some(faults.reset(target()))?,
            "acks" => faults.acks(match step.get("fault") {
                Some(Json::String(fault)) if fault == "drop" => AckFault::Drop,
                Some(Json::String(fault)) if fault == "none" => AckFault::None,
                Some(Json::Number(_)) => AckFault::Delay(ms(step, "fault")),
                other => return Err(format!("acks: no such fault: {other:?}")),
            }),
            "stall" => faults.stall(target()),
            "unstall" => faults.unstall(),
            "pings" => faults.swallow_pings(step.get("swallow").and_then(Json::as_bool).unwrap_or(true)),
            "split" => faults.split_writes(number(step, "bytes").unwrap_or(1) as usize, ms(step, "pause")),
            "connects" => {
                let fault = connect_fault(step.get("fault").unwrap_or(&Json::Null))?;
                match number(step, "count") {
                    Some(count) => faults.on_next_connects(count as usize, fault),
                    None => faults.on_connect(fault),
                }
            }
            "clear" => faults.clear(),
            "send" => {
                let frame = match (step.get("frame"), text(step, "text")) {
                    (Some(frame), None) => frame.to_string(),
                    (None, Some(text)) => text.to_owned(),
                    _ => return Err("send wants either a frame or a text".into()),
                };
                some(match step.get("binary").and_then(Json::as_bool) {
                    Some(true) => faults.send_binary(target(), frame),
                    _ => faults.send_text(target(), frame),
                })?;
            }
            "bytes" => {
                let bytes = step.get("bytes").and_then(Json::as_array).unwrap_or_default();
                let bytes: Vec<u8> = bytes.iter().filter_map(Json::as_u64).map(|byte| byte as u8).collect();
                some(faults.send_bytes(target(), &bytes))?;
            }
            "rest" => return self.rest(step).await,
            "connections" => return Ok((self.gateway.connections().len() as u64).into()),
            "stop" => self.gateway.stop().await,
            "start" => {
                let options = self.options.clone();
                self.gateway = Gateway::start(options).await.map_err(|error| error.to_string())?;
            }
            _ => return Err(format!("the gateway does not know {action:?}")),
        }
        Ok(Json::Null)
    }

    /// A REST call: its status and body.
    async fn rest(&self, step: &Json) -> Result<Json, String> {
        let failed = |error: std::io::Error| format!("the REST call failed: {error}");
        let (method, path) = (text(step, "method").unwrap_or("POST"), text(step, "path").unwrap_or_default());
        let body = step.get("body").map(Json::to_string).unwrap_or_default();
        let address = self.gateway.address();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(failed)?;
        let status = answer.split(' ').nth(1).unwrap_or("0").to_owned();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let body = Json::parse(body).unwrap_or_else(|_| body.into());
        Ok(Json::object([("status", Json::Number(status)), ("body", body)]))
    }
}

fn connect_fault(fault: &Json) -> Result<ConnectFault, String> {
    if let Some(name) = fault.as_str() {
        return Ok(match name {
            "half_open" => ConnectFault::HalfOpen,
            "close_tcp" => ConnectFault::CloseTcp,
            "reset_tcp" => ConnectFault::ResetTcp,
            "no_welcome" => ConnectFault::NoWelcome,
            _ => return Err(format!("no such fault of connects: {name}")),
        });
    }
    if fault.get("refuse").is_some() {
        return Ok(ConnectFault::Refuse(code(fault, "refuse")?));
    }
    if fault.get("close_after_welcome").is_some() {
        return Ok(ConnectFault::CloseAfterWelcome(code(fault, "close_after_welcome")?));
    }
    if fault.get("close_before_welcome").is_some() {
        return Ok(ConnectFault::CloseBeforeWelcome(code(fault, "close_before_welcome")?));
    }
    Err(format!("no such fault of connects: {fault}"))
}
