//! The gateway's logs: to stderr, as text or JSON.

use tracing::level_filters::LevelFilter;

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

pub(crate) fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("must be text or json".into()),
    }
}

pub(crate) fn level(text: &str) -> Result<LevelFilter, String> {
    match text {
        "off" | "error" | "warn" | "info" | "debug" | "trace" => text.parse().map_err(|_| "is no level".to_owned()),
        _ => Err("must be off, error, warn, info, debug or trace".into()),
    }
}

/// Begins to log.
pub(crate) fn start(level: LevelFilter, format: Format) {
    let logs = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr);
    match format {
        Format::Text => logs.init(),
        // Fields beside the message, so that `jq 'select(.connection == …)'` finds them.
        Format::Json => logs.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}
