//! `sub`: prints messages as JSON lines.

use std::io::{BufWriter, Write};
use std::time::Duration;

use clap::Args;
use futures_util::{FutureExt, StreamExt};
use realtime_pubsub::{Client, ControlEvent, Event, IncomingMessage, Messages};
use realtime_pubsub_protocol::Pattern;

use crate::connection::Connection;
use crate::failure::{Exit, Failure, redact};
use crate::payload::plain;
use crate::quantity;
use crate::signals::Stop;

/// Print messages as JSON lines
///
/// A word without `*` is a topic: it is subscribed to and all its messages are printed. A word with `*` is a pattern of
/// `<topic>.<type>`: `*` stands for one segment between dots, `**` for any number; what stands before the first
/// wildcard is taken for the topic to subscribe to, unless --topic names topics. Without words, everything is printed
/// that comes without a subscription: `main` and what is sent to this connection or its subject.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub sub chat
  realtime-pubsub sub 'chat.*' news secure/inbound
  realtime-pubsub sub --topic chat --topic news '**.alert'     # the alerts of both
  realtime-pubsub sub chat --count 1 --timeout 10s --payload   # the next payload, or exit code 3

A line has `topic`, `messageType`, `payload`, `compression`, and for messages that clients sent `id` and `client`.
Says on stderr when it is subscribed, and when the connection is lost and made again.")]
pub(crate) struct Arguments {
    /// Topics and patterns
    #[arg(value_name = "TOPIC|PATTERN")]
    words: Vec<String>,
    /// Subscribe to this topic; the patterns then only choose what to print
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// End after so many messages
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this long; with --count and too few messages with exit code 3
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    timeout: Option<Duration>,
    /// Print payloads only: text as it is, anything else as JSON
    #[arg(long)]
    payload: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: &Arguments, mut stop: Stop) -> Result<(), Failure> {
    let wanted = Wanted::new(arguments)?;
    let work = async |client: &Client| {
        report(client)?;
        // Listening comes first, so that nothing is missed that comes right after the subscription.
        let mut messages = client.messages("**")?;
        for topic in &wanted.topics {
            client.subscribe_remote_topic(topic).await?;
        }
        let topics = if wanted.topics.is_empty() { "main".to_owned() } else { wanted.topics.join(", ") };
        let _ = writeln!(std::io::stderr(), "subscribed: {topics}");
        let printed = print(arguments, &wanted, &mut messages);
        match arguments.timeout {
            None => printed.await,
            Some(timeout) => match (tokio::time::timeout(timeout, printed).await, arguments.count) {
                (Ok(outcome), _) => outcome,
                (Err(_), None) => Ok(()),
                (Err(_), Some(count)) => Err(Failure::timeout(format!("fewer than {count} messages came in time"))),
            },
        }
    };
    match arguments.connection.with(&mut stop, |_| {}, work).await {
        // That is how it ends.
        Err(failure) if matches!(failure.exit(), Exit::Interrupted | Exit::Terminated) => Ok(()),
        outcome => outcome,
    }
}

/// What to subscribe to, and what to print.
struct Wanted {
    topics: Vec<String>,
    printed: Vec<Printed>,
}

enum Printed {
    Topic(String),
    Pattern(Pattern),
}

impl Wanted {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let mut wanted = Wanted { topics: arguments.topics.clone(), printed: Vec::new() };
        for word in &arguments.words {
            if !word.contains('*') {
                wanted.topics.push(word.clone());
                wanted.printed.push(Printed::Topic(word.clone()));
                continue;
            }
            let pattern =
                Pattern::parse(word).map_err(|error| Failure::usage(format!("the pattern {word:?}: {error}")))?;
            wanted.printed.push(Printed::Pattern(pattern));
            let literal: Vec<&str> = word.split('.').take_while(|segment| !segment.contains('*')).collect();
            if arguments.topics.is_empty() && !literal.is_empty() {
                wanted.topics.push(literal.join("."));
            }
        }
        wanted.topics.dedup();
        Ok(wanted)
    }

    fn prints(&self, message: &IncomingMessage) -> bool {
        let topic = message.topic();
        if self.printed.is_empty() {
            return self.topics.is_empty() || self.topics.iter().any(|wanted| wanted == topic);
        }
        self.printed.iter().any(|printed| match printed {
            Printed::Topic(wanted) => wanted == topic,
            Printed::Pattern(pattern) => pattern.matches(&format!("{topic}.{}", message.message_type())),
        })
    }
}

/// Says on stderr what becomes of the connection.
fn report(client: &Client) -> Result<(), Failure> {
    client.on_event(ControlEvent::Close, |event| {
        if let Event::Close(close) = event
            && close.will_reconnect
        {
            say(&format!("connection lost ({} {}), connecting again", close.code, close.reason));
        }
    })?;
    client.on_event(ControlEvent::SessionStarted, |_| say("connected again"))?;
    client.on_event(ControlEvent::Error, |event| {
        if let Event::Error(error) = event {
            say(&error.to_string());
        }
    })?;
    Ok(())
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", redact(text));
}

async fn print(arguments: &Arguments, wanted: &Wanted, messages: &mut Messages) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout());
    let mut left = arguments.count;
    let failed = |error: std::io::Error| Failure::output(&error);
    loop {
        let message = match messages.next().now_or_never() {
            Some(message) => message,
            None => {
                // All that is there is written before waiting for more.
                out.flush().map_err(failed)?;
                messages.next().await
            }
        };
        let Some(message) = message else { break };
        if !wanted.prints(&message) {
            continue;
        }
        let line = if arguments.payload { plain(message.payload()) } else { line(&message).into() };
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
        if let Some(left) = &mut left {
            *left -= 1;
            if *left == 0 {
                break;
            }
        }
    }
    out.flush().map_err(failed)
}

/// A message as JSON. Its parts stay the text that came, so that no number loses a digit.
fn line(message: &IncomingMessage) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut line = format!(
        r#"{{"topic":{},"messageType":{},"payload":{},"compression":{}"#,
        text(message.topic()),
        text(message.message_type()),
        message.payload().as_str(),
        message.compression()
    );
    if let Some(id) = message.id() {
        line += &format!(r#","id":{}"#, text(&id));
    }
    if let Some(client) = message.sender_raw() {
        line += &format!(r#","client":{}"#, client.as_str());
    }
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(words: &[&str], topics: &[&str]) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let mut line = <Line as clap::Parser>::parse_from(["sub"]);
        line.arguments.words = owned(words);
        line.arguments.topics = owned(topics);
        Wanted::new(&line.arguments).unwrap().topics
    }

    #[test]
    fn patterns_say_what_to_subscribe_to() {
        assert_eq!(topics(&["chat", "news.*", "a.b.**"], &[]), ["chat", "news", "a.b"]);
        assert_eq!(topics(&["**.alert", "*.y"], &[]), Vec::<String>::new());
        assert_eq!(topics(&["chat.*"], &["other"]), ["other"]);
    }
}
