//! The binary as a child process, and a gateway made of it.
#![allow(dead_code, unreachable_pub, reason = "for tests, each of which uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running command.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Receiver<String>,
    err: Receiver<String>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn code(&self) -> i32 {
        self.status.code().unwrap()
    }

    /// Checks the exit code and says what was printed if it is another.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }
}

/// Starts the binary. `url` becomes REALTIME_URL.
pub fn start(arguments: &[&str], url: Option<&str>) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-pubsub"));
    command.args(arguments).env_remove("REALTIME_URL").env_remove("REALTIME_TOKEN");
    if let Some(url) = url {
        command.env("REALTIME_URL", url);
    }
    spawn(command)
}

pub fn spawn(mut command: Command) -> Running {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = lines(child.stdout.take().unwrap());
    let err = lines(child.stderr.take().unwrap());
    Running { stdin: child.stdin.take(), child, out, err }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Runs the binary to its end, with an empty stdin.
pub fn run(arguments: &[&str], url: Option<&str>) -> Ended {
    start(arguments, url).ended()
}

impl Running {
    /// The next line on stdout.
    #[track_caller]
    pub fn line(&self) -> String {
        self.out.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line; stderr: {:?}", rest(&self.err)))
    }

    /// The next line on stdout, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Waits for a line on stderr that begins so.
    #[track_caller]
    pub fn says(&self, beginning: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.err.recv_timeout(PATIENCE) {
            if line.starts_with(beginning) {
                return line;
            }
            seen.push(line);
        }
        panic!("never said {beginning:?}, but {seen:?}");
    }

    /// Waits for a line on stderr that contains this.
    #[track_caller]
    pub fn says_with(&self, part: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.err.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("never said {part:?}, but {seen:?}");
    }

    pub fn write(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end, with stdin closed.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        self.stdin = None;
        self.ends()
    }

    /// Waits for the end, with stdin as it is.
    #[track_caller]
    pub fn ends(mut self) -> Ended {
        // Output ends when the process does, so nothing has to be asked again and again.
        let deadline = Instant::now() + PATIENCE;
        let text = |pipe: &Receiver<String>| {
            let mut all = String::new();
            loop {
                match pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => all = all + &line + "\n",
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return all,
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("does not end; said {all:?}"),
                }
            }
        };
        let (out, err) = (text(&self.out), text(&self.err));
        Ended { status: self.child.wait().unwrap(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(pipe: &Receiver<String>) -> Vec<String> {
    pipe.try_iter().collect()
}

/// A gateway of `realtime-pubsub gateway --json`.
pub struct Gateway {
    pub running: Running,
    pub ready: Value,
}

impl Gateway {
    pub fn start(arguments: &[&str]) -> Gateway {
        let running = start(&[&["gateway", "--json"], arguments].concat(), None);
        let ready = running.json();
        Gateway { running, ready }
    }

    pub fn get(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap()
    }

    pub fn url(&self) -> &str {
        self.get("url")
    }

    /// The URL with another token.
    pub fn url_with(&self, token: &str) -> String {
        format!("{}?access_token={token}", self.url().split('?').next().unwrap())
    }

    /// A POST with the admin token; status and body.
    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        let mut tcp = TcpStream::connect(self.get("address")).unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.get("admin_token"),
            body.len()
        );
        tcp.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// A subscriber that is subscribed.
    pub fn sub(&self, arguments: &[&str]) -> Running {
        let sub = start(&[&["sub"], arguments].concat(), Some(self.url()));
        sub.says("subscribed: ");
        sub
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(arguments, Some(self.url()))
    }
}
