//! The embedded gateway, for tests and development.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint32ArraySlice, Unknown};
use napi_derive::napi;
use realtime_pubsub::runtime;
use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, KeySet, Limits, Target, TlsOptions, TokenRequest};

use crate::batch::Writer;
use crate::error::{Result, gateway as failed, invalid, thrown};
use crate::faults::NativeFaults;
use crate::hub::{Link, NativeHub, News};
use crate::options::duration;
use crate::text::{string_or_null, words as written};

/// See `GatewayOptions` in `ts/gateway.ts`.
#[napi(object)]
pub struct NativeGatewayOptions {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub apps: Option<Vec<NativeApp>>,
    pub insecure: Option<bool>,
    pub cert: Option<String>,
    pub key: Option<String>,
    pub drain: Option<f64>,
    pub message_bytes: Option<u32>,
    pub connections_per_subject: Option<u32>,
    pub messages_per_second: Option<u32>,
    pub subscriptions_per_connection: Option<u32>,
    pub topic_bytes: Option<u32>,
    pub outbound_bytes: Option<u32>,
    pub handshake_timeout: Option<f64>,
    pub idle_timeout: Option<f64>,
    pub close_timeout: Option<f64>,
}

#[napi(object)]
pub struct NativeApp {
    pub id: String,
    pub acks: Option<bool>,
    pub secret: Option<String>,
    pub admin_secret: Option<String>,
}

#[napi(object)]
pub struct NativeTokenRequest {
    pub subject: String,
    pub permissions: Option<Vec<String>>,
    /// In milliseconds; negative ones have passed.
    pub expires_in: Option<f64>,
    pub app: Option<String>,
}

#[napi(object)]
pub struct NativeConnection {
    pub id: String,
    pub app: String,
    pub subject: String,
    pub remote_address: String,
}

#[napi]
pub struct NativeGateway {
    gateway: Arc<Gateway>,
    link: Arc<Link>,
    writer: RefCell<Writer>,
}

fn options(given: NativeGatewayOptions) -> Result<GatewayOptions> {
    let host = given.host.as_deref().unwrap_or("127.0.0.1");
    let host = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host.parse().map_err(|_| invalid(format!("option host must be an IP address, not {host:?}")))?,
    };
    let mut options = GatewayOptions::default()
        .listen(SocketAddr::new(host, given.port.unwrap_or(0)))
        .insecure(given.insecure.unwrap_or(false))
        .limits(limits(&given)?);
    for app in given.apps.unwrap_or_default() {
        let mut made = AppOptions::new(app.id).acks(app.acks.unwrap_or(true));
        if let Some(secret) = app.secret {
            made = made.client_keys(KeySet::secret(secret));
        }
        if let Some(secret) = app.admin_secret {
            made = made.admin_keys(KeySet::secret(secret));
        }
        options = options.app(made);
    }
    if let Some(drain) = given.drain {
        options = options.drain(time("drain", drain)?);
    }
    match (given.cert, given.key) {
        (Some(cert), Some(key)) => Ok(options.tls(TlsOptions::pem(cert, key))),
        (None, None) => Ok(options),
        _ => Err(invalid("options cert and key need one another")),
    }
}

fn time(name: &str, milliseconds: f64) -> Result<std::time::Duration> {
    duration(milliseconds).ok_or_else(|| invalid(format!("option {name} must be milliseconds, not {milliseconds}")))
}

fn limits(given: &NativeGatewayOptions) -> Result<Limits> {
    let mut limits = Limits::default().messages_per_second(given.messages_per_second);
    let counts = [
        (given.message_bytes, &mut limits.message_bytes),
        (given.connections_per_subject, &mut limits.connections_per_subject),
        (given.subscriptions_per_connection, &mut limits.subscriptions_per_connection),
        (given.topic_bytes, &mut limits.topic_bytes),
        (given.outbound_bytes, &mut limits.outbound_bytes),
    ];
    for (value, limit) in counts {
        if let Some(value) = value {
            *limit = value as usize;
        }
    }
    let times = [
        ("handshakeTimeout", given.handshake_timeout, &mut limits.handshake),
        ("idleTimeout", given.idle_timeout, &mut limits.idle),
        ("closeTimeout", given.close_timeout, &mut limits.close),
    ];
    for (name, value, limit) in times {
        if let Some(value) = value {
            *limit = time(name, value)?;
        }
    }
    Ok(limits)
}

impl NativeTokenRequest {
    fn request(self) -> (Option<String>, TokenRequest) {
        let mut request = TokenRequest::new(self.subject);
        if let Some(permissions) = self.permissions {
            request = request.permissions(permissions);
        }
        match self.expires_in {
            Some(milliseconds) if milliseconds > 0.0 => {
                request = request.expires_in(duration(milliseconds).unwrap_or_default());
            }
            Some(_) => request = request.expires_at(1),
            None => {}
        }
        (self.app, request)
    }
}

/// `all`, or the connections of this id or this subject.
pub(crate) fn target(by: &str, value: Option<String>) -> Target {
    match (by, value) {
        ("connection", Some(id)) => Target::Connection(id),
        ("subject", Some(subject)) => Target::Subject(subject),
        _ => Target::All,
    }
}

#[napi]
impl NativeGateway {
    /// Starts a gateway on a thread of its own.
    #[napi(factory, catch_unwind)]
    pub fn start(hub: &NativeHub, given: NativeGatewayOptions) -> Result<Self> {
        let gateway = Gateway::start_blocking(options(given)?).map_err(|error| failed(&error))?;
        Ok(NativeGateway { gateway: Arc::new(gateway), link: hub.link(), writer: RefCell::new(Writer::new(false)) })
    }

    #[napi(catch_unwind)]
    pub fn source(&self) -> u32 {
        self.link.number()
    }

    #[napi(catch_unwind)]
    pub fn drain<'env>(&self, env: &'env Env, mut words: Uint32ArraySlice<'_>) -> napi::Result<Option<Unknown<'env>>> {
        let mut writer = self.writer.borrow_mut();
        let mut batch = writer.batch(written(&mut words));
        for news in self.link.take() {
            batch.news(&news);
        }
        string_or_null(env, batch.finish(false))
    }

    /// Stops, and settles the token when it has.
    #[napi(catch_unwind)]
    pub fn stop(&self, token: f64) -> Result<()> {
        let (gateway, link) = (Arc::clone(&self.gateway), Arc::clone(&self.link));
        let runtime = runtime::handle().map_err(|error| thrown(&error))?;
        runtime.spawn(async move {
            gateway.stop().await;
            link.tell(News::Done { token: token as u64, outcome: Ok(None) });
        });
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn port(&self) -> u16 {
        self.gateway.address().port()
    }

    #[napi(catch_unwind)]
    pub fn url(&self, app: Option<String>) -> Result<String> {
        match app {
            Some(app) => self.gateway.url_of(&app).map_err(|error| failed(&error)),
            None => Ok(self.gateway.url()),
        }
    }

    #[napi(catch_unwind)]
    pub fn http_url(&self) -> String {
        self.gateway.http_url()
    }

    #[napi(catch_unwind)]
    pub fn app(&self) -> String {
        self.gateway.app().to_owned()
    }

    #[napi(catch_unwind)]
    pub fn token(&self, request: NativeTokenRequest) -> Result<String> {
        let made = match request.request() {
            (Some(app), request) => self.gateway.token_of(&app, request),
            (None, request) => self.gateway.token(request),
        };
        made.map_err(|error| failed(&error))
    }

    #[napi(catch_unwind)]
    pub fn admin_token(&self, request: NativeTokenRequest) -> Result<String> {
        let made = match request.request() {
            (Some(app), request) => self.gateway.admin_token_of(&app, request),
            (None, request) => self.gateway.admin_token(request),
        };
        made.map_err(|error| failed(&error))
    }

    #[napi(catch_unwind)]
    pub fn connections(&self) -> Vec<NativeConnection> {
        let connections = self.gateway.connections().into_iter();
        connections
            .map(|connection| NativeConnection {
                id: connection.id,
                app: connection.app,
                subject: connection.subject,
                remote_address: connection.remote_address.to_string(),
            })
            .collect()
    }

    #[napi(catch_unwind)]
    pub fn kick(&self, by: String, value: Option<String>, code: u16, reason: String) -> u32 {
        self.gateway.kick(target(&by, value), code, &reason) as u32
    }

    #[napi(catch_unwind)]
    pub fn faults(&self) -> NativeFaults {
        NativeFaults::new(self.gateway.faults())
    }
}
