//! Waiting on a thread for a future. The futures of this crate need no runtime around them: the client's own tasks
//! wake them, also when their time is up.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::error::{Error, ErrorKind, Result};

thread_local! {
    static MUST_NOT_BLOCK: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Says of this thread that a wait on it would wait for itself, and why.
pub(crate) fn forbid_blocking(why: Option<&'static str>) {
    MUST_NOT_BLOCK.set(why);
}

/// Runs a future that waits on its own thread would wait for: while it is polled, waiting is refused.
pub(crate) async fn refuse_blocking<F: Future>(why: &'static str, future: F) -> F::Output {
    /// What was refused before, or nothing, also behind a panic.
    struct Restore(Option<&'static str>);
    impl Drop for Restore {
        fn drop(&mut self) {
            forbid_blocking(self.0);
        }
    }
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let _restore = Restore(MUST_NOT_BLOCK.replace(Some(why)));
        future.as_mut().poll(context)
    })
    .await
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future of this crate on this thread.
///
/// # Errors
/// [`ErrorKind::WouldDeadlock`] where this thread is one that the future waits for.
pub fn block_on<F: Future>(future: F) -> Result<F::Output> {
    if let Some(why) = MUST_NOT_BLOCK.get() {
        return Err(Error::new(ErrorKind::WouldDeadlock, format!("can't wait here: {why}")));
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        std::thread::park();
    }
}
