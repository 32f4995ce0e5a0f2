//! How a command fails: what it says, and the exit code that scripts see.

use std::fmt;

use realtime_pubsub::{Error, ErrorKind};
use realtime_pubsub_gateway::GatewayError;

/// The exit codes, as the help lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Failure = 1,
    Usage = 2,
    Timeout = 3,
    NotConnected = 4,
    Forbidden = 5,
    BadStatus = 6,
    Interrupted = 130,
    Terminated = 143,
}

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Failure, message: Some(message.into()) }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Usage, message: Some(message.into()) }
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Timeout, message: Some(message.into()) }
    }

    /// An end with this code about which everything has been said.
    pub(crate) fn silent(exit: Exit) -> Self {
        Failure { exit, message: None }
    }

    /// A failed write to stdout. Whoever reads it may stop reading, as `head` does: that is no failure.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::silent(Exit::Success),
            _ => Failure::new(format!("can't write to stdout: {error}")),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::MessageTooLarge => Exit::Usage,
            ErrorKind::Timeout => Exit::Timeout,
            ErrorKind::Forbidden => Exit::Forbidden,
            ErrorKind::NotConnected
            | ErrorKind::Closed
            | ErrorKind::ConnectionLost
            | ErrorKind::HandshakeFailed
            | ErrorKind::UrlProviderFailed => Exit::NotConnected,
            _ => Exit::Failure,
        };
        Failure { exit, message: Some(error.to_string()) }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Listen { .. } | GatewayError::Thread(_) => Failure::new(error.to_string()),
            _ => Failure::usage(error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or("ended"))
    }
}

/// The text without tokens: without the values of `access_token=`, and without what looks like a JWT.
pub(crate) fn redact(text: &str) -> String {
    const MARKS: [&str; 2] = ["access_token=", "eyJ"];
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, mark)) =
        MARKS.iter().filter_map(|mark| rest.find(mark).map(|start| (start, *mark))).min_by_key(|(start, _)| *start)
    {
        // A JWT is hidden from its first letters on, of a parameter its name is kept.
        let keep = if mark.ends_with('=') { start + mark.len() } else { start };
        shown.push_str(&rest[..keep]);
        shown.push('…');
        let secret = &rest[keep..];
        let end = secret.find(|c: char| c.is_whitespace() || "&'\"`,;)<>".contains(c)).unwrap_or(secret.len());
        rest = &secret[end..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown() {
        assert_eq!(
            redact("unexpected 'ws://h/apps/a?access_token=SECRET&x=1' found"),
            "unexpected 'ws://h/apps/a?access_token=…&x=1' found"
        );
        assert_eq!(redact("a eyJhbGciOi.eyJzdWI.sig b access_token="), "a … b access_token=…");
        assert_eq!(redact("nothing to hide"), "nothing to hide");
    }

    #[test]
    fn kinds_of_errors_have_their_exit_codes() {
        let exit = |kind| Failure::from(Error::new(kind, "x")).exit() as u8;
        assert_eq!(exit(ErrorKind::InvalidArgument), 2);
        assert_eq!(exit(ErrorKind::Timeout), 3);
        assert_eq!(exit(ErrorKind::HandshakeFailed), 4);
        assert_eq!(exit(ErrorKind::Forbidden), 5);
        assert_eq!(exit(ErrorKind::Internal), 1);
    }
}
