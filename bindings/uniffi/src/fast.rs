//! The hot path for Kotlin, as plain C: there a call through UniFFI's runtime takes microseconds, one of these a
//! fraction. They take a client's [handle](crate::CoreClient::fast_handle), so that a stale one is an error and never worse.
//! What they return is 0 or an error's number; `raise_last` then throws the error with its detail, on the same thread.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use realtime_pubsub::{Error, ErrorKind};
use realtime_pubsub_bindings::handles::{Handles, Named};

use crate::client::Inner;
use crate::error::{CoreError, invalid};
use crate::outgoing::Head;

static HANDLES: Handles = Handles::new();

impl Named for Inner {
    const NAME: &'static str = "client";
}

thread_local! {
    static LAST: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Throws the error of the last fast call on this thread, if it had one.
#[uniffi::export]
pub fn raise_last() -> Result<(), CoreError> {
    match LAST.with_borrow_mut(Option::take) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

pub(crate) fn insert(client: Arc<Inner>) -> Result<u64, Error> {
    HANDLES.insert_arc(client)
}

pub(crate) fn remove(handle: u64) {
    // It may be gone already.
    let _ = HANDLES.remove::<Inner>(handle);
}

/// A function of the package: the tag it gave, 0 for settled waits or 1 for messages, and packed entries that are good
/// for the time of the call.
pub type Callback = extern "C" fn(tag: u64, kind: i32, data: *const c_void, length: u64);

pub(crate) struct FastHost {
    call: Callback,
    tag: u64,
}

impl FastHost {
    pub(crate) fn settled(&self, packed: &[u8]) {
        (self.call)(self.tag, 0, packed.as_ptr().cast(), packed.len() as u64);
    }

    pub(crate) fn messages(&self) {
        (self.call)(self.tag, 1, std::ptr::null(), 0);
    }
}

/// Runs a call with no panic crossing, and keeps its error for [`raise_last`].
fn guard(client: u64, call: impl FnOnce(&Inner) -> Result<(), Error>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(|| HANDLES.get::<Inner>(client).and_then(|client| call(&client))));
    let error = match outcome {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => error,
        Err(_) => Error::new(ErrorKind::Internal, "a panic was caught; please report it"),
    };
    let number = error.number();
    LAST.with_borrow_mut(|last| *last = Some(error));
    number
}

/// Tells settled waits and messages of a client through this function from now on, in place of its host.
///
/// `call` must stay callable for the rest of the process.
#[unsafe(no_mangle)]
pub extern "C" fn realtime_fast_attach(client: u64, tag: u64, call: Option<Callback>) -> i32 {
    guard(client, |client| {
        let call = call.ok_or_else(|| invalid("the callback is null"))?;
        client.host.set_fast(FastHost { call, tag });
        Ok(())
    })
}

/// `CoreClient::publish`.
///
/// # Safety
/// `text` must point to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realtime_fast_publish(
    client: u64,
    number: u64,
    flags: i32,
    topic: i32,
    message_type: i32,
    id: i32,
    text: *const c_void,
    length: u64,
) -> i32 {
    guard(client, |client| {
        let length = usize::try_from(length).map_err(|_| invalid("the text is too long"))?;
        if text.is_null() {
            return Err(invalid("the text is null"));
        }
        // SAFETY: the caller promises that so many bytes are there, and they are not kept.
        let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
        let text = str::from_utf8(text).map_err(|_| invalid("the text is not UTF-8"))?;
        let head = Head {
            flags: flags.cast_unsigned(),
            topic: topic.cast_unsigned(),
            message_type: message_type.cast_unsigned(),
            id: id.cast_unsigned(),
        };
        client.publish(number, head, text)
    })
}

/// `CoreClient::wait`.
#[unsafe(no_mangle)]
pub extern "C" fn realtime_fast_wait(client: u64, number: u64, wait: u64, reply: i32, timeout_ms: i64) -> i32 {
    guard(client, |client| client.wait(number, wait, reply != 0, timeout_ms))
}

/// `CoreClient::cancel_wait`.
#[unsafe(no_mangle)]
pub extern "C" fn realtime_fast_cancel_wait(client: u64, wait: u64) -> i32 {
    guard(client, |client| {
        client.open.end(wait);
        Ok(())
    })
}

/// `CoreClient::forget`.
#[unsafe(no_mangle)]
pub extern "C" fn realtime_fast_forget(client: u64, number: u64) -> i32 {
    guard(client, |client| {
        client.open.forget(number);
        Ok(())
    })
}
