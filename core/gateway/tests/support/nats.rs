//! NATS servers of our own, and gateways that are one through them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, NatsOptions};

use super::eventually;

/// A folder of a test's own, gone with this.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gateway-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Writes a file; its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A `nats-server` on a free port; it ends with this.
pub struct NatsServer {
    child: Option<Child>,
    arguments: Vec<String>,
    pub port: u16,
}

impl NatsServer {
    /// With further arguments of the command line.
    pub fn start(arguments: &[&str]) -> NatsServer {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = NatsServer { child: None, arguments, port: 0 };
        server.run();
        server
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts it, again on the port that it had.
    pub fn run(&mut self) {
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let mut child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server can't be run; scripts/nats.sh installs it");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("nats-server did not start: {seen}") };
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                self.port = address.rsplit(':').next().unwrap().trim().parse().unwrap();
            }
            if line.contains("Server is ready") {
                break;
            }
            seen += &line;
        }
        // What it says is read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Ends it as an operator would.
    pub fn stop(&mut self) {
        self.signal("-TERM");
        let _ = self.child.take().unwrap().wait();
    }

    /// Has it do nothing, connections open.
    pub fn freeze(&self) {
        self.signal("-STOP");
        let status = format!("/proc/{}/status", self.child.as_ref().unwrap().id());
        // The signal is taken a moment later.
        while !std::fs::read_to_string(&status).unwrap().contains("State:\tT") {
            std::thread::yield_now();
        }
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A line of a gateway's metrics.
pub fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.metrics();
    let value = |line: &'_ str| {
        Some(line.strip_prefix(name)?.trim_start_matches("{app=\"local\"}").strip_prefix(' ')?.to_owned())
    };
    let line = text.lines().find_map(value).unwrap_or("0".into());
    line.parse().unwrap()
}

/// Options for gateways that are one with others of the same call.
pub fn together(options: GatewayOptions, nats: NatsOptions) -> GatewayOptions {
    // Fresh keys would be others at each gateway.
    let options = if options.apps.is_empty() { options.app(AppOptions::new("local")) } else { options };
    options.nats(nats)
}

/// Starts gateways that are one, and returns when they all know each other.
pub async fn cluster(options: &GatewayOptions, count: usize) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..count {
        gateways.push(Gateway::start(options.clone()).await.unwrap());
    }
    know_each_other(&gateways).await;
    gateways
}

pub async fn know_each_other(gateways: &[Gateway]) {
    let all = gateways.len() as u64;
    eventually(|| gateways.iter().all(|gateway| metric(gateway, "realtime_cluster_members") == all)).await;
}

static SPREAD: Mutex<Option<HashMap<SocketAddr, Vec<Gateway>>>> = Mutex::new(None);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A gateway with two others beside it, see [`spread_url`].
pub async fn start_spread(options: GatewayOptions, server: &str) -> Gateway {
    let prefix = format!("test-{:x}", NEXT.fetch_add(1, Ordering::Relaxed) + 1000 * std::process::id() as usize);
    let options = together(options, NatsOptions::new(server).prefix(prefix));
    let mut gateways = cluster(&options, 3).await;
    let first = gateways.remove(0);
    SPREAD.lock().unwrap().get_or_insert_default().insert(first.address(), gateways);
    first
}

/// The URL of one of the gateway's cluster, each in turn.
pub fn spread_url(gateway: &Gateway) -> Option<String> {
    let spread = SPREAD.lock().unwrap();
    let others = spread.as_ref()?.get(&gateway.address())?;
    let all: Vec<_> = std::iter::once(gateway).chain(others).collect();
    Some(all[NEXT.fetch_add(1, Ordering::Relaxed) % all.len()].url())
}

/// The connections of the others of the gateway's cluster.
pub fn connected_beside(gateway: &Gateway) -> usize {
    let spread = SPREAD.lock().unwrap();
    let others = spread.as_ref().and_then(|spread| spread.get(&gateway.address()));
    others.map_or(0, |others| others.iter().map(|other| other.connections().len()).sum())
}
