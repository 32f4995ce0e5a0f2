//! The servers that are loaded, each in processes of its own on one core.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::ValueEnum;

use super::cores::Cores;
use super::wire::Wire;
use crate::bench::server::{self, Peer, Server};
use crate::bench::{Outcome, memory};

/// A server to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The gateway
    Gateway,
    /// Two gateways joined by NATS, half of the clients at each
    TwoGateways,
    /// nats-server, through its WebSocket port
    NatsServer,
    /// Mosquitto, through its WebSocket port
    Mosquitto,
    /// Mosquitto, MQTT over TCP, without WebSocket's work
    MosquittoTcp,
}

impl Kind {
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Kind::Gateway => "gateway",
            Kind::TwoGateways => "two gateways and NATS",
            Kind::NatsServer => "nats-server, WebSocket",
            Kind::Mosquitto => "Mosquitto, WebSocket",
            Kind::MosquittoTcp => "Mosquitto, TCP",
        }
    }

    /// The programs that it needs beside this one.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Kind::Gateway => &[],
            Kind::TwoGateways | Kind::NatsServer => &["nats-server"],
            Kind::Mosquitto | Kind::MosquittoTcp => &["mosquitto"],
        }
    }

    /// Why it can't be run here, if it can't.
    pub(super) fn missing(self) -> Option<String> {
        let missing = self.programs().iter().find(|name| program(name).is_none())?;
        Some(format!("{missing} is not installed"))
    }
}

/// A program on the PATH, or where Debian keeps servers.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Where clients connect to.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    pub(super) address: SocketAddr,
    /// What to ask for, with a token if there is one.
    pub(super) path: String,
}

impl Entrance {
    fn of_url(url: &str) -> Outcome<Entrance> {
        let (_, rest) = url.split_once("://").ok_or("a server said no URL")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Entrance { address: address.parse()?, path: format!("/{path}") })
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) wire: Wire,
    /// One for each of its processes that takes clients.
    pub(super) entrances: Vec<Entrance>,
    gateways: Vec<Server>,
    others: Vec<Process>,
}

impl Target {
    pub(super) fn start(kind: Kind, cores: Option<Cores>) -> Outcome<Target> {
        let mut target =
            Target { wire: Wire::Realtime, entrances: Vec::new(), gateways: Vec::new(), others: Vec::new() };
        match kind {
            Kind::Gateway => target.gateway(cores, None)?,
            Kind::TwoGateways => {
                let (nats, clients, _) = nats_server(cores)?;
                target.others.push(nats);
                for _ in 0..2 {
                    target.gateway(cores, Some(&format!("nats://{clients}")))?;
                }
            }
            Kind::NatsServer => {
                let (nats, _, websocket) = nats_server(cores)?;
                target.wire = Wire::Nats;
                target.entrances.push(Entrance { address: websocket, path: "/".into() });
                target.others.push(nats);
            }
            Kind::Mosquitto | Kind::MosquittoTcp => {
                let websocket = kind == Kind::Mosquitto;
                let (mosquitto, address) = mosquitto(cores, websocket)?;
                target.wire = if websocket { Wire::Mqtt } else { Wire::MqttTcp };
                target.entrances.push(Entrance { address, path: "/mqtt".into() });
                target.others.push(mosquitto);
            }
        }
        Ok(target)
    }

    fn gateway(&mut self, cores: Option<Cores>, nats: Option<&str>) -> Outcome<()> {
        let gateway = Cores::start(cores, || match nats {
            None => Server::start(Peer::Gateway),
            Some(url) => Server::start_joined(url),
        })?;
        self.entrances.push(Entrance::of_url(&gateway.url)?);
        self.gateways.push(gateway);
        Ok(())
    }

    fn processes(&self) -> impl Iterator<Item = u32> {
        let gateways = self.gateways.iter().map(Server::process);
        gateways.chain(self.others.iter().map(|other| other.id))
    }

    /// Seconds of CPU time of all its processes so far.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.processes().map(server::cpu_of_process).sum()
    }

    /// Bytes of memory that all its processes use.
    pub(super) fn memory(&self) -> Option<u64> {
        self.processes().map(|id| memory::of_process(&id.to_string())).sum()
    }
}

/// A server that is not ours. It ends when this is dropped, and also if this process dies without a word.
#[derive(Debug)]
struct Process {
    shell: Child,
    stdin: Option<ChildStdin>,
    id: u32,
    _folder: Folder,
}

/// Runs a program until stdin ends, and says its process' id.
const SUPERVISE: &str = r#""$0" "$@" & echo $!; read -r _; kill -9 $! 2> /dev/null; wait"#;

impl Process {
    /// Starts it on the servers' core. `see` looks at the lines of its log until it says that the server is ready.
    fn start(
        cores: Option<Cores>,
        name: &str,
        arguments: &[&str],
        folder: Folder,
        mut see: impl FnMut(&str) -> bool,
    ) -> Outcome<Process> {
        let program = program(name).ok_or_else(|| format!("{name} is not installed"))?;
        let mut shell = Cores::start(cores, || {
            let mut command = Command::new("sh");
            command.args(["-c", SUPERVISE]).arg(program).args(arguments);
            Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
        })?;
        let (stdin, stdout, stderr) = (shell.stdin.take(), shell.stdout.take(), shell.stderr.take());
        let mut process = Process { shell, stdin, id: 0, _folder: folder };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { return Err("a pipe is missing".into()) };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        process.id = line.trim().parse()?;
        let (mut log, mut seen) = (BufReader::new(stderr), String::new());
        loop {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err(format!("{name} did not start: {seen}").into());
            }
            seen += &line;
            if see(&line) {
                break;
            }
        }
        // What it says is read on, so that it never waits for a reader.
        std::thread::spawn(move || log.lines().for_each(drop));
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The server, where clients connect to by TCP, and where by WebSocket.
fn nats_server(cores: Option<Cores>) -> Outcome<(Process, SocketAddr, SocketAddr)> {
    let folder = Folder::new()?;
    // Core NATS: nothing is kept. All else, such as the deadline for writes and how much may wait, is as it comes.
    let file = folder.file(
        "nats.conf",
        "listen: \"127.0.0.1:-1\"\n\
         max_connections: 1000000\n\
         websocket { host: \"127.0.0.1\", port: -1, no_tls: true, compression: false }\n",
    )?;
    let (mut clients, mut websocket) = (None, None);
    let address = |line: &str| line.trim().rsplit(['/', ' ']).next().and_then(|word| word.parse::<SocketAddr>().ok());
    let process = Process::start(cores, "nats-server", &["-c", &file], folder, |line| {
        if line.contains("Listening for client connections on ") {
            clients = address(line);
        } else if line.contains("Listening for websocket clients on ") {
            websocket = address(line);
        }
        line.contains("Server is ready")
    })?;
    let (clients, websocket) = clients.zip(websocket).ok_or("nats-server did not say where it listens")?;
    Ok((process, clients, websocket))
}

fn mosquitto(cores: Option<Cores>, websocket: bool) -> Outcome<(Process, SocketAddr)> {
    let folder = Folder::new()?;
    // It can't be asked for any free port, so this one is found for it.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let listener = format!("listener {} 127.0.0.1", address.port());
    // Debian's 2.0.11 does not start with WebSocket listeners alone, so it has one more, that nobody uses.
    let listeners = match websocket {
        true => format!("{listener}\nprotocol websockets\nlistener 0 {}\n", folder.path("socket")),
        false => format!("{listener}\n"),
    };
    // Nothing is kept, and nothing is dropped because of how much waits.
    let file = folder.file(
        "mosquitto.conf",
        &format!(
            "{listeners}user root\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
             max_queued_messages 0\nmax_inflight_messages 0\nconnection_messages false\n\
             log_dest stderr\nlog_type error\nlog_type warning\nlog_type information\n"
        ),
    )?;
    let process = Process::start(cores, "mosquitto", &["-c", &file], folder, |line| line.contains(" running"))?;
    Ok((process, address))
}

/// A folder that is removed with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Outcome<Folder> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("realtime-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).map_err(|error| format!("can't make the folder {}: {error}", path.display()))?;
        Ok(Folder(path))
    }

    fn path(&self, name: &str) -> String {
        Path::join(&self.0, name).display().to_string()
    }

    /// Writes a file; its path.
    fn file(&self, name: &str, text: &str) -> Outcome<String> {
        let path = self.path(name);
        fs::File::create_new(&path)?.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
