//! Waiting for acks and replies.

use realtime_pubsub::WaitFor;
use realtime_pubsub_bindings::handles::Named;

use crate::HANDLES;
use crate::boundary::{Result, boundary};
use crate::callback::{Completion, rps_completion};
use crate::client::client;
use crate::dispatch::Cancel;
use crate::errors::rps_error;
use crate::handles::{rps_client, rps_pending, rps_response, rps_wait};
use crate::held::Held;
use crate::input::{Out, rps_str, timeout};

pub(crate) struct WaitObject(pub(crate) WaitFor);

impl Named for WaitObject {
    const NAME: &'static str = "wait";
}

impl WaitObject {
    pub(crate) fn new(wait: WaitFor) -> Self {
        WaitObject(wait)
    }
}

/// The message's id. Valid until the wait is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_id(wait: rps_wait, id: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(id, "id")? };
        out.write(rps_str::view(HANDLES.get::<WaitObject>(wait)?.0.id()));
        Ok(())
    })
}

/// Whether the gateway has taken the message: 1, or 0 while that is open. The error where it never will.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_acknowledged(wait: rps_wait, acknowledged: *mut i32, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(acknowledged, "acknowledged")? };
        let known = HANDLES.get::<WaitObject>(wait)?.0.acknowledged().transpose()?;
        out.write(i32::from(known.is_some()));
        Ok(())
    })
}

/// Waits for the gateway's ack. With RPS_DEFAULT_TIMEOUT it waits for 5 s.
///
/// RPS_TIMEOUT (the app may have acks switched off, or the token may not publish there), RPS_CONNECTION_LOST as soon as
/// the connection dies, RPS_CLOSED when the client is disconnected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_for_ack(wait: rps_wait, timeout_ms: i64, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let wait = HANDLES.get::<WaitObject>(wait)?;
        // Often it is there, and then there is no need for all that a wait needs.
        if let Some(known) = wait.0.acknowledged() {
            return known;
        }
        let mut ack = wait.0.wait_for_ack();
        if let Some(timeout) = timeout(timeout_ms) {
            ack = ack.timeout(timeout);
        }
        ack.block()
    })
}

/// Waits for a peer's reply, which is yours: free it with rps_response_free(). Where several reply, each call gives the
/// next.
///
/// As rps_wait_for_ack().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_for_reply(
    wait: rps_wait,
    timeout_ms: i64,
    response: *mut rps_response,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(response, "response")? };
        let wait = HANDLES.get::<WaitObject>(wait)?;
        let mut reply = wait.0.wait_for_reply();
        if let Some(timeout) = timeout(timeout_ms) {
            reply = reply.timeout(timeout);
        }
        out.write(HANDLES.insert(Held::response(reply.block()?))?);
        Ok(())
    })
}

/// Begins to wait for the ack, and calls `completion` when it came or won't. `client` is the one that published: its
/// thread, or its rps_poll(), runs the callback. The wait may be freed at once. `pending` may be NULL; `completion` is
/// taken over, also on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_for_ack_async(
    client: rps_client,
    wait: rps_wait,
    timeout_ms: i64,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let (completion, wait) = (completion.check("completion")?, HANDLES.get::<WaitObject>(wait)?);
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::optional(pending) };
        begin(client, completion, out, |token| wait.0.notify_ack(token, timeout(timeout_ms)))
    })
}

/// Like rps_wait_for_ack_async(), for the next reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_for_reply_async(
    client: rps_client,
    wait: rps_wait,
    timeout_ms: i64,
    completion: rps_completion,
    pending: *mut rps_pending,
    error: *mut rps_error,
) -> i32 {
    let completion = Completion::from(completion);
    boundary(error, || {
        let (completion, wait) = (completion.check("completion")?, HANDLES.get::<WaitObject>(wait)?);
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::optional(pending) };
        begin(client, completion, out, |token| wait.0.notify_reply(token, timeout(timeout_ms)))
    })
}

fn begin(
    handle: rps_client,
    completion: Completion,
    out: Option<Out<rps_pending>>,
    notify: impl FnOnce(u64) -> realtime_pubsub::Ticket,
) -> Result<()> {
    let handle = client(handle)?.wait(completion, out.is_some(), |token| Ok(Cancel::Ticket(notify(token))))?;
    if let Some(out) = out {
        out.write(handle);
    }
    Ok(())
}

/// Frees a wait. The message goes its way all the same; calls that are waiting on other threads go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_free(wait: rps_wait, error: *mut rps_error) -> i32 {
    boundary(error, || HANDLES.remove::<WaitObject>(wait).map(drop))
}
