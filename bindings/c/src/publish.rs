//! Publishing, sending, asking.

use std::ffi::c_char;

use realtime_pubsub::{Publish, WaitFor};

use crate::HANDLES;
use crate::boundary::{Result, boundary};
use crate::client::client;
use crate::errors::rps_error;
use crate::handles::{rps_client, rps_response, rps_wait};
use crate::held::Held;
use crate::input::{Out, Sized_, json, read_struct, rps_str, text, timeout};
use crate::wait::WaitObject;

/// Options of a publish or send. Begin with RPS_PUBLISH_OPTIONS_INIT; 0 (NULL, empty) is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_publish_options {
    /// sizeof(rps_publish_options).
    pub size: usize,
    /// The message's id. Default: 16 random bytes in hexadecimal.
    pub id: rps_str,
    /// The message type; listeners match `<topic>.<message type>`. Default: the gateway's, "broadcast".
    pub message_type: rps_str,
    /// 1: receivers get it as a binary frame, which the wire may compress.
    pub compress: i32,
    /// 1: where the queue is full wait for room, rather than fail with RPS_QUEUE_FULL.
    pub wait_for_room: i32,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_publish_options {
    const NAME: &'static str = "rps_publish_options";
}

/// Publishes JSON to a topic, which queues it: nothing here waits for the gateway. `wait` is how to wait for the ack and
/// for replies; free it with rps_wait_free(). NULL when you don't care. No answer is missed, however late you ask.
///
///     rps_publish(client, RPS_LIT("chat"), RPS_LIT("\"Hello\""), NULL, &wait, &error);
///     rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &error);
///
/// RPS_NOT_CONNECTED or RPS_CLOSED without a session (see the option `offline`), RPS_QUEUE_FULL, RPS_MESSAGE_TOO_LARGE,
/// RPS_INVALID_ARGUMENT for what is no JSON, an empty topic, or the id of a message still on its way. Nothing is sent
/// then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_publish(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    payload: *const c_char,
    payload_len: usize,
    options: *const rps_publish_options,
    wait: *mut rps_wait,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        unsafe {
            let out = Out::optional(wait);
            let topic = text(topic, topic_len, "topic")?;
            let (message, waits) = message(client, Some(topic), payload, payload_len, options)?;
            give(queue(message, waits)?, out)
        }
    })
}

/// Sends JSON to the application: whoever may subscribe to `secure/inbound` gets it. Otherwise like rps_publish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_send(
    client: rps_client,
    payload: *const c_char,
    payload_len: usize,
    options: *const rps_publish_options,
    wait: *mut rps_wait,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        unsafe {
            let out = Out::optional(wait);
            let (message, waits) = message(client, None, payload, payload_len, options)?;
            give(queue(message, waits)?, out)
        }
    })
}

/// Publishes JSON to a topic, or sends it where `topic` is NULL, and waits for the first reply, which is yours: free it
/// with rps_response_free().
///
/// As rps_publish() and rps_wait_for_reply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_request(
    client: rps_client,
    topic: *const c_char,
    topic_len: usize,
    payload: *const c_char,
    payload_len: usize,
    options: *const rps_publish_options,
    timeout_ms: i64,
    response: *mut rps_response,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (message, out) = unsafe {
            let out = Out::new(response, "response")?;
            let topic = if topic.is_null() { None } else { Some(text(topic, topic_len, "topic")?) };
            (message(client, topic, payload, payload_len, options)?.0, out)
        };
        let mut request = message.request();
        if let Some(timeout) = timeout(timeout_ms) {
            request = request.timeout(timeout);
        }
        out.write(HANDLES.insert(Held::response(request.block()?))?);
        Ok(())
    })
}

/// A message that is ready to be queued, and whether that waits for room.
///
/// # Safety
/// The pointers are as the header asks.
unsafe fn message(
    handle: rps_client,
    topic: Option<&str>,
    payload: *const c_char,
    payload_len: usize,
    options: *const rps_publish_options,
) -> Result<(Publish, bool)> {
    let client = client(handle)?;
    // SAFETY: the caller's promise.
    let (payload, options) = unsafe { (json(payload, payload_len, "payload")?, read_struct(options)?) };
    let mut message = match topic {
        Some(topic) => client.client.publish_raw(topic, payload),
        None => client.client.send_raw(payload),
    };
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(id) = options.id.given("options.id")? {
            message = message.id(id);
        }
        if let Some(message_type) = options.message_type.given("options.message_type")? {
            message = message.message_type(message_type);
        }
    }
    Ok((message.compress(options.compress != 0), options.wait_for_room != 0))
}

fn queue(message: Publish, waits: bool) -> Result<WaitFor> {
    if waits { message.into_future().block() } else { message.enqueue() }
}

/// Gives the wait to whoever wants it; otherwise its slot is freed, and the message goes its way.
pub(crate) fn give(wait: WaitFor, out: Option<Out<rps_wait>>) -> Result<()> {
    if let Some(out) = out {
        out.write(HANDLES.insert(WaitObject::new(wait))?);
    }
    Ok(())
}
