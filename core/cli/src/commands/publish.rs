//! `pub` and `send`: one message, or one for each line of stdin.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use realtime_pubsub::{Client, WaitFor};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::payload::Payload;
use crate::quantity;
use crate::signals::Stop;

/// How many messages may be on their way without an ack when stdin is published.
const WINDOW: usize = 1024;

/// What a message is like.
#[derive(Debug, Args)]
pub(crate) struct MessageArguments {
    /// The message type; the gateway's default is `broadcast`
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub(crate) message_type: Option<String>,
    /// The payload is JSON. Default: it is text
    #[arg(short, long)]
    pub(crate) json: bool,
    /// Deliver it as a binary frame, which the wire may compress
    #[arg(long)]
    pub(crate) compress: bool,
    /// Its id. Default: a random one
    #[arg(long)]
    pub(crate) id: Option<String>,
}

impl MessageArguments {
    pub(crate) fn message(
        &self,
        client: &Client,
        topic: Option<&str>,
        payload: &str,
    ) -> Result<realtime_pubsub::Publish, Failure> {
        let mut message = Payload::new(payload, self.json).message(client, topic)?.compress(self.compress);
        if let Some(message_type) = &self.message_type {
            message = message.message_type(message_type.as_str());
        }
        if let Some(id) = &self.id {
            message = message.id(id.as_str());
        }
        Ok(message)
    }
}

#[derive(Debug, Args)]
struct AckArguments {
    /// Do not wait for acks, only until everything has reached the gateway
    #[arg(long)]
    no_ack: bool,
    /// How long to wait for an ack
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = quantity::duration)]
    timeout: Duration,
}

/// Publish to a topic
///
/// Ends when the gateway has acknowledged the message. A gateway does not acknowledge what the token may not publish.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub pub chat 'Hello, World!' --type text-message
  realtime-pubsub pub metrics --json '{\"cpu\": 0.7}'
  tail -f app.log | realtime-pubsub pub logs           # a message for each line")]
pub(crate) struct PubArguments {
    /// The topic
    topic: String,
    /// The payload. Without one, each line of stdin is a message
    payload: Option<String>,
    #[command(flatten)]
    message: MessageArguments,
    #[command(flatten)]
    ack: AckArguments,
    #[command(flatten)]
    connection: Connection,
}

/// Send to the application: to whoever subscribes to `secure/inbound`
///
/// Needs no permission. Ends when the gateway has acknowledged the message.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub send --type order --json '{\"item\": 7}'
  realtime-pubsub send 'Hello, backend!'")]
pub(crate) struct SendArguments {
    /// The payload. Without one, each line of stdin is a message
    payload: Option<String>,
    #[command(flatten)]
    message: MessageArguments,
    #[command(flatten)]
    ack: AckArguments,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run_pub(arguments: &PubArguments, stop: Stop) -> Result<(), Failure> {
    let PubArguments { topic, payload, message, ack, connection } = arguments;
    run(Some(topic), payload.as_deref(), message, ack, connection, stop).await
}

pub(crate) async fn run_send(arguments: &SendArguments, stop: Stop) -> Result<(), Failure> {
    let SendArguments { payload, message, ack, connection } = arguments;
    run(None, payload.as_deref(), message, ack, connection, stop).await
}

async fn run(
    topic: Option<&str>,
    payload: Option<&str>,
    message: &MessageArguments,
    ack: &AckArguments,
    connection: &Connection,
    mut stop: Stop,
) -> Result<(), Failure> {
    if payload.is_none() && message.id.is_some() {
        return Err(Failure::usage("--id is for one message; each line of stdin is a message of its own"));
    }
    if let Some(payload) = payload {
        // Before connecting: what can't be sent needs no connection.
        Payload::new(payload, message.json).to_json()?;
    }
    let work = async |client: &Client| {
        let mut sender = Sender { client, ack, unacknowledged: VecDeque::new(), sent: 0, told: Instant::now() };
        match payload {
            Some(payload) => sender.send(message.message(client, topic, payload)?).await?,
            None => {
                let mut lines = BufReader::new(tokio::io::stdin()).lines();
                while let Some(line) = lines
                    .next_line()
                    .await
                    .map_err(|error| Failure::new(format!("can't read stdin as text: {error}")))?
                {
                    sender.send(message.message(client, topic, &line)?).await?;
                }
            }
        }
        sender.finish().await
    };
    connection.with(&mut stop, |_| {}, work).await
}

struct Sender<'a> {
    client: &'a Client,
    ack: &'a AckArguments,
    unacknowledged: VecDeque<WaitFor>,
    sent: u64,
    told: Instant,
}

impl Sender<'_> {
    async fn send(&mut self, message: realtime_pubsub::Publish) -> Result<(), Failure> {
        let waiter = message.await?;
        self.sent += 1;
        if !self.ack.no_ack {
            self.unacknowledged.push_back(waiter);
            while self.unacknowledged.len() >= WINDOW {
                self.acknowledged().await?;
            }
        }
        if self.told.elapsed() > Duration::from_secs(1) && std::io::stderr().is_terminal() {
            self.told = Instant::now();
            let _ = write!(std::io::stderr(), "\r{} messages", self.sent);
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<(), Failure> {
        match self.unacknowledged.pop_front() {
            Some(waiter) => Ok(waiter.wait_for_ack().timeout(self.ack.timeout).await?),
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<(), Failure> {
        while !self.unacknowledged.is_empty() {
            self.acknowledged().await?;
        }
        self.client.flush().await?;
        let how = if self.ack.no_ack { "sent" } else { "acknowledged" };
        let plural = if self.sent == 1 { "" } else { "s" };
        let _ = writeln!(std::io::stderr(), "{how}: {} message{plural}", self.sent);
        Ok(())
    }
}
