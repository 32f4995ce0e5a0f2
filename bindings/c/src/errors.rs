//! Errors, and what the library is.

use std::ffi::{c_char, c_int};

use realtime_pubsub::{Error, ErrorKind, State};

use crate::boundary::{boundary, guarded};
use crate::input::rps_str;

/// The version of the interface that this header describes. See rps_abi_version().
pub const RPS_ABI_VERSION: u32 = 1;

/// Success.
pub const RPS_OK: i32 = 0;
/// An argument makes no sense: a null pointer, text that is not UTF-8, a bad URL, an empty topic, no JSON.
pub const RPS_INVALID_ARGUMENT: i32 = -1;
/// A handle was freed, is of another type, or was never given out.
pub const RPS_INVALID_HANDLE: i32 = -2;
/// There is no session, and the client does not queue while offline.
pub const RPS_NOT_CONNECTED: i32 = -3;
/// What was waited for did not come in time.
pub const RPS_TIMEOUT: i32 = -4;
/// The client was disconnected, or is gone.
pub const RPS_CLOSED: i32 = -5;
/// The connection died before the answer came.
pub const RPS_CONNECTION_LOST: i32 = -6;
/// A queue is full.
pub const RPS_QUEUE_FULL: i32 = -7;
/// A message is larger than the limit.
pub const RPS_MESSAGE_TOO_LARGE: i32 = -8;
/// The gateway does not let this token do that.
pub const RPS_FORBIDDEN: i32 = -9;
/// The connection could not be made: dial, TLS, upgrade or welcome failed.
pub const RPS_HANDSHAKE_FAILED: i32 = -10;
/// The URL provider failed.
pub const RPS_URL_PROVIDER_FAILED: i32 = -11;
/// The gateway sent what the protocol does not allow.
pub const RPS_PROTOCOL_VIOLATION: i32 = -12;
/// The wait was cancelled.
pub const RPS_CANCELLED: i32 = -13;
/// This call, made here, would wait for itself.
pub const RPS_WOULD_DEADLOCK: i32 = -14;
/// A bug: a panic was caught. The process and its other objects go on.
pub const RPS_INTERNAL: i32 = -15;
/// The message came over REST and has no sender to reply to.
pub const RPS_NOT_REPLYABLE: i32 = -16;

/// How many bytes rps_error holds of a message, its NUL included.
pub const RPS_ERROR_MESSAGE_SIZE: usize = 760;
/// How many bytes rps_error holds of a topic, its NUL included.
pub const RPS_ERROR_TOPIC_SIZE: usize = 256;

/// What went wrong. You own it, on your stack or wherever, and need not free it. Functions take a pointer to one, or
/// NULL, and fill it when they fail; when they succeed they leave it alone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_error {
    /// The number that the function returned.
    pub number: i32,
    /// How many bytes the whole message has. More than there is room for: it was cut.
    pub message_len: u32,
    /// What happened, to what, and what to do. Ends with NUL. Never holds a token.
    pub message: [c_char; RPS_ERROR_MESSAGE_SIZE],
    /// For RPS_FORBIDDEN the topic, otherwise empty. Ends with NUL.
    pub topic: [c_char; RPS_ERROR_TOPIC_SIZE],
}

impl rps_error {
    /// The error as C has it.
    pub(crate) fn new(error: &Error) -> Self {
        let mut out = rps_error {
            number: error.number(),
            message_len: u32::try_from(error.message().len()).unwrap_or(u32::MAX),
            message: [0; RPS_ERROR_MESSAGE_SIZE],
            topic: [0; RPS_ERROR_TOPIC_SIZE],
        };
        copy(&mut out.message, error.message());
        copy(&mut out.topic, error.topic().unwrap_or_default());
        out
    }
}

/// Copies as many whole characters as there is room for, and leaves at least one NUL at the end. A NUL within the text
/// becomes a space.
fn copy(room: &mut [c_char], text: &str) {
    let mut end = text.len().min(room.len() - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (to, from) in room.iter_mut().zip(text.as_bytes()[..end].iter()) {
        *to = if *from == 0 { b' ' as c_char } else { *from as c_char };
    }
}

/// The version of the interface that the library has. It is RPS_ABI_VERSION of the header that the library came with;
/// compare them at the start of your program where the library is loaded from elsewhere. Additions keep the number:
/// structs grow at their end and say their size.
#[unsafe(no_mangle)]
pub extern "C" fn rps_abi_version() -> u32 {
    guarded(0, || RPS_ABI_VERSION)
}

/// The library's version, such as "0.1.0". Ends with NUL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn rps_version() -> *const c_char {
    guarded(c"".as_ptr(), || concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast())
}

/// The name of an error number, such as "NOT_CONNECTED"; "OK" for 0, "UNKNOWN" for what is none. Ends with NUL; valid
/// for ever.
#[unsafe(no_mangle)]
pub extern "C" fn rps_error_name(number: i32) -> *const c_char {
    const NAMES: [(ErrorKind, &std::ffi::CStr); 16] = [
        (ErrorKind::InvalidArgument, c"INVALID_ARGUMENT"),
        (ErrorKind::InvalidHandle, c"INVALID_HANDLE"),
        (ErrorKind::NotConnected, c"NOT_CONNECTED"),
        (ErrorKind::Timeout, c"TIMEOUT"),
        (ErrorKind::Closed, c"CLOSED"),
        (ErrorKind::ConnectionLost, c"CONNECTION_LOST"),
        (ErrorKind::QueueFull, c"QUEUE_FULL"),
        (ErrorKind::MessageTooLarge, c"MESSAGE_TOO_LARGE"),
        (ErrorKind::Forbidden, c"FORBIDDEN"),
        (ErrorKind::HandshakeFailed, c"HANDSHAKE_FAILED"),
        (ErrorKind::UrlProviderFailed, c"URL_PROVIDER_FAILED"),
        (ErrorKind::ProtocolViolation, c"PROTOCOL_VIOLATION"),
        (ErrorKind::Cancelled, c"CANCELLED"),
        (ErrorKind::WouldDeadlock, c"WOULD_DEADLOCK"),
        (ErrorKind::Internal, c"INTERNAL"),
        (ErrorKind::NotReplyable, c"NOT_REPLYABLE"),
    ];
    guarded(c"UNKNOWN".as_ptr(), || {
        if number == RPS_OK {
            return c"OK".as_ptr();
        }
        let found = NAMES.iter().find(|(kind, _)| kind.number() == number);
        found.map_or(c"UNKNOWN", |(_, name)| name).as_ptr()
    })
}

/// Never asked to connect.
pub const RPS_STATE_IDLE: i32 = 0;
/// Asked to connect; there has been no session since.
pub const RPS_STATE_CONNECTING: i32 = 1;
/// In a session.
pub const RPS_STATE_CONNECTED: i32 = 2;
/// The session was lost; the next one is being made.
pub const RPS_STATE_RECONNECTING: i32 = 3;
/// Disconnected by its user. It can connect again.
pub const RPS_STATE_CLOSED: i32 = 4;
/// Given up. It can connect again.
pub const RPS_STATE_FAILED: i32 = 5;

/// The number of a state in C.
pub(crate) fn state_number(state: State) -> c_int {
    match state {
        State::Idle => RPS_STATE_IDLE,
        State::Connecting => RPS_STATE_CONNECTING,
        State::Connected => RPS_STATE_CONNECTED,
        State::Reconnecting => RPS_STATE_RECONNECTING,
        State::Closed => RPS_STATE_CLOSED,
        State::Failed => RPS_STATE_FAILED,
    }
}

/// The name of a state, such as "connected"; "unknown" for what is none. Ends with NUL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn rps_state_name(state: i32) -> *const c_char {
    const NAMES: [&std::ffi::CStr; 6] = [c"idle", c"connecting", c"connected", c"reconnecting", c"closed", c"failed"];
    guarded(c"unknown".as_ptr(), || {
        usize::try_from(state).ok().and_then(|state| NAMES.get(state)).map_or(c"unknown", |name| name).as_ptr()
    })
}

/// Whether text is one JSON value, as payloads must be. RPS_INVALID_ARGUMENT, with the reason and the place, where it is
/// not: the functions that take JSON say the same, so there is no need to ask first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_check_json(json: *const c_char, json_len: usize, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of text.
        unsafe { crate::input::json(json, json_len, "json") }.map(drop)
    })
}

/// A view of text that ends with NUL. NULL gives an empty view. Nothing is copied: it is valid for as long as the text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_str_from(text: *const c_char) -> rps_str {
    guarded(rps_str::EMPTY, || {
        if text.is_null() {
            return rps_str::EMPTY;
        }
        // SAFETY: it ends with NUL, as the header asks.
        let text = unsafe { std::ffi::CStr::from_ptr(text) };
        rps_str { data: text.as_ptr(), len: text.count_bytes() }
    })
}
