//! `gateway`: runs one until a signal ends it.

mod configuration;
mod file;
mod keys;
mod logs;
mod reload;
mod settings;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use realtime_pubsub_gateway::{Gateway, TokenRequest};
use tokio::io::AsyncReadExt;

use self::configuration::Configuration;
use self::reload::Hangups;
use self::settings::{Given, Source};
use crate::failure::Failure;
use crate::signals::Stop;

/// How long the tokens of a development gateway are good. Their key ends with the process anyway.
const DEVELOPMENT: Duration = Duration::from_secs(30 * 24 * 3600);

const EXAMPLES: &str = "\
Examples:
  realtime-pubsub gateway
  realtime-pubsub gateway --listen 127.0.0.1:8080 --app chat --console
  realtime-pubsub gateway --json                       # one line when ready, for programs
  realtime-pubsub gateway --listen 0.0.0.0:8443 --app chat --client-key client.key --admin-key admin.key \\
      --tls-cert cert.pem --tls-key key.pem
  realtime-pubsub gateway --app chat --app news --client-key chat=chat.jwks --client-key news=env:NEWS_KEY
  realtime-pubsub gateway --config gateway.toml --check

KEY is a file that holds a secret (for HS256, HS384, HS512), a public key in PEM (RS256, ES256, EdDSA) or a JWKS;
or env:NAME for an environment variable that does. APP= says whose it is; without, it is the first app's. Give an
option twice to rotate keys: tokens of either are good. On SIGHUP keys are read again, and no connection is dropped.

Each option can also stand in the environment, as REALTIME_GATEWAY_ and its name (REALTIME_GATEWAY_TLS_CERT; lists
with commas), or in the file of --config under its name. A flag comes before the environment, and that before the
file. In a file, paths are relative to it, and an app may have a table of its own:
  listen = \"0.0.0.0:8080\"
  idle = \"30s\"
  [[app]]
  id = \"chat\"
  client-key = [\"chat.key\", \"chat-old.key\"]
  admin-key = \"chat-admin.key\"

The line of --json is an object with `url` (with a token), `address`, `app`, `token` and `admin_token`, and with
--console `console`; with keys given `url` has no token, and the tokens are null.";

/// How it was called.
#[derive(Debug)]
pub(crate) struct Arguments {
    mode: Mode,
    given: Given,
}

/// Run a gateway
///
/// With no keys given it is a development gateway: it listens on loopback only, makes keys for this run, and prints a
/// ready URL with a token that may do everything. With keys it prints no tokens; `realtime-pubsub token` makes them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Mode {
    /// Read a file of settings, TOML
    #[arg(long, value_name = "FILE", env = "REALTIME_GATEWAY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Say whether the settings, keys and certificates are good, and end
    #[arg(long)]
    check: bool,
    /// When ready, print one line of JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// End when stdin is closed: for programs that start a gateway and may die without ending it
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Args for Arguments {
    fn augment_args(command: Command) -> Command {
        Given::augment(Mode::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment(Mode::augment_args_for_update(command))
    }
}

impl FromArgMatches for Arguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Arguments { mode: Mode::from_arg_matches(matches)?, given: Given::of_matches(matches) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Arguments::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(crate) async fn run(arguments: &Arguments, verbose: u8, mut stop: Stop) -> Result<(), Failure> {
    let configuration = arguments.configuration()?;
    if arguments.mode.check {
        let apps: Vec<&str> = configuration.apps.iter().map(|app| &*app.id).collect();
        return print(&format!("The settings are good: {}, apps: {}\n", configuration.options.listen, apps.join(", ")));
    }
    let level = crate::level(verbose).unwrap_or(configuration.log_level);
    logs::start(level, configuration.log_format);
    // From now on a hangup does not end the process; a development gateway ends with its terminal.
    let hangups = (!configuration.development).then(Hangups::listen);
    let gateway = Gateway::start(configuration.options.clone()).await?;
    announce(arguments, &configuration, &gateway)?;
    tokio::select! {
        _ = stop.requested() => {}
        () = stdin_closed(), if arguments.mode.until_stdin_closes => {}
        () = gateway.ended() => return Err(Failure::new("the gateway has ended by itself")),
        () = reload::run(arguments, &configuration, &gateway, hangups) => {}
    }
    gateway.stop().await;
    Ok(())
}

impl Arguments {
    /// Reads the file, the keys and the certificate, and checks everything.
    fn configuration(&self) -> Result<Configuration, Failure> {
        let given = self.given.clone();
        Configuration::read(given, self.mode.config.as_deref()).map_err(|errors| Failure::usage(errors.join("\n")))
    }
}

/// The text of a key of an option of the command line, see [`keys::key_text`].
pub(crate) fn key_text(place: &str, option: &str) -> Result<String, Failure> {
    keys::key_text(place, &Source::Default).map_err(|error| Failure::usage(format!("{option} {place}: {error}")))
}

fn announce(arguments: &Arguments, configuration: &Configuration, gateway: &Gateway) -> Result<(), Failure> {
    let request = || TokenRequest::new("developer").expires_in(DEVELOPMENT);
    let tokens = match configuration.development {
        true => Some((gateway.token(request())?, gateway.admin_token(request())?)),
        false => None,
    };
    let url = match &tokens {
        Some((token, _)) => format!("{}?access_token={token}", gateway.url()),
        None => gateway.url(),
    };
    let console = configuration.options.console.then(|| match &tokens {
        // Behind `#`, what no server sees.
        Some((_, token)) => format!("{}/console#token={token}", gateway.http_url()),
        None => format!("{}/console", gateway.http_url()),
    });
    if arguments.mode.json {
        let (token, admin_token) = tokens.unzip();
        let mut line = serde_json::json!({
            "url": url,
            "address": gateway.address().to_string(),
            "app": gateway.app(),
            "token": token,
            "admin_token": admin_token,
        });
        if let Some(console) = console {
            line["console"] = console.into();
        }
        return print(&format!("{line}\n"));
    }
    let apps: Vec<&str> = configuration.apps.iter().map(|app| &*app.id).collect();
    let mut text = format!("The gateway is ready: {}, apps: {}\n", gateway.address(), apps.join(", "));
    if let Some(console) = console {
        text += &format!("Console: {console}\n");
    }
    match tokens {
        Some((_, admin_token)) => {
            let open = if configuration.options.insecure { " It takes any token or none." } else { "" };
            text += &format!(
                "For development: its keys are for this run, its tokens may do everything.{open}\n\n\
                 export REALTIME_URL='{url}'\n\
                 export REALTIME_ADMIN_TOKEN='{admin_token}'\n\n\
                 Try: realtime-pubsub sub chat\n"
            );
        }
        None => text += &format!("URL: {url}, and a token; see `realtime-pubsub token --help`\n"),
    }
    print(&text)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    while matches!(stdin.read(&mut [0; 1024]).await, Ok(1..)) {}
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))
}
