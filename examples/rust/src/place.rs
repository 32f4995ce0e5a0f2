//! Where an example connects to: the URL it is given, or a gateway that it starts for itself.
#![allow(dead_code, reason = "each example uses its part")]

use std::future::ready;

use realtime_pubsub_gateway::{Gateway, GatewayError, GatewayOptions};

pub(crate) enum Place {
    Given(String),
    Own(Gateway),
}

impl Place {
    /// The URL in the first argument or in `REALTIME_URL`; else a gateway in this process.
    pub(crate) async fn from_arguments() -> Result<Self, GatewayError> {
        match std::env::args().nth(1).or_else(|| std::env::var("REALTIME_URL").ok()) {
            Some(url) => Ok(Place::Given(url)),
            None => Ok(Place::Own(Gateway::start(GatewayOptions::default()).await?)),
        }
    }

    pub(crate) fn url(&self, subject: &str) -> Result<String, GatewayError> {
        match self {
            Place::Given(url) => Ok(url.clone()),
            Place::Own(gateway) => gateway.url_with_token(subject),
        }
    }

    /// Asked for a URL at each attempt to connect: this is where a program would get itself a fresh token.
    pub(crate) fn url_provider(
        &self,
        subject: &str,
    ) -> impl Fn() -> std::future::Ready<Result<String, String>> + Send + Sync + use<> {
        let url = self.url(subject).map_err(|error| error.to_string());
        move || ready(url.clone())
    }
}
