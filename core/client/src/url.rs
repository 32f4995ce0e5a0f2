//! Where to connect to. URLs hold tokens, so they are never shown whole.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::error::{Error, ErrorKind, Result};

/// What a URL provider may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
type UrlFuture = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// Where the URL comes from: it is asked for again at each attempt to connect, because tokens expire.
#[derive(Clone)]
pub(crate) struct UrlProvider(Arc<dyn Fn() -> UrlFuture + Send + Sync>);

impl fmt::Debug for UrlProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlProvider")
    }
}

impl UrlProvider {
    pub(crate) fn fixed(url: String) -> Result<Self> {
        Endpoint::parse(&url)?;
        Ok(UrlProvider(Arc::new(move || Box::pin(std::future::ready(Ok(url.clone()))))))
    }

    pub(crate) fn new<F, Fut, E>(provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        UrlProvider(Arc::new(move || {
            let url = provider();
            Box::pin(async move { url.await.map_err(Into::into) })
        }))
    }

    pub(crate) async fn url(&self) -> Result<Endpoint> {
        let failed = |what: String| Error::new(ErrorKind::UrlProviderFailed, what);
        // The provider is the caller's code: a panic in it, made or awaited, is an error like others.
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| (self.0)())).map_err(panicked)?;
        let url = AssertUnwindSafe(asked)
            .catch_unwind()
            .await
            .map_err(panicked)?
            .map_err(|error| failed(format!("the URL provider failed: {error}")))?;
        Endpoint::parse(&url).map_err(|error| failed(format!("the URL provider gave no usable URL: {error}")))
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Error {
    Error::new(ErrorKind::UrlProviderFailed, "the URL provider panicked")
}

/// A parsed `ws://` or `wss://` URL.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) uri: Uri,
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        // The parser's own words are not passed on where they could quote the token.
        let uri: Uri = url.trim().parse().map_err(|_| {
            Error::invalid("the URL can't be parsed; it should look like wss://host/apps/ID?access_token=TOKEN")
        })?;
        let tls = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("wss") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("ws") => false,
            Some(scheme) => {
                return Err(Error::invalid(format!("the URL begins with {scheme}://, not ws:// or wss://")));
            }
            None => return Err(Error::invalid("the URL must begin with ws:// or wss://")),
        };
        let host = match uri.host() {
            Some(host) if !host.is_empty() => host.trim_matches(['[', ']']).to_owned(),
            _ => return Err(Error::invalid("the URL has no host")),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Endpoint { uri, tls, host, port })
    }

    /// The query, where the token is.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.uri.query().filter(|query| !query.is_empty())
    }
}

/// The URL without its secrets.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}{}", self.port, self.uri.path())?;
        if self.secret().is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_token() {
        for url in
            ["wss://h/apps/a?access_token=SECRET", "ws://user:SECRET@h:1/?SECRET", "ws://[::1]:9/apps/x?a=SECRET"]
        {
            let shown = format!("{} {:?}", Endpoint::parse(url).unwrap(), Endpoint::parse(url).unwrap());
            assert!(!shown.contains("SECRET"), "{shown}");
        }
        let error = Endpoint::parse("wss://h /?access_token=SECRET").unwrap_err();
        assert!(!format!("{error:?}").contains("SECRET"));
    }

    #[test]
    fn bad_urls_are_refused_with_the_reason() {
        for (url, says) in [
            ("", "parsed"),
            ("host/path", "parsed"),
            ("/apps/x", "ws:// or wss://"),
            ("http://h/", "http://"),
            ("ws:///x", "parsed"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(says), "{url}: {error}");
        }
    }

    #[test]
    fn ports_have_their_defaults() {
        let port = |url| Endpoint::parse(url).unwrap().port;
        assert_eq!((port("ws://h"), port("wss://h"), port("wss://h:9/x")), (80, 443, 9));
    }
}
