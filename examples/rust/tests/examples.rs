//! Runs each example as a user would.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use realtime_pubsub_gateway::Gateway;

fn gateway() -> Gateway {
    Gateway::start_blocking(Default::default()).unwrap()
}

fn run(program: &str, arguments: &[&str]) -> String {
    finish(Command::new(program).args(arguments).output().unwrap())
}

fn finish(output: Output) -> String {
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

/// A program that runs until it is killed, and has printed the line that says it is ready.
struct Running(Child, BufReader<std::process::ChildStdout>);

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running(child, stdout)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_shows_what_it_says() {
    let shown = run(env!("CARGO_BIN_EXE_demo"), &[]);
    for part in
        ["acknowledged after", "reply, status ok", "chat.* matched", "presence: answerer connected", "reconnected as"]
    {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
}

#[test]
fn basic_and_wildcard_need_nothing_else() {
    assert!(run(env!("CARGO_BIN_EXE_basic"), &[]).contains(r#"reply ok: "Got it!""#));
    let shown = run(env!("CARGO_BIN_EXE_wildcard"), &[]);
    assert!(shown.contains("chat.*        chat.join\n*.join        chat.join\n**            chat.join\n"), "{shown}");
}

#[test]
fn the_rpc_server_answers_the_rpc_client() {
    let gateway = gateway();
    let mut server = Running::start(env!("CARGO_BIN_EXE_rpc_server"), &[&gateway.url_with_token("server").unwrap()]);
    assert!(server.line().starts_with("serving"));
    let shown = run(env!("CARGO_BIN_EXE_rpc_client"), &[&gateway.url_with_token("client").unwrap()]);
    let expected = "create-user: ok {\"id\":1,\"name\":\"John Doe\"}\ncreate-user: error \"a user needs a name\"\nmath add: ok 42.0\n";
    assert_eq!(shown, expected);
}

#[test]
fn ping_measures_pong() {
    let gateway = gateway();
    let mut pong = Running::start(env!("CARGO_BIN_EXE_pong"), &[&gateway.url_with_token("pong").unwrap()]);
    assert!(pong.line().starts_with("answering"));
    let shown = run(env!("CARGO_BIN_EXE_ping"), &[&gateway.url_with_token("ping").unwrap(), "50"]);
    assert!(shown.starts_with("50 round trips"), "{shown}");
}

#[test]
fn what_is_published_is_subscribed() {
    let gateway = gateway();
    let url = gateway.url_with_token("subscriber").unwrap();
    let mut subscriber = Command::new(env!("CARGO_BIN_EXE_subscribe"))
        .args([&url, "news"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut stderr = BufReader::new(subscriber.stderr.take().unwrap());
    stderr.read_line(&mut ready).unwrap();
    assert!(ready.starts_with("subscribed to news"), "{ready}");
    let stdout = BufReader::new(subscriber.stdout.take().unwrap());
    let mut subscriber = Running(subscriber, stdout);
    let mut publisher = Command::new(env!("CARGO_BIN_EXE_publish"))
        .args([&gateway.url_with_token("publisher").unwrap(), "news"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    publisher.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    assert_eq!(finish(publisher.wait_with_output().unwrap()), "2 lines acknowledged\n");
    assert_eq!((subscriber.line(), subscriber.line()), ("line \"one\"\n".to_owned(), "line \"two\"\n".to_owned()));
}
