//! `completions`: for shells.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::failure::Failure;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub completions bash > ~/.local/share/bash-completion/completions/realtime-pubsub
  realtime-pubsub completions zsh > ~/.zfunc/_realtime-pubsub
  realtime-pubsub completions fish > ~/.config/fish/completions/realtime-pubsub.fish")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Cli::command(), "realtime-pubsub", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| Failure::output(&error))
}
