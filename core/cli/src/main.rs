//! The command line of Realtime Pub/Sub: `realtime-pubsub help` says what it can do.

mod bench;
mod commands;
mod connection;
mod descriptors;
mod failure;
mod payload;
mod quantity;
mod signals;

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::commands::{bench as benchmark, completions, gateway, publish, request, serve, subscribe, token};
use crate::failure::{Failure, redact};
use crate::signals::Stop;

const AFTER_HELP: &str = "\
Try it, each in a terminal of its own:
  realtime-pubsub gateway                       # prints an `export REALTIME_URL=…` line
  realtime-pubsub sub chat                      # after pasting that line, here and below
  realtime-pubsub pub chat 'Hello, World!'

Exit codes:
  0    done; for `gateway`, `sub` and `serve` also when ended by Ctrl-C or SIGTERM
  1    failed
  2    used wrongly: arguments, a URL or a key that can't be used
  3    no answer in time: no ack (also: not allowed to publish there), no reply, too few messages
  4    not connected: can't connect, token refused, or the connection was lost
  5    forbidden: the token does not allow to subscribe to that topic
  6    the reply's status is not `ok`
  130  ended by Ctrl-C
  143  ended by SIGTERM";

/// Realtime Pub/Sub for the shell: run a gateway, publish, subscribe, ask and answer.
#[derive(Debug, Parser)]
#[command(name = "realtime-pubsub", version, after_help = AFTER_HELP, max_term_width = 110)]
struct Cli {
    /// Log to stderr: warnings; twice, what happens; three times, everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Gateway(gateway::Arguments),
    Pub(publish::PubArguments),
    Sub(subscribe::Arguments),
    Send(publish::SendArguments),
    Request(request::Arguments),
    Serve(serve::Arguments),
    Token(token::Arguments),
    Bench(benchmark::Arguments),
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    // Not among the commands, so that no help and no completion offers it.
    if let Some(peer) = bench::PeerArguments::of_process() {
        return finish(benchmark::run_peer(&peer));
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // A gateway has settings for its logs.
    if !matches!(cli.command, Command::Gateway(_))
        && let Some(level) = level(cli.verbose)
    {
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr).init();
    }
    finish(run(cli.command, cli.verbose))
}

fn finish(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                let _ = writeln!(std::io::stderr(), "realtime-pubsub: {}", redact(message));
            }
            ExitCode::from(failure.exit() as u8)
        }
    }
}

/// Shows help, or what is wrong with the arguments. clap quotes them, and one of them may be a URL with a token.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = write!(std::io::stderr(), "{}", redact(&error.render().to_string()));
        return ExitCode::from(failure::Exit::Usage as u8);
    }
    let _ = error.print();
    ExitCode::SUCCESS
}

/// What `-v` asks for.
fn level(verbose: u8) -> Option<LevelFilter> {
    Some(match verbose {
        0 => return None,
        1 => LevelFilter::WARN,
        2 => LevelFilter::INFO,
        3 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    })
}

fn run(command: Command, verbose: u8) -> Result<(), Failure> {
    // What needs no runtime, or one of its own.
    let command = match command {
        Command::Token(arguments) => return token::run(&arguments),
        Command::Completions(arguments) => return completions::run(&arguments),
        Command::Bench(arguments) => return benchmark::run(&arguments),
        command => command,
    };
    if matches!(command, Command::Gateway(_)) {
        descriptors::raise();
    }
    // More than one thread, so that a full pipe at stdout stops the printing and not the connection.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("can't start the runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        let stop = Stop::listen()?;
        match command {
            Command::Gateway(arguments) => gateway::run(&arguments, verbose, stop).await,
            Command::Pub(arguments) => publish::run_pub(&arguments, stop).await,
            Command::Sub(arguments) => subscribe::run(&arguments, stop).await,
            Command::Send(arguments) => publish::run_send(&arguments, stop).await,
            Command::Request(arguments) => request::run(&arguments, stop).await,
            Command::Serve(arguments) => serve::run(&arguments, stop).await,
            Command::Token(_) | Command::Completions(_) | Command::Bench(_) => Ok(()),
        }
    });
    // A read of stdin that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
