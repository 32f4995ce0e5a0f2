//! How the client commands connect.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use realtime_pubsub::{Client, Options};

use crate::failure::Failure;
use crate::quantity;
use crate::signals::Stop;

/// Where to connect to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The URL: ws(s)://host/apps/ID?access_token=TOKEN. Better given by the environment: others see arguments
    #[arg(long, env = "REALTIME_URL", hide_env_values = true, value_name = "URL")]
    url: Option<String>,
    /// The token, where the URL has none or another
    #[arg(long, env = "REALTIME_TOKEN", hide_env_values = true, value_name = "JWT")]
    token: Option<String>,
    /// Trust the certificates in this PEM file besides the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Keep trying to connect for this long (such as 30s). Default: a single attempt
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    connect_timeout: Option<Duration>,
}

impl Connection {
    /// A connected client, for `work`; it is disconnected after that, also when a signal ends the work.
    pub(crate) async fn with<T>(
        &self,
        stop: &mut Stop,
        change: impl FnOnce(&mut Options),
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let client = self.client(change)?;
        let outcome = stop
            .unless(async {
                self.connect(&client).await?;
                work(&client).await
            })
            .await;
        client.disconnect().await;
        outcome
    }

    fn client(&self, change: impl FnOnce(&mut Options)) -> Result<Client, Failure> {
        let mut options = Options::default();
        if let Some(path) = &self.ca {
            let pem = std::fs::read(path)
                .map_err(|error| Failure::usage(format!("can't read --ca {}: {error}", path.display())))?;
            options.tls.ca_pem = Some(pem);
        }
        change(&mut options);
        Ok(Client::builder().url(self.url()?).options(options).build()?)
    }

    fn url(&self) -> Result<String, Failure> {
        let url = self.url.as_deref().map(str::trim).filter(|url| !url.is_empty()).ok_or_else(|| {
            Failure::usage(
                "where to? Set REALTIME_URL or give --url; `realtime-pubsub gateway` starts a gateway and says its URL",
            )
        })?;
        match self.token.as_deref().map(str::trim).filter(|token| !token.is_empty()) {
            None => Ok(url.to_owned()),
            Some(token) if token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)) => {
                Ok(with_token(url, token))
            }
            Some(_) => Err(Failure::usage("the token is not a JWT: it has characters that no JWT has")),
        }
    }

    /// Connects. Without a timeout the first failure is final: a shell should hear of it at once.
    async fn connect(&self, client: &Client) -> Result<(), Failure> {
        if let Some(timeout) = self.connect_timeout {
            client.connect_within(timeout).await?;
            return Ok(());
        }
        let failed = client.wait_for("error").timeout(client.options().connect_timeout);
        tokio::select! {
            biased;
            connected = client.connect() => drop(connected?),
            Ok(realtime_pubsub::Event::Error(error)) = failed => return Err(error.into()),
        }
        Ok(())
    }
}

/// The URL with this token in place of the one it may have.
fn with_token(url: &str, token: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let others = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("access_token="));
    let query: Vec<&str> = others.collect();
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{base}?{}{separator}access_token={token}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::with_token;

    #[test]
    fn a_token_takes_the_place_of_another() {
        assert_eq!(with_token("ws://h/apps/a", "T"), "ws://h/apps/a?access_token=T");
        assert_eq!(with_token("ws://h/apps/a?x=1&access_token=OLD&y", "T"), "ws://h/apps/a?x=1&y&access_token=T");
    }
}
