//! How a gateway reaches the NATS server that joins it with others.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to join gateways into one through NATS. Gateways are one when they use the same NATS and the same
/// [`NatsOptions::prefix`]; they must serve the same apps with the same keys and limits.
///
/// ```
/// use realtime_pubsub_gateway::{GatewayOptions, NatsOptions};
///
/// let nats = NatsOptions::new("nats://127.0.0.1:4222").prefix("chat").user("gateway", "s3cret");
/// let options = GatewayOptions::default().nats(nats);
/// # let _ = options;
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct NatsOptions {
    /// Servers of one NATS, tried in turn: `nats://host:port` or `tls://host:port`, the scheme and the port (4222)
    /// may be missing. A user and password in a URL are for that server only.
    pub servers: Vec<String>,
    /// The user to log in as, with [`NatsOptions::password`].
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The token to log in with.
    pub token: Option<String>,
    /// A credentials file (`.creds`: a user's JWT and its nkey seed). Read anew at each connection.
    pub credentials_file: Option<PathBuf>,
    /// PEM of the authorities to trust, in place of the system's. Given, TLS is required.
    pub tls_ca: Option<Vec<u8>>,
    /// PEM of the certificate chain and of the key to show to a server that asks for them.
    pub tls_client: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether to refuse a server without TLS, whatever its URL's scheme. Default: no.
    pub tls_required: bool,
    /// What all subjects in NATS begin with: 1 to 64 characters of `A-Z a-z 0-9 _ -`, in parts joined by dots.
    /// Default: `realtime`.
    pub prefix: String,
    /// For connecting, and for the server's answer to a ping. Longer: NATS counts as away. Default: 5 s.
    pub timeout: Duration,
    /// After how long without a sign of life another gateway counts as gone, and its connections as disconnected.
    /// Each gives one every fifth of this. Default: 5 s.
    pub member_timeout: Duration,
}

impl NatsOptions {
    /// Through this server; several in one text are separated by commas.
    pub fn new(servers: impl AsRef<str>) -> Self {
        let servers = servers.as_ref().split(',').map(str::trim).filter(|server| !server.is_empty());
        NatsOptions {
            servers: servers.map(str::to_owned).collect(),
            user: None,
            password: None,
            token: None,
            credentials_file: None,
            tls_ca: None,
            tls_client: None,
            tls_required: false,
            prefix: "realtime".into(),
            timeout: Duration::from_secs(5),
            member_timeout: Duration::from_secs(5),
        }
    }

    /// Through this server too, when another can't be reached.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.servers.push(server.into());
        self
    }

    /// Logs in with user and password.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }

    /// Logs in with a token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Logs in with a credentials file.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials_file = Some(path.into());
        self
    }

    /// Trusts these authorities (PEM) and no others; TLS is required then.
    #[must_use]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_ca = Some(pem.into());
        self
    }

    /// Shows this certificate chain (PEM), whose key (PEM) is the second, to a server that asks.
    #[must_use]
    pub fn tls_client(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls_client = Some((certificates.into(), key.into()));
        self
    }

    /// Refuses servers without TLS, or not.
    #[must_use]
    pub fn tls_required(mut self, required: bool) -> Self {
        self.tls_required = required;
        self
    }

    /// Begins all subjects with this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`NatsOptions::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`NatsOptions::member_timeout`].
    #[must_use]
    pub fn member_timeout(mut self, timeout: Duration) -> Self {
        self.member_timeout = timeout;
        self
    }

    /// What is wrong with them, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.servers.is_empty() {
            return Err("nats: no server is given".into());
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let good = |part: &str| !part.is_empty() && part.chars().all(allowed);
        if self.prefix.len() > 64 || !self.prefix.split('.').all(good) {
            return Err(format!("nats: the prefix has parts of A-Z a-z 0-9 _ - joined by dots, not {:?}", self.prefix));
        }
        if self.timeout.is_zero() || self.member_timeout.is_zero() {
            return Err("nats: timeout and member_timeout must be more than zero".into());
        }
        if self.password.is_some() && self.user.is_none() {
            return Err("nats: there is a password but no user".into());
        }
        let logins = [self.user.is_some(), self.token.is_some(), self.credentials_file.is_some()];
        if logins.into_iter().filter(|given| *given).count() > 1 {
            return Err("nats: user, token and credentials_file exclude each other".into());
        }
        Ok(())
    }
}

impl fmt::Debug for NatsOptions {
    /// Without anything secret, of which URLs may have some too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.servers.iter().filter_map(|server| server.rsplit(['@', '/']).next()).collect();
        f.debug_struct("NatsOptions").field("servers", &hosts).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::NatsOptions;

    #[test]
    fn what_is_secret_is_not_printed() {
        let options = NatsOptions::new("nats://u:hidden@a:1, tls://b").user("me", "hidden");
        let text = format!("{options:?}");
        assert!(text.contains("\"a:1\", \"b\"") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn wrong_options_are_named() {
        let good = NatsOptions::new("a");
        assert_eq!(good.check(), Ok(()));
        for (options, says) in [
            (NatsOptions::new(" , "), "no server"),
            (good.clone().prefix("a..b"), "prefix"),
            (good.clone().prefix("a.*"), "prefix"),
            (good.clone().user("a", "b").token("c"), "exclude"),
            (good.clone().timeout(std::time::Duration::ZERO), "timeout"),
        ] {
            assert!(options.check().unwrap_err().contains(says), "{options:?}");
        }
    }
}
