//! Streams: messages, or the replies to one message, one at a time, by asking.

use std::ffi::c_char;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::{Either, select};
use realtime_pubsub::{Error, ErrorKind, Event, Messages, Replies, block_on};
use realtime_pubsub_bindings::handles::Named;
use tokio::sync::{Mutex, Notify};

use crate::HANDLES;
use crate::boundary::{Result, boundary};
use crate::client::client;
use crate::errors::rps_error;
use crate::handles::{rps_client, rps_message, rps_messages, rps_replies, rps_response, rps_wait};
use crate::held::Held;
use crate::input::{Out, text, timeout};
use crate::wait::WaitObject;

/// A stream that one thread reads while another may free it.
struct Reader<S> {
    stream: Mutex<Pin<Box<S>>>,
    freed: Notify,
}

impl<S: Stream> Reader<S> {
    fn new(stream: S) -> Self {
        Reader { stream: Mutex::new(Box::pin(stream)), freed: Notify::new() }
    }

    /// The next one; `None` at the end.
    fn next(&self) -> Result<Option<S::Item>> {
        block_on(async {
            let next = pin!(async {
                let mut stream = self.stream.lock().await;
                std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
            });
            match select(next, pin!(self.freed.notified())).await {
                Either::Left((next, _)) => Ok(next),
                Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "the stream was freed")),
            }
        })?
    }

    /// The next one, if there is one in time; `Err` when the time is up.
    fn next_within(&self, within: Duration) -> Result<Option<S::Item>> {
        let runtime = realtime_pubsub::runtime::handle()?;
        let late = || Error::new(ErrorKind::Timeout, "no message came in time");
        let mut sleep = {
            let _entered = runtime.enter();
            Box::pin(tokio::time::sleep(within))
        };
        block_on(async {
            let next = pin!(async {
                let mut stream = self.stream.lock().await;
                std::future::poll_fn(|context| match stream.as_mut().poll_next(context) {
                    Poll::Pending => sleep.as_mut().poll(context).map(|()| Err(late())),
                    ready => ready.map(Ok),
                })
                .await
            });
            match select(next, pin!(self.freed.notified())).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "the stream was freed")),
            }
        })?
    }
}

impl Named for Reader<Messages> {
    const NAME: &'static str = "stream of messages";
}

impl Named for Reader<Replies> {
    const NAME: &'static str = "stream of replies";
}

/// Begins to collect all messages that match a pattern, for rps_messages_next(): a way to receive without callbacks. The
/// stream has a queue of its own, bounded like the inbox. Free it with rps_messages_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_messages_new(
    client: rps_client,
    pattern: *const c_char,
    pattern_len: usize,
    messages: *mut rps_messages,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (pattern, out) = unsafe { (text(pattern, pattern_len, "pattern")?, Out::new(messages, "messages")?) };
        out.write(HANDLES.insert(Reader::new(self::client(client)?.client.messages(pattern)?))?);
        Ok(())
    })
}

/// Waits for the next message, which is yours: free it with rps_message_free(). RPS_DEFAULT_TIMEOUT waits for ever.
///
/// RPS_TIMEOUT when none comes in time, RPS_CLOSED when the client was freed, RPS_CANCELLED when the stream is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_messages_next(
    messages: rps_messages,
    timeout_ms: i64,
    message: *mut rps_message,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(message, "message")? };
        let reader = HANDLES.get::<Reader<Messages>>(messages)?;
        let next = match timeout(timeout_ms) {
            None => reader.next()?,
            Some(within) => reader.next_within(within)?,
        };
        let next = next.ok_or_else(|| Error::new(ErrorKind::Closed, "the client was freed"))?;
        out.write(HANDLES.insert(Held::event(Event::Message(next)))?);
        Ok(())
    })
}

/// Frees a stream. A call that waits for it on another thread ends with RPS_CANCELLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_messages_free(messages: rps_messages, error: *mut rps_error) -> i32 {
    boundary(error, || {
        HANDLES.remove::<Reader<Messages>>(messages)?.freed.notify_one();
        Ok(())
    })
}

/// All replies to a message, for rps_replies_next(), until the time is up: RPS_DEFAULT_TIMEOUT is 5 s, from the first
/// time that you ask. Free it with rps_replies_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_wait_replies(
    wait: rps_wait,
    timeout_ms: i64,
    replies: *mut rps_replies,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(replies, "replies")? };
        let mut stream = HANDLES.get::<WaitObject>(wait)?.0.replies();
        if let Some(timeout) = timeout(timeout_ms) {
            stream = stream.timeout(timeout);
        }
        out.write(HANDLES.insert(Reader::new(stream))?);
        Ok(())
    })
}

/// Waits for the next reply, which is yours: free it with rps_response_free(). When the time is up it succeeds with 0 as
/// `response`: that is the end.
///
/// RPS_CONNECTION_LOST or RPS_CLOSED when that ended it, RPS_CANCELLED when the stream is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_replies_next(
    replies: rps_replies,
    response: *mut rps_response,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(response, "response")? };
        let next = HANDLES.get::<Reader<Replies>>(replies)?.next()?.transpose()?;
        out.write(match next {
            Some(reply) => HANDLES.insert(Held::response(reply))?,
            None => 0,
        });
        Ok(())
    })
}

/// Frees a stream. A call that waits for it on another thread ends with RPS_CANCELLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_replies_free(replies: rps_replies, error: *mut rps_error) -> i32 {
    boundary(error, || {
        HANDLES.remove::<Reader<Replies>>(replies)?.freed.notify_one();
        Ok(())
    })
}
