//! Accepting connections, and stopping.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::cluster::Cluster;
use crate::console::Overviews;
use crate::fault::{ConnectFault, FaultState};
use crate::gateway::Target;
use crate::handshakes::Handshakes;
use crate::http;
use crate::hub::{Hub, Peer};
use crate::key::KeySet;
use crate::metrics::{AppMetrics, Metrics};
use crate::options::Limits;
use crate::outbox::Order;
use crate::stream::Stream;

/// An app that is being served.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    /// For clients and for admin calls; they can be replaced while the gateway runs.
    pub(crate) keys: RwLock<Keys>,
    pub(crate) acks: bool,
    pub(crate) hub: Hub,
    pub(crate) metrics: Arc<AppMetrics>,
    pub(crate) overviews: Overviews,
}

/// An app's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) client: KeySet,
    pub(crate) admin: KeySet,
}

impl App {
    pub(crate) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a gateway is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// Nothing new is accepted, and clients are asked to go.
    Draining,
    /// Everything is dropped.
    Ending,
    Ended,
}

/// What all of a gateway's tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) apps: HashMap<String, Arc<App>>,
    pub(crate) policy: Policy,
    pub(crate) faults: FaultState,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stage: watch::Sender<Stage>,
    /// Connections that are open or about to be.
    pub(crate) claimed: AtomicUsize,
    pub(crate) handshakes: Handshakes,
    pub(crate) started: Instant,
    /// What joins this gateway with others, if anything does.
    pub(crate) cluster: Option<Arc<Cluster>>,
    numbers: AtomicU64,
}

/// What a gateway allows, and how it goes about it.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) limits: Limits,
    pub(crate) insecure: bool,
    pub(crate) console: bool,
    pub(crate) drain: Duration,
    pub(crate) drain_window: Duration,
}

impl Deref for Shared {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Shared {
    pub(crate) fn new(
        apps: HashMap<String, Arc<App>>,
        policy: Policy,
        metrics: Arc<Metrics>,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Shared {
            apps,
            faults: FaultState::default(),
            stage: watch::Sender::new(Stage::Running),
            claimed: AtomicUsize::new(0),
            handshakes: Handshakes::new(policy.limits.handshakes),
            started: Instant::now(),
            numbers: AtomicU64::new(1),
            policy,
            metrics,
            cluster,
        }
    }

    /// What `/metrics` says.
    pub(crate) fn metrics_text(&self) -> String {
        self.apps.values().for_each(|app| app.hub.measure());
        self.metrics.handshakes.set(self.handshakes.count() as i64);
        self.metrics.draining.set(i64::from(*self.stage.borrow() >= Stage::Draining));
        self.metrics.text()
    }

    /// A number that no other connection has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The connections that are meant, in all apps.
    pub(crate) fn peers(&self, target: &Target) -> Vec<Arc<Peer>> {
        let hubs = self.apps.values().map(|app| &app.hub);
        match target {
            Target::All => hubs.flat_map(|hub| hub.peers(|_| true)).collect(),
            Target::Connection(id) => hubs.filter_map(|hub| hub.peer(id)).collect(),
            Target::Subject(subject) => hubs.flat_map(|hub| hub.peers(|peer| *peer.subject == **subject)).collect(),
        }
    }

    /// Moves on; never back.
    pub(crate) fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let later = *stage < to;
            *stage = to.max(*stage);
            later
        });
    }

    /// Returns once the stage is reached.
    pub(crate) async fn reached(&self, stage: Stage) {
        // Failing would mean that the sender is gone, which is a part of `self`.
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }
}

/// In a drain window, how long one connection takes at most.
const GOING: Duration = Duration::from_millis(10);

/// Held by each task that the gateway waits for when it stops.
pub(crate) type Alive = mpsc::Sender<Infallible>;

/// Marks the gateway as ended, however its task ends.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.advance(Stage::Ended);
    }
}

/// Runs a gateway until it is told to stop.
pub(crate) async fn run(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let _end = End(shared.clone());
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    let accept_all = async {
        loop {
            match listener.accept().await {
                Ok((tcp, remote)) => {
                    let (tls, shared, alive) = (tls.clone(), shared.clone(), alive.clone());
                    let (place, lost) = Handshakes::enter(&shared);
                    tokio::spawn(async move {
                        tokio::select! {
                            () = serve(tcp, remote, tls, &shared, alive) => {}
                            _ = lost => debug!(%remote, "handshake dropped in favour of a newer one"),
                            () = shared.reached(Stage::Draining) => {}
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must close before more can come.
                    warn!(%error, "can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept_all => {}
        () = shared.reached(Stage::Draining) => {}
    }
    drop((listener, alive));
    info!("stopping");
    let drain = async {
        ask_to_go(&shared).await;
        timeout(shared.drain, all_gone.recv()).await
    };
    tokio::select! {
        _ = drain => {}
        () = shared.reached(Stage::Ending) => {}
    }
    shared.peers(&Target::All).iter().for_each(|peer| peer.order(Order::Reset));
    // They only have to be woken once more.
    let _ = timeout(Duration::from_secs(1), all_gone.recv()).await;
    if let Some(cluster) = &shared.cluster {
        cluster.leave().await;
    }
}

/// Tells all clients to go, spread over the drain window.
async fn ask_to_go(shared: &Shared) {
    // Hash maps have no order, so that clients which came together do not go together.
    let peers = shared.peers(&Target::All);
    let window = shared.drain_window.min(GOING * u32::try_from(peers.len()).unwrap_or(u32::MAX));
    let begin = Instant::now();
    for (index, peer) in peers.iter().enumerate() {
        let due = window.mul_f64(index as f64 / peers.len() as f64);
        // A timer has a resolution of a millisecond: those of the same one go together.
        if due > begin.elapsed() + Duration::from_millis(1) {
            sleep_until(begin + due).await;
        }
        peer.order(Order::going_away());
    }
    // Those that were being upgraded meanwhile learn it on their own, see `serve_upgraded`.
}

/// Serves one TCP connection until it ends or is upgraded.
async fn serve(tcp: TcpStream, remote: SocketAddr, tls: Option<TlsAcceptor>, shared: &Arc<Shared>, alive: Alive) {
    // Frames are batched here already; the system must not wait for more.
    let _ = tcp.set_nodelay(true);
    let fault = shared.faults.connecting();
    match fault {
        Some(ConnectFault::HalfOpen) => return swallow(tcp).await,
        Some(ConnectFault::CloseTcp) => return,
        Some(ConnectFault::ResetTcp) => return Stream::Plain(tcp).reset_when_dropped(),
        _ => {}
    }
    let stream = match tls {
        None => Stream::Plain(tcp),
        Some(tls) => match timeout(shared.limits.handshake, tls.accept(tcp)).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
            Ok(Err(error)) => return debug!(%remote, %error, "TLS handshake failed"),
            Err(_) => return debug!(%remote, "TLS handshake took too long"),
        },
    };
    let service = service_fn(|request| {
        let (shared, alive, fault) = (shared.clone(), alive.clone(), fault.clone());
        http::handle(request, remote, shared, alive, fault)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.handshake)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        debug!(%remote, %error, "HTTP connection failed");
    }
}

/// Reads and forgets until the client goes.
async fn swallow(mut tcp: TcpStream) {
    let mut buffer = [0; 1024];
    while tcp.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
