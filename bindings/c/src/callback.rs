//! Functions of the program that the library calls.
//!
//! Each is a struct of a function, a pointer that it is given, and a function that ends that pointer's use. The library
//! calls `destroy` exactly once, when it will not call `call` any more: also where the function that took the struct
//! failed.

use std::ffi::c_void;

use crate::boundary::{Result, invalid};
use crate::event::{rps_event_view, rps_outcome};
use crate::handles::rps_url_request;
use crate::logger::{rps_log_record, rps_logger};

/// Called for each event that a listener is registered for: on the client's dispatch thread, or within rps_poll(). It
/// may call any function of this library, blocking ones too, and free the client. It must not throw.
#[repr(C)]
pub struct rps_listener_callback {
    /// The function. `event` and all that it shows are valid until it returns.
    pub call: Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const rps_event_view)>,
    /// Passed to both functions.
    pub user_data: *mut c_void,
    /// Called once when `call` will not be called any more. May be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

/// Called once when something that was begun with an `_async` function has ended: on the client's dispatch thread, or
/// within rps_poll(). It is not called where the client was freed or the wait cancelled before. It may call any
/// function of this library. It must not throw.
#[repr(C)]
pub struct rps_completion {
    /// The function. `outcome` and all that it shows are valid until it returns.
    pub call: Option<unsafe extern "C" fn(user_data: *mut c_void, outcome: *const rps_outcome)>,
    /// Passed to both functions.
    pub user_data: *mut c_void,
    /// Called once when `call` will not be called any more. May be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

/// Called when a client needs the URL to connect to, at each attempt: on a thread that may block. Answer with
/// rps_url_answer() or rps_url_refuse(), there or later, on any thread. One call runs at a time: while one has not
/// returned, the client waits before it asks again, and counts that among `provider_timeout_ms`. It must not throw.
#[repr(C)]
pub struct rps_url_provider {
    /// The function.
    pub call: Option<unsafe extern "C" fn(user_data: *mut c_void, request: rps_url_request)>,
    /// Passed to both functions.
    pub user_data: *mut c_void,
    /// Called once when `call` will not be called any more, which is some time after the client was freed. May be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

type Call<A> = unsafe extern "C" fn(*mut c_void, A);
type Destroy = unsafe extern "C" fn(*mut c_void);

/// A callback that the library has taken over. Its end calls `destroy`.
pub(crate) struct Callback<A> {
    call: Option<Call<A>>,
    user_data: *mut c_void,
    destroy: Option<Destroy>,
}

// SAFETY: the header says that callbacks are called on other threads than the one that passed them.
unsafe impl<A> Send for Callback<A> {}
// SAFETY: as above; the library calls a callback on one thread at a time.
unsafe impl<A> Sync for Callback<A> {}

impl<A> Callback<A> {
    /// Takes it over, before anything that can fail.
    fn new(call: Option<Call<A>>, user_data: *mut c_void, destroy: Option<Destroy>) -> Self {
        Callback { call, user_data, destroy }
    }

    /// Refuses one without a function.
    pub(crate) fn check(self, name: &str) -> Result<Self> {
        match self.call {
            Some(_) => Ok(self),
            None => Err(invalid(format!("{name}.call is NULL"))),
        }
    }

    pub(crate) fn call(&self, argument: A) {
        if let Some(call) = self.call {
            // SAFETY: the header asks for a function that may be called with this pointer until `destroy` is.
            unsafe { call(self.user_data, argument) }
        }
    }
}

impl<A> Drop for Callback<A> {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header asks for a function that may be called once with this pointer.
            unsafe { destroy(self.user_data) }
        }
    }
}

pub(crate) type ListenerCallback = Callback<*const rps_event_view>;
pub(crate) type Completion = Callback<*const rps_outcome>;

impl From<rps_listener_callback> for ListenerCallback {
    fn from(callback: rps_listener_callback) -> Self {
        Callback::new(callback.call, callback.user_data, callback.destroy)
    }
}

impl From<rps_completion> for Completion {
    fn from(callback: rps_completion) -> Self {
        Callback::new(callback.call, callback.user_data, callback.destroy)
    }
}

impl From<rps_url_provider> for Callback<rps_url_request> {
    fn from(callback: rps_url_provider) -> Self {
        Callback::new(callback.call, callback.user_data, callback.destroy)
    }
}

impl From<rps_logger> for Callback<*const rps_log_record> {
    fn from(callback: rps_logger) -> Self {
        Callback::new(callback.call, callback.user_data, callback.destroy)
    }
}
