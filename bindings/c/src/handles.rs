//! Handles.
//!
//! Each is a number; 0 is none. Free them with the function that their type names.

/// A client, from rps_client_new(). rps_client_free().
pub type rps_client = u64;

/// A listener that is registered, from rps_on(). rps_off().
pub type rps_listener = u64;

/// An event that you own, from rps_wait_for(): look at it with rps_event_get(). Where it is a message, it is an
/// rps_message too. rps_event_free().
pub type rps_event = u64;

/// A message: one that is lent, in a callback, or one that you own, from rps_message_retain(). rps_message_free().
pub type rps_message = u64;

/// A reply to a message of yours, lent or owned. rps_response_free().
pub type rps_response = u64;

/// A message on its way, from rps_publish(): wait for the gateway's ack, for a peer's reply, or for both.
/// rps_wait_free().
pub type rps_wait = u64;

/// Something that was begun with an `_async` function and has not ended. It ends by itself, or with rps_cancel().
pub type rps_pending = u64;

/// The messages that match a pattern, as a stream, from rps_messages_new(). rps_messages_free().
pub type rps_messages = u64;

/// The replies to a message, as a stream, from rps_wait_replies(). rps_replies_free().
pub type rps_replies = u64;

/// A client's question for its URL, to be answered once, with rps_url_answer() or rps_url_refuse().
pub type rps_url_request = u64;

/// A text that was made for you, such as a token: look at it with rps_text_get(). rps_text_free().
pub type rps_text = u64;

/// A local gateway, from rps_gateway_start(). rps_gateway_free().
pub type rps_gateway = u64;
