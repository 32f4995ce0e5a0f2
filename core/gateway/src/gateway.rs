//! The handle of a running gateway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll, Wake, Waker};

use tokio::net::TcpListener;
use tracing::info;

use crate::check;
use crate::cluster::{Cluster, Scope};
use crate::error::GatewayError;
use crate::fault::Faults;
use crate::hub::Hub;
use crate::key::KeySet;
use crate::metrics::Metrics;
use crate::options::{AppOptions, GatewayOptions};
use crate::outbox::Order;
use crate::server::{App, Keys, Policy, Shared, Stage, run};
use crate::tls;
use crate::token::TokenRequest;

/// A running gateway. When it is dropped the gateway ends at once, without a word to its clients; see
/// [`Gateway::stop`].
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    address: SocketAddr,
    secure: bool,
    /// The app that calls without an app's name are about: the first.
    app: Arc<App>,
}

/// Which connections are meant, in all apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All of them.
    All,
    /// The one with this id, as its welcome said.
    Connection(String),
    /// All whose token has this subject.
    Subject(String),
}

/// A connection, see [`Gateway::connections`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its id, as its welcome said.
    pub id: String,
    /// The app it is connected to.
    pub app: String,
    /// Its token's subject.
    pub subject: String,
    /// The client's address.
    pub remote_address: SocketAddr,
}

impl Gateway {
    /// Starts a gateway on the runtime that this is called on. It serves from when this returns.
    ///
    /// # Errors
    /// When the address can't be listened on, or the options are not good: see [`GatewayError`].
    pub async fn start(options: GatewayOptions) -> Result<Gateway, GatewayError> {
        check::options(&options)?;
        let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let failed = |source| GatewayError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Arc::new(Metrics::new());
        let mut apps = options.apps;
        if apps.is_empty() {
            apps.push(AppOptions::new("local"));
        }
        #[cfg(feature = "nats")]
        let (cluster, first) = match &options.nats {
            None => (None, None),
            Some(nats) => {
                let cluster = Cluster::new(nats, metrics.clone()).map_err(GatewayError::InvalidOptions)?;
                let first = cluster.connect().await.map_err(GatewayError::Nats)?;
                (Some(Arc::new(cluster)), first)
            }
        };
        #[cfg(not(feature = "nats"))]
        let cluster: Option<Arc<Cluster>> = None;
        let app = |options| Arc::new(App::new(options, &metrics, cluster.clone()));
        let apps: Vec<_> = apps.into_iter().map(app).collect();
        let Some(app) = apps.first().cloned() else {
            return Err(GatewayError::InvalidOptions("there is no app".into()));
        };
        let apps: HashMap<_, _> = apps.into_iter().map(|app| (app.id.clone(), app)).collect();
        let policy = Policy {
            limits: options.limits,
            insecure: options.insecure,
            console: options.console,
            drain: options.drain,
            drain_window: options.drain_window,
        };
        let shared = Arc::new(Shared::new(apps, policy, metrics, cluster));
        #[cfg(feature = "nats")]
        if let Some(cluster) = shared.cluster.clone() {
            let shared = shared.clone();
            let alone = cluster.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = cluster.run(first, shared.clone()) => {}
                    () = shared.reached(Stage::Ended) => {}
                }
            });
            // What it publishes from now on reaches the others; if NATS is away, that comes later.
            alone.settle().await;
        }
        let secure = tls.is_some();
        tokio::spawn(run(listener, tls, shared.clone()));
        info!(%address, app = app.id, "listening");
        Ok(Gateway { shared, address, secure, app })
    }

    /// Starts a gateway on a thread of its own, for callers without a runtime.
    ///
    /// # Errors
    /// As [`Gateway::start`]; and when the thread can't be started.
    pub fn start_blocking(options: GatewayOptions) -> Result<Gateway, GatewayError> {
        let (started, starting) = mpsc::sync_channel(1);
        let serve = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(GatewayError::Thread(error)))),
            };
            runtime.block_on(async move {
                let gateway = Gateway::start(options).await;
                let shared = gateway.as_ref().ok().map(|gateway| gateway.shared.clone());
                // A caller that is gone has dropped the gateway, which ends it.
                drop(started.send(gateway));
                if let Some(shared) = shared {
                    shared.reached(Stage::Ended).await;
                }
            });
        };
        let thread = std::thread::Builder::new().name("realtime-gateway".into()).spawn(serve);
        thread.map_err(GatewayError::Thread)?;
        let ended = || GatewayError::Thread(std::io::Error::other("the gateway's thread ended"));
        starting.recv().map_err(|_| ended())?
    }

    /// The address it listens on, with the port it took.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first app's id.
    pub fn app(&self) -> &str {
        &self.app.id
    }

    /// The first app's URL, without a token: `ws://127.0.0.1:port/apps/local`.
    pub fn url(&self) -> String {
        self.app_url(&self.app)
    }

    /// An app's URL, without a token.
    ///
    /// # Errors
    /// [`GatewayError::UnknownApp`].
    pub fn url_of(&self, app: &str) -> Result<String, GatewayError> {
        Ok(self.app_url(self.find(app)?))
    }

    /// The URL that REST paths begin at: `http://127.0.0.1:port`.
    pub fn http_url(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.address)
    }

    fn app_url(&self, app: &App) -> String {
        format!("{}://{}/apps/{}", if self.secure { "wss" } else { "ws" }, self.address, app.id)
    }

    fn find(&self, app: &str) -> Result<&Arc<App>, GatewayError> {
        self.shared.apps.get(app).ok_or_else(|| GatewayError::UnknownApp(app.to_owned()))
    }

    /// Makes a token for clients of the first app. `"alice"` stands for [`TokenRequest::new`]`("alice")`.
    ///
    /// # Errors
    /// [`GatewayError::CannotSign`] when the app was given public keys only.
    pub fn token(&self, request: impl Into<TokenRequest>) -> Result<String, GatewayError> {
        self.app.token(&request.into())
    }

    /// Makes a token for clients of an app.
    ///
    /// # Errors
    /// [`GatewayError::UnknownApp`], or as [`Gateway::token`].
    pub fn token_of(&self, app: &str, request: impl Into<TokenRequest>) -> Result<String, GatewayError> {
        self.find(app)?.token(&request.into())
    }

    /// The first app's URL with a token made by [`Gateway::token`]: all that a client needs.
    ///
    /// # Errors
    /// As [`Gateway::token`].
    pub fn url_with_token(&self, request: impl Into<TokenRequest>) -> Result<String, GatewayError> {
        Ok(format!("{}?access_token={}", self.url(), self.token(request)?))
    }

    /// Makes a token for REST calls to the first app.
    ///
    /// # Errors
    /// [`GatewayError::CannotSign`] when the app was given public admin keys only.
    pub fn admin_token(&self, request: impl Into<TokenRequest>) -> Result<String, GatewayError> {
        self.app.admin_token(&request.into())
    }

    /// Makes a token for REST calls to an app.
    ///
    /// # Errors
    /// [`GatewayError::UnknownApp`], or as [`Gateway::admin_token`].
    pub fn admin_token_of(&self, app: &str, request: impl Into<TokenRequest>) -> Result<String, GatewayError> {
        self.find(app)?.admin_token(&request.into())
    }

    /// Replaces an app's keys: from now on tokens are checked, and made, with these. Connections stay as they are. To
    /// rotate a key, give old and new together ([`KeySet::and`]) until the old key's tokens have expired; tokens are
    /// made with the first secret.
    ///
    /// # Errors
    /// [`GatewayError::UnknownApp`], or [`GatewayError::InvalidOptions`] when a key is in both sets.
    pub fn set_keys(&self, app: &str, client: KeySet, admin: KeySet) -> Result<(), GatewayError> {
        let app = self.find(app)?;
        check::keys(&app.id, &client, &admin)?;
        *app.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys { client, admin };
        Ok(())
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        self.shared.metrics_text()
    }

    /// The connections of all apps, in no particular order.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let apps = self.shared.apps.values();
        apps.flat_map(|app| app.hub.peers(|_| true).into_iter().map(move |peer| (app, peer)))
            .map(|(app, peer)| ConnectionInfo {
                id: peer.id.to_string(),
                app: app.id.clone(),
                subject: peer.subject.to_string(),
                remote_address: peer.remote,
            })
            .collect()
    }

    /// Closes connections with this code and reason, after what is queued for them. How many there were.
    pub fn kick(&self, target: Target, code: u16, reason: &str) -> usize {
        let peers = self.shared.peers(&target);
        let order = Order::Close { code, reason: reason.to_owned().into() };
        peers.iter().for_each(|peer| peer.order(order.clone()));
        peers.len()
    }

    /// Faults for tests, all off.
    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone())
    }

    /// Stops: accepts nothing more, closes all connections with 1001 after what is queued for them, spread over
    /// [`GatewayOptions::drain_window`], and returns when they are gone, or [`GatewayOptions::drain`] has passed after
    /// the last was asked to go. Works from any runtime, and again.
    pub async fn stop(&self) {
        self.shared.advance(Stage::Draining);
        self.shared.reached(Stage::Ended).await;
    }

    /// Returns when the gateway has ended, for whatever reason.
    pub async fn ended(&self) {
        self.shared.reached(Stage::Ended).await;
    }

    /// [`Gateway::stop`] for callers without a runtime. Never call it on the runtime that the gateway runs on.
    pub fn stop_blocking(&self) {
        block_on(self.stop());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.advance(Stage::Ending);
    }
}

impl App {
    pub(crate) fn new(options: AppOptions, metrics: &Metrics, cluster: Option<Arc<Cluster>>) -> Self {
        let AppOptions { id, client_keys, admin_keys, acks } = options;
        let keys = RwLock::new(Keys { client: client_keys, admin: admin_keys });
        let metrics = Arc::new(metrics.of_app(&id));
        let hub = Hub::new(metrics.clone(), cluster.map(|cluster| Scope::new(cluster, &id)));
        App { id, keys, acks, hub, metrics, overviews: Default::default() }
    }

    fn token(&self, request: &TokenRequest) -> Result<String, GatewayError> {
        self.sign(&self.keys().client, request)
    }

    fn admin_token(&self, request: &TokenRequest) -> Result<String, GatewayError> {
        self.sign(&self.keys().admin, request)
    }

    fn sign(&self, keys: &KeySet, request: &TokenRequest) -> Result<String, GatewayError> {
        let secret = keys.signing_secret().ok_or_else(|| GatewayError::CannotSign(self.id.clone()))?;
        Ok(request.sign(&self.id, secret))
    }
}

/// Waits for a future that needs no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    #[derive(Default)]
    struct Signal {
        woken: Mutex<bool>,
        wake: Condvar,
    }
    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.wake.notify_one();
        }
    }
    let (signal, mut future) = (Arc::new(Signal::default()), std::pin::pin!(future));
    let waker = Waker::from(signal.clone());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let woken = signal.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = signal.wake.wait_while(woken, |woken| !*woken);
        *waited.unwrap_or_else(PoisonError::into_inner) = false;
    }
}
