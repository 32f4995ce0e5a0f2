//! Events.
//!
//! An event is a message, or what the client itself has to tell: `session.started`, `error`, `close`, `state`, `lagged`.
//! Callbacks get a view of it.

use realtime_pubsub::{Error, Event};

use crate::boundary::{Result, boundary};
use crate::errors::{RPS_OK, rps_error, state_number};
use crate::handles::{rps_event, rps_listener, rps_message, rps_response};
use crate::held::{self, Content, Held, is_lent, wrong};
use crate::input::{Out, Sized_, rps_str, write_struct};

/// A message: look at `message`.
pub const RPS_EVENT_MESSAGE: i32 = 0;
/// "session.started", a session has begun: look at `connection_id`, `app_id`, `remote_address`.
pub const RPS_EVENT_SESSION_STARTED: i32 = 1;
/// "error", something went wrong that no call could return: look at `number`, `text`, `topic`.
pub const RPS_EVENT_ERROR: i32 = 2;
/// "close", a connection has ended: look at `number` (the close code), `text` (the reason), `will_reconnect`.
pub const RPS_EVENT_CLOSE: i32 = 3;
/// "state", the state has changed: look at `from`, `to`, `text` (the reason).
pub const RPS_EVENT_STATE: i32 = 4;
/// "lagged", messages were dropped because the inbox was full: look at `dropped`.
pub const RPS_EVENT_LAGGED: i32 = 5;

/// What there is to see of an event. Fields that its kind does not have are zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_event_view {
    /// How large this struct is: the library's, or for rps_event_get() yours.
    pub size: usize,
    /// RPS_EVENT_MESSAGE or another of the constants.
    pub kind: i32,
    /// For an error its number, for a close its code (RFC 6455).
    pub number: i32,
    /// The listener that is called; 0 in an outcome. To take it off, pass it to rps_off().
    pub listener: rps_listener,
    /// The message. In a callback it is lent: valid until the callback returns, and on its thread alone.
    pub message: rps_message,
    /// What an error says, or why a connection was closed or the state changed.
    pub text: rps_str,
    /// The topic that is forbidden, where the error is RPS_FORBIDDEN.
    pub topic: rps_str,
    /// The connection's id.
    pub connection_id: rps_str,
    /// The app it belongs to.
    pub app_id: rps_str,
    /// This client's address as the gateway sees it.
    pub remote_address: rps_str,
    /// The state before, RPS_STATE_…
    pub from: i32,
    /// The state now, RPS_STATE_…
    pub to: i32,
    /// How many messages were dropped since the last such event.
    pub dropped: u64,
    /// 1 if the client will connect again by itself.
    pub will_reconnect: i32,
    /// Nothing.
    pub reserved: i32,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_event_view {
    const NAME: &'static str = "rps_event_view";
}

impl rps_event_view {
    /// The view of what this handle stands for, on behalf of a listener.
    pub(crate) fn of(handle: u64, event: &Event, listener: rps_listener) -> Self {
        let mut view = rps_event_view { listener, ..EMPTY };
        match event {
            Event::Message(_) => view.message = handle,
            Event::SessionStarted(info) => {
                view.kind = RPS_EVENT_SESSION_STARTED;
                view.connection_id = rps_str::view(&info.id);
                view.app_id = rps_str::view(&info.app_id);
                view.remote_address = rps_str::view(&info.remote_address);
            }
            Event::Error(error) => {
                view.kind = RPS_EVENT_ERROR;
                view.number = error.number();
                view.text = rps_str::view(error.message());
                view.topic = error.topic().map_or(rps_str::EMPTY, rps_str::view);
            }
            Event::Close(close) => {
                view.kind = RPS_EVENT_CLOSE;
                view.number = i32::from(close.code);
                view.text = rps_str::view(&close.reason);
                view.will_reconnect = i32::from(close.will_reconnect);
            }
            Event::State(change) => {
                view.kind = RPS_EVENT_STATE;
                view.text = rps_str::view(&change.reason);
                view.from = state_number(change.from);
                view.to = state_number(change.to);
            }
            Event::Lagged(lagged) => {
                view.kind = RPS_EVENT_LAGGED;
                view.dropped = lagged.dropped;
            }
            // A kind that this interface has no name for yet.
            _ => view.kind = -1,
        }
        view
    }
}

const EMPTY: rps_event_view = rps_event_view {
    size: size_of::<rps_event_view>(),
    kind: RPS_EVENT_MESSAGE,
    number: 0,
    listener: 0,
    message: 0,
    text: rps_str::EMPTY,
    topic: rps_str::EMPTY,
    connection_id: rps_str::EMPTY,
    app_id: rps_str::EMPTY,
    remote_address: rps_str::EMPTY,
    from: 0,
    to: 0,
    dropped: 0,
    will_reconnect: 0,
    reserved: 0,
};

/// How something that was begun with an `_async` function has ended.
#[repr(C)]
pub struct rps_outcome {
    /// How large this struct is.
    pub size: usize,
    /// RPS_OK, or the error's number.
    pub number: i32,
    /// Nothing.
    pub reserved: i32,
    /// What the error says. Empty where there is none.
    pub text: rps_str,
    /// The topic, where the error is RPS_FORBIDDEN. Empty otherwise.
    pub topic: rps_str,
    /// The reply, where one was waited for; 0 otherwise. It is lent; rps_response_retain() keeps it.
    pub response: rps_response,
    /// The event, where one was waited for, or the session that was connected; NULL otherwise.
    pub event: *const rps_event_view,
}

impl rps_outcome {
    pub(crate) fn done() -> Self {
        rps_outcome {
            size: size_of::<rps_outcome>(),
            number: RPS_OK,
            reserved: 0,
            text: rps_str::EMPTY,
            topic: rps_str::EMPTY,
            response: 0,
            event: std::ptr::null(),
        }
    }

    /// A view of the error.
    pub(crate) fn failed(error: &Error) -> Self {
        rps_outcome {
            number: error.number(),
            text: rps_str::view(error.message()),
            topic: error.topic().map_or(rps_str::EMPTY, rps_str::view),
            ..rps_outcome::done()
        }
    }
}

/// Shows an event: one from rps_wait_for() or rps_client_connection(), or a message. Set `view->size` first, as
/// RPS_EVENT_VIEW_INIT does. What the view points to is valid until the event is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_event_get(event: rps_event, view: *mut rps_event_view, error: *mut rps_error) -> i32 {
    boundary(error, || {
        held::with(event, |held| {
            let Content::Event(content) = held.content() else {
                return Err(wrong(event, "a reply", "an event"));
            };
            // SAFETY: what the header asks of outputs.
            unsafe { write_struct(view, &rps_event_view::of(event, content, 0), "view") }
        })
    })
}

/// Frees an event that you own. Views of it end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_event_free(event: rps_event, error: *mut rps_error) -> i32 {
    boundary(error, || {
        if !is_lent(event) {
            held::with(event, |held| match held.content() {
                Content::Event(_) => Ok(()),
                Content::Response(_) => Err(wrong(event, "a reply", "an event")),
            })?;
        }
        held::free(event)
    })
}

/// A handle of its own for an event.
pub(crate) fn own(event: Event, out: Out<rps_event>) -> Result<()> {
    out.write(crate::HANDLES.insert(Held::event(event))?);
    Ok(())
}
