//! Errors on their way to JavaScript, which makes its own classes of them.

use realtime_pubsub::{Error, ErrorKind};
use realtime_pubsub_gateway::GatewayError;

/// The kind's name, which JavaScript finds as `code`.
pub struct Code(&'static str);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl From<napi::Status> for Code {
    fn from(status: napi::Status) -> Self {
        use napi::Status::{ArrayExpected, BigintExpected, BooleanExpected, FunctionExpected, InvalidArg};
        use napi::Status::{NumberExpected, ObjectExpected, StringExpected};
        Code(match status {
            InvalidArg | ObjectExpected | StringExpected | FunctionExpected | NumberExpected | BooleanExpected
            | ArrayExpected | BigintExpected => ErrorKind::InvalidArgument.name(),
            _ => ErrorKind::Internal.name(),
        })
    }
}

pub(crate) type Result<T, E = napi::Error<Code>> = std::result::Result<T, E>;

pub(crate) fn thrown(error: &Error) -> napi::Error<Code> {
    napi::Error::new(Code(error.kind().name()), error.message().to_owned())
}

pub(crate) fn invalid(message: impl Into<String>) -> napi::Error<Code> {
    napi::Error::new(Code(ErrorKind::InvalidArgument.name()), message.into())
}

pub(crate) fn gateway(error: &GatewayError) -> napi::Error<Code> {
    let kind = match error {
        GatewayError::Thread(_) | GatewayError::Listen { .. } => ErrorKind::Internal,
        _ => ErrorKind::InvalidArgument,
    };
    napi::Error::new(Code(kind.name()), error.to_string())
}
