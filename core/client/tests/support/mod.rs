//! A gateway, clients of it, and what tests hear.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "for tests, each of which uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_pubsub::{Client, ClientBuilder, ControlEvent, Event, IncomingMessage, Options};
use realtime_pubsub_gateway::{Gateway, GatewayOptions, TokenRequest};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub struct World {
    pub gateway: Gateway,
}

impl World {
    pub async fn new() -> Self {
        Self::with(GatewayOptions::default()).await
    }

    pub async fn with(options: GatewayOptions) -> Self {
        World { gateway: Gateway::start(options).await.unwrap() }
    }

    pub fn url(&self, subject: &str) -> String {
        self.gateway.url_with_token(TokenRequest::new(subject)).unwrap()
    }

    pub fn builder(&self, subject: &str) -> ClientBuilder {
        Client::builder().url(self.url(subject))
    }

    pub fn client_without_session(&self, subject: &str) -> Client {
        self.builder(subject).build().unwrap()
    }

    /// A connected client.
    pub async fn client(&self, subject: &str) -> Client {
        connected(self.builder(subject)).await
    }
}

/// Reconnect without delay, however often the connection goes.
pub fn eager(options: &mut Options) {
    options.backoff.min = Duration::from_millis(1);
    options.backoff.max = Duration::from_millis(5);
}

pub async fn connected(builder: ClientBuilder) -> Client {
    let client = builder.build().unwrap();
    client.connect().await.unwrap();
    client
}

/// What a listener makes of each message.
pub fn listen<T: Send + 'static>(
    client: &Client,
    pattern: &str,
    mut hear: impl FnMut(IncomingMessage) -> T + Send + 'static,
) -> UnboundedReceiver<T> {
    let (sender, receiver) = unbounded_channel();
    client.on(pattern, move |message| drop(sender.send(hear(message)))).unwrap();
    receiver
}

/// The control events of a kind.
pub fn events(client: &Client, kind: ControlEvent) -> UnboundedReceiver<Event> {
    let (sender, receiver) = unbounded_channel();
    client.on_event(kind, move |event| drop(sender.send(event))).unwrap();
    receiver
}

/// All that is logged on this thread while it lives.
pub struct CapturedLog {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl CapturedLog {
    pub fn start() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || Written(Arc::clone(&written)))
            .finish();
        CapturedLog { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
