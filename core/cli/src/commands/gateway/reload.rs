//! Reading keys again while the gateway runs: on SIGHUP, and now and then if asked to.

use std::time::Duration;

use realtime_pubsub_gateway::Gateway;
use tracing::{error, info, warn};

use super::Arguments;
use super::configuration::Configuration;
use super::keys::Keys;

/// Reads keys again whenever it is time to; never returns. Without `hangups` there are none.
pub(crate) async fn run(arguments: &Arguments, running: &Configuration, gateway: &Gateway, hangups: Option<Hangups>) {
    let Some(mut hangups) = hangups else { return std::future::pending().await };
    let mut keys = running.keys.clone();
    loop {
        let hangup = tokio::select! {
            () = hangups.next() => true,
            () = pause(running.reload_keys) => false,
        };
        match reload(arguments, running, gateway, &keys, hangup) {
            Ok(Some(new)) => {
                keys = new;
                info!("keys reloaded");
            }
            Ok(None) if hangup => info!("keys reloaded, none has changed"),
            Ok(None) => {}
            Err(errors) => errors.iter().for_each(|error| error!(%error, "can't reload the keys; those in use stay")),
        }
    }
}

/// All keys are read before one is replaced: either all are, or none. `None` if nothing has changed.
fn reload(
    arguments: &Arguments,
    running: &Configuration,
    gateway: &Gateway,
    keys: &[Keys],
    hangup: bool,
) -> Result<Option<Vec<Keys>>, Vec<String>> {
    let file = arguments.mode.config.as_deref();
    let new = Configuration::read(arguments.given.clone(), file)?;
    let ids = |configuration: &Configuration| -> Vec<_> {
        configuration.apps.iter().map(|app| (app.id.clone(), app.acks)).collect()
    };
    if ids(&new) != ids(running) || new.development {
        return Err(vec!["the apps are others now; that takes a restart".into()]);
    }
    if hangup && others(&new) != others(running) {
        warn!("settings other than keys have changed; they take a restart");
    }
    if new.keys.iter().zip(keys).all(|(new, old)| new.same(old)) {
        return Ok(None);
    }
    for (app, keys) in new.apps.iter().zip(&new.keys) {
        keys.set(gateway, &app.id).map_err(|error| vec![error.to_string()])?;
    }
    Ok(Some(new.keys))
}

/// The settings that are not keys, to compare.
fn others(configuration: &Configuration) -> String {
    let mut options = configuration.options.clone();
    options.apps.clear();
    format!("{options:?} {:?} {:?}", configuration.log_level, configuration.log_format)
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Tells of SIGHUP.
#[cfg(unix)]
pub(crate) struct Hangups(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Hangups {
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let signal = signal(SignalKind::hangup());
        Hangups(signal.inspect_err(|error| warn!(%error, "can't listen for SIGHUP")).ok())
    }

    async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// There is no SIGHUP.
#[cfg(not(unix))]
pub(crate) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    pub(crate) fn listen() -> Self {
        Hangups
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}
