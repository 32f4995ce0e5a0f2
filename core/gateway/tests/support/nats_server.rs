//! NATS servers of our own.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Where other servers of its cluster reach it; 0 without a cluster.
    pub route_port: u16,
}

impl NatsServer {
    /// With further arguments of the command line.
    pub fn start(arguments: &[&str]) -> NatsServer {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = NatsServer { child: None, arguments, port: 0, route_port: 0 };
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
        let (mut seen, mut ready) = (String::new(), false);
        let clustered = self.arguments.iter().any(|argument| argument == "--cluster");
        self.route_port = 0;
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("nats-server did not start: {seen}") };
            for (kind, port) in [("client", &mut self.port), ("route", &mut self.route_port)] {
                if let Some((_, address)) = line.split_once(&format!("Listening for {kind} connections on ")) {
                    *port = address.rsplit(':').next().unwrap().trim().parse().unwrap();
                }
            }
            ready |= line.contains("Server is ready");
            if ready && (!clustered || self.route_port != 0) {
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
