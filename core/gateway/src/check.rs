//! Options that contradict each other, or a value out of its range.

use crate::error::GatewayError;
use crate::key::KeySet;
use crate::options::{GatewayOptions, Limits};

/// Whether these options go together.
pub(crate) fn options(options: &GatewayOptions) -> Result<(), GatewayError> {
    let invalid = |what: String| Err(GatewayError::InvalidOptions(what));
    if options.insecure && !options.listen.ip().is_loopback() {
        return invalid(format!("an insecure gateway listens on loopback only, not on {}", options.listen.ip()));
    }
    if let Some(nats) = &options.nats {
        if !cfg!(feature = "nats") {
            return invalid("this gateway is built without NATS: the crate's feature nats is off".into());
        }
        nats.check().map_err(GatewayError::InvalidOptions)?;
        // A topic's subject has to fit a line of the NATS protocol, whatever its characters.
        if options.limits.topic_bytes > 1024 {
            return invalid("with NATS, the limit topic_bytes must be 1024 at most".into());
        }
    }
    for (index, app) in options.apps.iter().enumerate() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
        if app.id.is_empty() || app.id.len() > 128 || !app.id.chars().all(allowed) {
            return invalid(format!("an app's id has 1 to 128 of A-Z a-z 0-9 . _ ~ -, which {:?} has not", app.id));
        }
        if options.apps[..index].iter().any(|other| other.id == app.id) {
            return invalid(format!("app {:?} is given twice", app.id));
        }
        keys(&app.id, &app.client_keys, &app.admin_keys)?;
    }
    let Limits { message_bytes, outbound_bytes, handshake, handshakes, idle, messages_per_second, .. } =
        &options.limits;
    for (name, zero) in [
        ("message_bytes", *message_bytes == 0),
        ("outbound_bytes", *outbound_bytes == 0),
        ("handshake", handshake.is_zero()),
        ("handshakes", *handshakes == 0),
        ("idle", idle.is_zero()),
        ("messages_per_second", *messages_per_second == Some(0)),
    ] {
        if zero {
            return invalid(format!("the limit {name} must be more than zero"));
        }
    }
    Ok(())
}

/// Whether an app may have these keys.
pub(crate) fn keys(app: &str, client: &KeySet, admin: &KeySet) -> Result<(), GatewayError> {
    if client.overlaps(admin) {
        let what = format!("app {app:?} has the same key for clients and for admin calls");
        return Err(GatewayError::InvalidOptions(what));
    }
    Ok(())
}
