//! Servers to measure, each in a process of its own and on one thread: this binary again, as `bench-peer`.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, Limits, NatsOptions, TokenRequest};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::client_async;

use super::{Outcome, bare, memory};

/// What a process started for the benchmark does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Peer {
    /// The gateway, with its default limits but for connections.
    Gateway,
    /// The same, joined with others by the NATS server at the URL.
    JoinedGateway,
    /// Bare tokio-tungstenite that acknowledges what comes.
    BareAcks,
    /// The same, sending what one publishes to all that subscribed.
    BareFan,
    /// The same, sending what one says to the other.
    BareRelay,
    /// The same, sending as many messages as it is asked for.
    BareFlood,
    /// Clients that do nothing. Says what memory one takes.
    IdleClients,
    /// Bare tokio-tungstenite clients that do nothing.
    IdleBareClients,
    /// A client of a soak, to be killed.
    SoakClient,
}

/// The argument that makes this binary a process of the benchmark.
const PEER: &str = "bench-peer";

/// A process of the benchmark.
#[derive(Debug, Parser)]
#[command(name = PEER)]
pub(crate) struct PeerArguments {
    peer: Peer,
    /// What a client connects to
    #[arg(long, env = "REALTIME_URL", hide_env_values = true, default_value = "")]
    url: String,
    /// How many clients
    #[arg(long, default_value_t = 1)]
    count: usize,
}

impl PeerArguments {
    /// The arguments of this process, if it is one of the benchmark.
    pub(crate) fn of_process() -> Option<PeerArguments> {
        let mut arguments = std::env::args_os().skip(1).peekable();
        (arguments.peek()? == PEER).then(|| PeerArguments::parse_from(arguments))
    }
}

pub(crate) fn serve(arguments: &PeerArguments) -> Outcome<()> {
    let runtime = super::runtime()?;
    let PeerArguments { url, count, .. } = arguments;
    let work = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match arguments.peer {
            Peer::Gateway => gateway(None).await,
            Peer::JoinedGateway => gateway(Some(url)).await,
            Peer::IdleClients => say(&memory::idle_clients(url, *count).await?.to_string()),
            Peer::IdleBareClients => say(&memory::idle_bare_clients(url, *count).await?.to_string()),
            Peer::SoakClient => super::soak::victim(url).await,
            peer => {
                say(&format!("ws://{}/", listener.local_addr()?))?;
                bare::serve(listener, peer).await
            }
        }
    };
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        // Whoever started this may die without a word.
        tokio::select! {
            outcome = work => outcome,
            () = stdin_closed() => Ok(()),
        }
    }))?;
    runtime.shutdown_background();
    Ok(())
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    while matches!(stdin.read(&mut [0; 64]).await, Ok(1..)) {}
}

pub(crate) fn say(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn gateway(nats: Option<&str>) -> Outcome<()> {
    let limits = Limits::default().connections_per_subject(1_000_000);
    let mut options = GatewayOptions::default().app(AppOptions::new("bench")).limits(limits);
    if let Some(url) = nats {
        options = options.nats(NatsOptions::new(url));
    }
    let gateway = Gateway::start(options).await?;
    let request = || TokenRequest::new("bench").expires_in(Duration::from_secs(30 * 86_400));
    say(&format!("{} {}", gateway.url_with_token(request())?, gateway.admin_token(request())?))?;
    gateway.ended().await;
    Ok(())
}

/// A server in a process of its own; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where to connect to.
    pub(crate) url: String,
    /// A token for REST calls, of a gateway.
    pub(crate) admin_token: String,
}

impl Server {
    pub(crate) fn start(peer: Peer) -> Outcome<Server> {
        Server::of(spawn(peer, None, 1)?)
    }

    /// A gateway that is one with others through this NATS server.
    pub(crate) fn start_joined(nats: &str) -> Outcome<Server> {
        Server::of(spawn(Peer::JoinedGateway, Some(nats), 1)?)
    }

    fn of((child, line): (Child, String)) -> Outcome<Server> {
        let (url, admin_token) = line.split_once(' ').unwrap_or((&line, ""));
        Ok(Server { child, url: url.to_owned(), admin_token: admin_token.to_owned() })
    }

    pub(crate) fn address(&self) -> &str {
        address(&self.url)
    }

    /// A connection after its handshake and welcome, for those who count bytes.
    pub(crate) async fn raw(&self) -> Outcome<TcpStream> {
        let tcp = TcpStream::connect(self.address()).await?;
        tcp.set_nodelay(true)?;
        let (mut socket, _) = client_async(&self.url, tcp).await?;
        bare::welcomed(&mut socket).await?;
        Ok(socket.into_inner())
    }

    /// Its process' id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of CPU time so far.
    pub(crate) fn cpu(&self) -> Option<f64> {
        cpu_of_process(self.process())
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory::of_process(&self.child.id().to_string())
    }
}

/// Seconds of CPU time of a process so far, where the system says so.
pub(crate) fn cpu_of_process(id: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // Linux counts in hundredths.
    Some((user + system) / 100.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a process, and reads the first line it says. It ends when its stdin is closed, as when this process dies.
pub(crate) fn spawn(peer: Peer, url: Option<&str>, count: usize) -> Outcome<(Child, String)> {
    let name = peer.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let mut command = Command::new(std::env::current_exe()?);
    command.args([PEER, &name, "--count", &count.to_string()]);
    // Not among the arguments, which others see: it has a token.
    match url {
        Some(url) => command.env("REALTIME_URL", url),
        None => command.env_remove("REALTIME_URL"),
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    if line.is_empty() {
        let _ = child.kill();
        return Err(format!("a process of the benchmark ended: {}", child.wait()?).into());
    }
    Ok((child, line.trim_end().to_owned()))
}

pub(crate) fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
