//! `request`: asks, and prints the reply.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use realtime_pubsub::{Client, ResponseMessage};

use super::publish::MessageArguments;
use crate::connection::Connection;
use crate::failure::{Exit, Failure};
use crate::payload::{Payload, plain};
use crate::quantity;
use crate::signals::Stop;

/// Publish or send, and print the reply
///
/// Prints the reply's data: text as it is, anything else as JSON. With a status that is not `ok` it says so and exits
/// with 6.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub request calculator '2 + 3'
  realtime-pubsub request --send --type order --json '{\"item\": 7}'
  realtime-pubsub request agents ping --all --timeout 2s       # everybody's replies, as JSON lines")]
pub(crate) struct Arguments {
    /// The topic, unless --send is given, and the payload
    #[arg(value_names = ["TOPIC", "PAYLOAD"], num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// Send to the application in place of publishing to a topic
    #[arg(long)]
    send: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = quantity::duration)]
    timeout: Duration,
    /// Print all replies that come until then, as with --full
    #[arg(long)]
    all: bool,
    /// Print JSON with `id`, `status`, `data` and `from`, who replied
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    message: MessageArguments,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: &Arguments, mut stop: Stop) -> Result<(), Failure> {
    let (topic, payload) = match (&arguments.words[..], arguments.send) {
        ([topic, payload], false) => (Some(topic.as_str()), payload),
        ([payload], true) => (None, payload),
        ([_], false) => return Err(Failure::usage("a request needs a TOPIC and a PAYLOAD, or --send and a PAYLOAD")),
        _ => return Err(Failure::usage("with --send there is a PAYLOAD, and no TOPIC")),
    };
    Payload::new(payload, arguments.message.json).to_json()?;
    let work = async |client: &Client| {
        let message = arguments.message.message(client, topic, payload)?;
        if arguments.all {
            return all(message.await?.replies().timeout(arguments.timeout)).await;
        }
        let reply = message.request().timeout(arguments.timeout).await?;
        let ok = reply.status() == "ok";
        if arguments.full {
            print(&full(&reply))?;
        } else {
            print(&plain(reply.data()))?;
        }
        if ok {
            return Ok(());
        }
        if !arguments.full {
            let _ = writeln!(std::io::stderr(), "realtime-pubsub: the reply's status is {:?}", reply.status());
        }
        Err(Failure::silent(Exit::BadStatus))
    };
    arguments.connection.with(&mut stop, |_| {}, work).await
}

async fn all(mut replies: realtime_pubsub::Replies) -> Result<(), Failure> {
    let mut count = 0;
    while let Some(reply) = replies.next().await {
        print(&full(&reply?))?;
        count += 1;
    }
    if count == 0 { Err(Failure::timeout("no reply came in time")) } else { Ok(()) }
}

/// A reply as JSON. Its data stays the text that came, so that no number loses a digit.
fn full(reply: &ResponseMessage) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let from = reply.message().sender_raw().map_or("null", |raw| raw.as_str());
    format!(
        r#"{{"id":{},"status":{},"data":{},"from":{from}}}"#,
        text(reply.id()),
        text(reply.status()),
        reply.data().as_str()
    )
}

fn print(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
