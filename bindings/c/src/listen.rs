//! Listening: with callbacks, with rps_poll() in an event loop, or by waiting.

use std::ffi::c_char;
use std::sync::Weak;

use realtime_pubsub::ListenerId;
use realtime_pubsub_bindings::handles::Named;

use crate::HANDLES;
use crate::boundary::{Result, boundary};
use crate::callback::{Completion, ListenerCallback, rps_completion, rps_listener_callback};
use crate::client::client;
use crate::dispatch::{Cancel, Dispatch};
use crate::errors::rps_error;
use crate::event::own;
use crate::handles::{rps_client, rps_event, rps_listener, rps_pending};
use crate::input::{Out, text, timeout};

pub(crate) struct Listener {
    pub(crate) dispatch: Weak<Dispatch>,
    pub(crate) id: ListenerId,
}

impl Named for Listener {
    const NAME: &'static str = "listener (one that was taken off, or a `once` that was called, is none any more)";
}

pub(crate) struct Pending {
    pub(crate) dispatch: Weak<Dispatch>,
    pub(crate) token: u64,
}

impl Named for Pending {
    const NAME: &'static str = "pending wait (one that has ended is none any more)";
}

/// Calls `callback` for each event of this name: a control event's ("session.started", "error", "close", "state",
/// "lagged"), or a pattern for messages, whose names are `<topic>.<message type>`: `*` stands for one segment between
/// dots, `**` for any number of them. What comes over the wire never raises a control event.
///
/// Listeners of a client run one at a time, in the order of arrival, those of one message in the order of registration.
/// They may block, publish and wait for answers. Messages arrive for topics that are subscribed, see
/// rps_subscribe_remote_topic().
///
/// `listener` may be NULL: the listener then lives as long as the client. `callback` is taken over, also on failure.
///
///     rps_on(client, RPS_LIT("chat.*"), (rps_listener_callback){on_chat, NULL, NULL}, NULL, &error);
///
/// RPS_INVALID_ARGUMENT for a bad pattern.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_on(
    client: rps_client,
    name: *const c_char,
    name_len: usize,
    callback: rps_listener_callback,
    listener: *mut rps_listener,
    error: *mut rps_error,
) -> i32 {
    let callback = ListenerCallback::from(callback);
    // SAFETY: what the header asks of these pointers.
    boundary(error, || unsafe { register(client, name, name_len, false, callback, listener) })
}

/// Like rps_on(), for the first event only. The handle ends with the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_once(
    client: rps_client,
    name: *const c_char,
    name_len: usize,
    callback: rps_listener_callback,
    listener: *mut rps_listener,
    error: *mut rps_error,
) -> i32 {
    let callback = ListenerCallback::from(callback);
    // SAFETY: what the header asks of these pointers.
    boundary(error, || unsafe { register(client, name, name_len, true, callback, listener) })
}

/// # Safety
/// The pointers are as the header asks.
unsafe fn register(
    handle: rps_client,
    name: *const c_char,
    name_len: usize,
    once: bool,
    callback: ListenerCallback,
    listener: *mut rps_listener,
) -> Result<()> {
    let callback = callback.check("callback")?;
    let client = client(handle)?;
    // SAFETY: the caller's promise.
    let (name, out) = unsafe { (text(name, name_len, "name")?, Out::optional(listener)) };
    let registered = client.on(name, once, callback)?;
    if let Some(out) = out {
        out.write(registered);
    }
    Ok(())
}

/// Takes a listener off. Once this returns it does not run and `destroy` was called; only from within the listener itself
/// it returns at once, and `destroy` is called when the listener returns. A listener that another client's listener
/// takes off at the same time as the other way round would wait for each other: don't.
///
/// RPS_INVALID_HANDLE, which does no harm, if it is off already, or a `once` that was called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_off(listener: rps_listener, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let listener = HANDLES.remove::<Listener>(listener)?;
        if let Some(dispatch) = listener.dispatch.upgrade() {
            dispatch.off(listener.id);
        }
        Ok(())
    })
}

/// Ends a wait that was begun with an `_async` function. Once this returns its callback does not run and `destroy` was
/// called; from within the callback itself, `destroy` is called when it returns.
///
/// RPS_INVALID_HANDLE, which does no harm, if it has ended already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_cancel(pending: rps_pending, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let pending = HANDLES.remove::<Pending>(pending)?;
        if let Some(dispatch) = pending.dispatch.upgrade() {
            dispatch.cancel(pending.token);
        }
        Ok(())
    })
}

/// Runs the callbacks of a client that was made with RPS_DISPATCH_POLL, on this thread: what has arrived, `max` of it at
/// most (0: 256). Where there is nothing it waits up to `timeout_ms` for something: 0 does not wait, a negative number
/// waits for ever. `handled`, which may be NULL, is how many there were: 0 when the time is up.
///
/// One thread polls at a time. RPS_CLOSED when the client is freed meanwhile, RPS_WOULD_DEADLOCK when it is being polled
/// already, RPS_INVALID_ARGUMENT for a client that runs its callbacks on a thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_poll(
    client: rps_client,
    timeout_ms: i64,
    max: u32,
    handled: *mut u32,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        let client = self::client(client)?;
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::optional(handled) };
        let max = if max == 0 { 256 } else { max as usize };
        let count = client.poll(timeout(timeout_ms), max)?;
        if let Some(out) = out {
            out.write(u32::try_from(count).unwrap_or(u32::MAX));
        }
        Ok(())
    })
}

/// The file descriptor of a client that was made with RPS_DISPATCH_POLL, for poll(), epoll, libuv and the like: it is
/// readable while rps_poll() has something to do. It belongs to the client: don't read, write or close it, and forget it
/// before you free the client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_fd(client: rps_client, fd: *mut i32, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let client = self::client(client)?;
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(fd, "fd")? };
        out.write(client.fd()?);
        Ok(())
    })
}

/// Waits for an event of this name, as rps_on() takes it, and gives it to you: free it with rps_event_free().
/// "session.started" in a running session is there at once. With RPS_DEFAULT_TIMEOUT it waits for 5 s.
///
/// RPS_TIMEOUT when it does not come in time; RPS_CLOSED when the client is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_for(
    client: rps_client,
    name: *const c_char,
    name_len: usize,
    timeout_ms: i64,
    event: *mut rps_event,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        let client = self::client(client)?;
        // SAFETY: what the header asks of these pointers.
        let (name, out) = unsafe { (text(name, name_len, "name")?, Out::new(event, "event")?) };
        let mut wait = client.client.wait_for(name);
        if let Some(timeout) = timeout(timeout_ms) {
            wait = wait.timeout(timeout);
        }
        // Whoever waits must not keep the client from going: its end is what ends this wait.
        drop(client);
        own(wait.block()?, out)
    })
}

/// Begins to wait for an event, and calls `completion` with it. `pending` may be NULL. `completion` is taken over, also on
/// failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_for_async(
    client: rps_client,
    name: *const c_char,
    name_len: usize,
    timeout_ms: i64,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let completion = completion.check("completion")?;
        let client = self::client(client)?;
        // SAFETY: what the header asks of these pointers.
        let (name, out) = unsafe { (text(name, name_len, "name")?, Out::optional(pending)) };
        let handle = client.wait(completion, out.is_some(), |token| {
            Ok(Cancel::Ticket(client.client.notify_event(name, token, timeout(timeout_ms))?))
        })?;
        if let Some(out) = out {
            out.write(handle);
        }
        Ok(())
    })
}
