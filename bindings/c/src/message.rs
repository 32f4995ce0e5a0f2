//! Messages and replies to them.
//!
//! In a callback a message or reply is lent: its handle is valid until the callback returns, and on its thread alone.
//! To keep it, or to hand it to another thread, retain it.

use std::ffi::c_char;

use realtime_pubsub::{Error, ErrorKind};

use crate::boundary::{Result, boundary};
use crate::errors::rps_error;
use crate::handles::{rps_message, rps_response, rps_wait};
use crate::held::{self, Held, is_lent, retain, with_message, with_response};
use crate::input::{Out, Sized_, json, read_struct, rps_str, write_struct};
use crate::publish::give;

/// The topic. This view and those of the functions below are valid as long as the handle: until the callback returns, or
/// until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_topic(message: rps_message, topic: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(topic, "topic")? };
        with_message(message, |_, message| out.put(rps_str::view(message.topic())))
    })
}

/// The message type, "broadcast" where the sender gave none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_type(
    message: rps_message,
    message_type: *mut rps_str,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(message_type, "message_type")? };
        with_message(message, |_, message| out.put(rps_str::view(message.message_type())))
    })
}

/// What was published, JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_payload(
    message: rps_message,
    payload: *mut rps_str,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(payload, "payload")? };
        with_message(message, |_, message| out.put(rps_str::view(message.payload().as_str())))
    })
}

/// All of the message's data, JSON: for one published or sent over WebSocket an object with `client`, `payload` and
/// `id`, for one published over REST whatever was published.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_data(message: rps_message, data: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(data, "data")? };
        with_message(message, |_, message| out.put(rps_str::view(message.data().as_str())))
    })
}

/// The frame as it came, JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_frame(message: rps_message, frame: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(frame, "frame")? };
        with_message(message, |_, message| out.put(rps_str::view(message.frame())))
    })
}

/// The message's id; empty for one published over REST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_id(message: rps_message, id: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(id, "id")? };
        with_message(message, |held, _| {
            out.write(held.texts().id.as_deref().map_or(rps_str::EMPTY, rps_str::view));
            Ok(())
        })
    })
}

/// Whether it was delivered as a binary frame, as what is published with `compress` is: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_compression(
    message: rps_message,
    compression: *mut i32,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(compression, "compression")? };
        with_message(message, |_, message| out.put(i32::from(message.compression())))
    })
}

/// Who sent a message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_sender {
    /// sizeof(rps_sender), as RPS_SENDER_INIT sets it.
    pub size: usize,
    /// The sender's connection.
    pub connection_id: rps_str,
    /// The sender's token's subject.
    pub subject: rps_str,
    /// The sender's permissions.
    pub permissions: *const rps_str,
    /// How many permissions those are.
    pub permissions_len: usize,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_sender {
    const NAME: &'static str = "rps_sender";
}

/// Who sent it. Set `sender->size` first. RPS_NOT_REPLYABLE for a message published over REST: it has no sender.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_sender(
    message: rps_message,
    sender: *mut rps_sender,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        with_message(message, |held, _| {
            let person = held.texts().sender.as_ref().ok_or_else(|| {
                Error::new(ErrorKind::NotReplyable, "the message has no sender, as messages published over REST")
            })?;
            let permissions = person.permissions.as_slice();
            let shown = rps_sender {
                size: size_of::<rps_sender>(),
                connection_id: rps_str::view(&person.connection_id),
                subject: rps_str::view(&person.subject),
                permissions: permissions.as_ptr(),
                permissions_len: permissions.len(),
            };
            // SAFETY: what the header asks of structs.
            unsafe { write_struct(sender, &shown, "sender") }
        })
    })
}

/// The connection that sent it; empty for a message published over REST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_connection_id(
    message: rps_message,
    connection_id: *mut rps_str,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(connection_id, "connection_id")? };
        with_message(message, |held, _| {
            let sender = held.texts().sender.as_ref();
            out.write(sender.map_or(rps_str::EMPTY, |sender| rps_str::view(&sender.connection_id)));
            Ok(())
        })
    })
}

/// A client of the app came or went.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_presence {
    /// sizeof(rps_presence), as RPS_PRESENCE_INIT sets it.
    pub size: usize,
    /// 0 for connected, -1 for disconnected.
    pub code: i64,
    /// "connected" or "disconnected".
    pub status: rps_str,
    /// Whose connection.
    pub connection_id: rps_str,
    /// Its token's subject.
    pub subject: rps_str,
    /// Its token's permissions.
    pub permissions: *const rps_str,
    /// How many permissions those are.
    pub permissions_len: usize,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_presence {
    const NAME: &'static str = "rps_presence";
}

/// What a presence message says. Set `presence->size` first. RPS_INVALID_ARGUMENT for other messages. Presence comes on
/// the topic secure/inbound with the type "presence".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_presence(
    message: rps_message,
    presence: *mut rps_presence,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        with_message(message, |held, message| {
            let (said, permissions) = held.texts().presence.as_ref().ok_or_else(|| {
                let what = message.message_type();
                Error::new(ErrorKind::InvalidArgument, format!("this is no presence message, its type is {what:?}"))
            })?;
            let shown = rps_presence {
                size: size_of::<rps_presence>(),
                code: said.code.unwrap_or(if said.status == "connected" { 0 } else { -1 }),
                status: rps_str::view(&said.status),
                connection_id: rps_str::view(&said.connection_id),
                subject: rps_str::view(&said.subject),
                permissions: permissions.as_slice().as_ptr(),
                permissions_len: permissions.as_slice().len(),
            };
            // SAFETY: what the header asks of structs.
            unsafe { write_struct(presence, &shown, "presence") }
        })
    })
}

/// A handle of your own for a message: valid on all threads until you free it. The bytes are shared, not copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_retain(
    message: rps_message,
    retained: *mut rps_message,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(retained, "retained")? };
        with_message(message, |_, _| Ok(()))?;
        out.write(retain(message)?);
        Ok(())
    })
}

/// Frees a message that you own: one that was retained or waited for. Views of it end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_message_free(message: rps_message, error: *mut rps_error) -> i32 {
    boundary(error, || {
        if !is_lent(message) {
            with_message(message, |_, _| Ok(()))?;
        }
        held::free(message)
    })
}

/// Options of a reply. Begin with RPS_REPLY_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_reply_options {
    /// sizeof(rps_reply_options).
    pub size: usize,
    /// The status. Default: "ok".
    pub status: rps_str,
    /// 1: the asker gets it as a binary frame, which the wire may compress.
    pub compress: i32,
    /// Nothing.
    pub reserved: i32,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_reply_options {
    const NAME: &'static str = "rps_reply_options";
}

/// Replies to a message with JSON. A reply can be acknowledged and replied to itself, so there is a `wait`, which may be
/// NULL. `options` may be NULL.
///
///     rps_reply(event->message, RPS_LIT("\"Got it!\""), NULL, NULL, NULL);
///
/// RPS_NOT_REPLYABLE for a message published over REST; otherwise as rps_publish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_reply(
    message: rps_message,
    data: *const c_char,
    data_len: usize,
    options: *const rps_reply_options,
    wait: *mut rps_wait,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (data, options, out) =
            unsafe { (json(data, data_len, "data")?, read_struct(options)?, Out::optional(wait)) };
        // SAFETY: as above.
        let status = unsafe { options.status.given("options.status")? };
        let mut reply = with_message(message, |_, message| Ok(message.reply_raw(data)))?;
        if let Some(status) = status {
            reply = reply.status(status);
        }
        give(reply.compress(options.compress != 0).enqueue()?, out)
    })
}

fn response_text(
    response: rps_response,
    out: *mut rps_str,
    name: &str,
    get: impl FnOnce(&realtime_pubsub::ResponseMessage) -> &str,
) -> Result<()> {
    // SAFETY: only functions call this whose header asks that of their outputs.
    let out = unsafe { Out::new(out, name)? };
    with_response(response, |_, response| out.put(rps_str::view(get(response))))
}

/// The id of the message that a reply answers. This view and those of the functions below are valid as long as the
/// handle: until the callback returns, or until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_id(response: rps_response, id: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || response_text(response, id, "id", |response| response.id()))
}

/// A reply's status: "ok", or what the replier chose.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_status(
    response: rps_response,
    status: *mut rps_str,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || response_text(response, status, "status", |response| response.status()))
}

/// What was replied, JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_data(response: rps_response, data: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || response_text(response, data, "data", |response| response.data().as_str()))
}

/// The connection that replied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_connection_id(
    response: rps_response,
    connection_id: *mut rps_str,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(connection_id, "connection_id")? };
        with_response(response, |held: &Held, _| {
            let sender = held.texts().sender.as_ref();
            out.write(sender.map_or(rps_str::EMPTY, |sender| rps_str::view(&sender.connection_id)));
            Ok(())
        })
    })
}

/// Whether a reply was delivered as a binary frame: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_compression(
    response: rps_response,
    compression: *mut i32,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(compression, "compression")? };
        with_response(response, |_, response| out.put(i32::from(response.message().compression())))
    })
}

/// A handle of your own for a reply: valid on all threads until you free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_retain(
    response: rps_response,
    retained: *mut rps_response,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(retained, "retained")? };
        with_response(response, |_, _| Ok(()))?;
        out.write(retain(response)?);
        Ok(())
    })
}

/// Frees a reply that you own. Views of it end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_response_free(response: rps_response, error: *mut rps_error) -> i32 {
    boundary(error, || {
        if !is_lent(response) {
            with_response(response, |_, _| Ok(()))?;
        }
        held::free(response)
    })
}
