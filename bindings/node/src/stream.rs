//! Messages as JavaScript's async iterators take them.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::Stream;
use napi::bindgen_prelude::{Env, Uint32ArraySlice, Unknown};
use napi_derive::napi;
use realtime_pubsub::Messages;

use crate::batch::Writer;
use crate::hub::Link;
use crate::text::{string_or_null, words as written};

/// So many messages are taken at once, so that a stream that is left early has not read far ahead.
const MOST: usize = 128;

struct Notify(Arc<Link>);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// A client's messages that match a pattern.
#[napi]
pub struct NativeStream {
    messages: RefCell<Option<Messages>>,
    writer: RefCell<Writer>,
    number: u32,
    waker: Waker,
}

impl NativeStream {
    pub(crate) fn new(messages: Messages, link: Arc<Link>, big_integers: bool) -> Self {
        NativeStream {
            messages: RefCell::new(Some(messages)),
            writer: RefCell::new(Writer::new(big_integers)),
            number: link.number(),
            waker: Waker::from(Arc::new(Notify(link))),
        }
    }
}

#[napi]
impl NativeStream {
    #[napi(catch_unwind)]
    pub fn source(&self) -> u32 {
        self.number
    }

    /// The next batch, as a client's. Where it says that there is no more, the hub tells when there is.
    #[napi(catch_unwind)]
    pub fn drain<'env>(&self, env: &'env Env, mut words: Uint32ArraySlice<'_>) -> napi::Result<Option<Unknown<'env>>> {
        let mut writer = self.writer.borrow_mut();
        let mut batch = writer.batch(written(&mut words));
        let mut messages = self.messages.borrow_mut();
        let mut more = true;
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..MOST {
            if batch.room() == 0 {
                break;
            }
            match messages.as_mut().map(|messages| Pin::new(messages).poll_next(&mut context)) {
                Some(Poll::Ready(Some(message))) => batch.streamed(&message),
                _ => {
                    more = false;
                    break;
                }
            }
        }
        string_or_null(env, batch.finish(more))
    }

    /// Ends the listening.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.messages.take();
    }
}
