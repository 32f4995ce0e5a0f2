//! Where C ends and Rust begins: every function's body runs in [`boundary`] or [`guarded`], which no panic passes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use realtime_pubsub::{Error, ErrorKind};

use crate::errors::{RPS_OK, rps_error};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Runs the body of a function that returns an error number. `error` is NULL or points to an `rps_error`.
pub(crate) fn boundary(error: *mut rps_error, body: impl FnOnce() -> Result<()>) -> i32 {
    // A body's own state is dropped by the unwinding; what it shares with others is behind locks that recover.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        injection::point();
        body()
    }));
    let failure = match outcome {
        Ok(Ok(())) => return RPS_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => caught(panic, "this function panicked"),
    };
    if !error.is_null() {
        // SAFETY: the header asks that it points to an `rps_error`, which may be uninitialised.
        unsafe { error.write(rps_error::new(&failure)) };
    }
    failure.number()
}

/// Runs the body of a function that can't fail and has no error number to return.
pub(crate) fn guarded<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        injection::point();
        body()
    }));
    outcome.unwrap_or_else(|panic| {
        drop(caught(panic, "this function panicked"));
        fallback
    })
}

/// What a caught panic becomes.
pub(crate) fn caught(panic: Box<dyn std::any::Any + Send>, what: &str) -> Error {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error = Error::new(ErrorKind::Internal, format!("{what}, which is a bug: {}", said.unwrap_or("no message")));
    // The panic's own value may panic when it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    error
}

/// The error of an argument that makes no sense.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(not(feature = "inject-panics"))]
mod injection {
    pub(super) fn point() {}
}

#[cfg(feature = "inject-panics")]
mod injection {
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<bool> = const { Cell::new(false) };
    }

    #[allow(clippy::panic)]
    pub(super) fn point() {
        if ARMED.take() {
            panic!("injected");
        }
    }

    /// Makes the next call of this thread panic.
    #[unsafe(no_mangle)]
    pub extern "C" fn rps_test_panic_next() {
        ARMED.set(true);
    }

    /// Whether a panic is still to come.
    #[unsafe(no_mangle)]
    pub extern "C" fn rps_test_panic_pending() -> bool {
        ARMED.take()
    }
}
