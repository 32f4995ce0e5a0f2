//! `serve`: answers messages with what a command prints.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use realtime_pubsub::{Client, ControlEvent, Event, IncomingMessage, RawJson};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::connection::Connection;
use crate::failure::{Exit, Failure, redact};
use crate::payload::plain;
use crate::quantity;
use crate::signals::Stop;

/// Answer messages with a command's output
///
/// Runs the command for each message of this topic and type. It reads the payload on stdin, text as it is and anything
/// else as JSON, and finds REALTIME_TOPIC, REALTIME_TYPE, REALTIME_ID, REALTIME_CONNECTION_ID and REALTIME_SUBJECT in
/// its environment. What it prints is the reply, without the last line's end. Where it fails, the reply has status
/// `error`, and what it said on stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub serve calculator -- bc
  realtime-pubsub serve secure/inbound --type order --json -- ./handle-order.py
  realtime-pubsub serve shout --jobs 1 -- tr a-z A-Z")]
pub(crate) struct Arguments {
    /// The topic; `secure/inbound` for what clients send
    topic: String,
    /// The message type
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "broadcast")]
    message_type: String,
    /// The command reads and prints JSON
    #[arg(short, long)]
    json: bool,
    /// How many commands may run at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// How long a command may run
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = quantity::duration)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(arguments: &Arguments, mut stop: Stop) -> Result<(), Failure> {
    let Some((program, words)) = arguments.command.split_first() else {
        return Err(Failure::usage("serve needs a command"));
    };
    let job = Arc::new(Job {
        program: program.clone(),
        arguments: words.to_vec(),
        json: arguments.json,
        timeout: arguments.timeout,
        running: Semaphore::new(usize::from(arguments.jobs)),
    });
    let work = async |client: &Client| {
        client.on_event(ControlEvent::Error, |event| {
            if let Event::Error(error) = event {
                let _ = writeln!(std::io::stderr(), "{}", redact(&error.to_string()));
            }
        })?;
        let answer = move |message: IncomingMessage| {
            let job = Arc::clone(&job);
            async move { job.answer(&message).await }
        };
        let serving = client.serve(&arguments.topic, &arguments.message_type, answer).await?;
        let _ = writeln!(std::io::stderr(), "serving: {}.{}", arguments.topic, arguments.message_type);
        std::future::pending::<()>().await;
        drop(serving);
        Ok(())
    };
    match arguments.connection.with(&mut stop, |_| {}, work).await {
        // That is how it ends.
        Err(failure) if matches!(failure.exit(), Exit::Interrupted | Exit::Terminated) => Ok(()),
        outcome => outcome,
    }
}

/// What is run for each message.
struct Job {
    program: String,
    arguments: Vec<String>,
    json: bool,
    timeout: Duration,
    running: Semaphore,
}

impl Job {
    async fn answer(&self, message: &IncomingMessage) -> Result<Box<serde_json::value::RawValue>, String> {
        let _place = self.running.acquire().await.map_err(|error| error.to_string())?;
        let outcome = self.run(message).await;
        if let Err(reason) = &outcome {
            let _ = writeln!(std::io::stderr(), "{}: {reason}", self.program);
        }
        outcome
    }

    async fn run(&self, message: &IncomingMessage) -> Result<Box<serde_json::value::RawValue>, String> {
        let sender = message.sender().unwrap_or_default();
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("REALTIME_TOPIC", message.topic())
            .env("REALTIME_TYPE", message.message_type())
            .env("REALTIME_ID", message.id().unwrap_or_default().as_ref())
            .env("REALTIME_CONNECTION_ID", sender.connection_id.as_ref())
            .env("REALTIME_SUBJECT", sender.subject.as_ref())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("can't be run: {error}"))?;
        let input = if self.json { message.payload().as_str().into() } else { plain(message.payload()) };
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command need not read what it is given.
                let _ = stdin.write_all(input.as_bytes()).await;
                let _ = stdin.write_all(b"\n").await;
            }
        };
        let both = async { tokio::join!(write, child.wait_with_output()).1 };
        let output = tokio::time::timeout(self.timeout, both)
            .await
            .map_err(|_| format!("ran longer than {:?}", self.timeout))?
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            return Err(if said.is_empty() { output.status.to_string() } else { said.to_owned() });
        }
        self.reply(&String::from_utf8_lossy(&output.stdout))
    }

    fn reply(&self, printed: &str) -> Result<Box<serde_json::value::RawValue>, String> {
        let json = if self.json {
            RawJson::new(printed.trim()).map_err(|error| format!("printed no JSON: {error}"))?.as_str().to_owned()
        } else {
            let text = printed.strip_suffix('\n').unwrap_or(printed);
            serde_json::Value::from(text.strip_suffix('\r').unwrap_or(text)).to_string()
        };
        serde_json::value::RawValue::from_string(json).map_err(|error| error.to_string())
    }
}
