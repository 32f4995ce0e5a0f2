//! What a client logs.

use std::ffi::c_void;
use std::sync::{Arc, PoisonError};

use realtime_pubsub_bindings::logs::{Level, Logs, Record};

use crate::boundary::{boundary, invalid};
use crate::callback::Callback;
use crate::client::client;
use crate::errors::rps_error;
use crate::handles::rps_client;
use crate::input::rps_str;

/// Nothing.
pub const RPS_LOG_OFF: i32 = 0;
/// Bugs.
pub const RPS_LOG_ERROR: i32 = 1;
/// What went wrong and the client deals with.
pub const RPS_LOG_WARN: i32 = 2;
/// What happens seldom and matters.
pub const RPS_LOG_INFO: i32 = 3;
/// Each step of connecting and closing.
pub const RPS_LOG_DEBUG: i32 = 4;
/// More than that.
pub const RPS_LOG_TRACE: i32 = 5;

/// One thing that was logged.
#[repr(C)]
pub struct rps_log_record {
    /// How large this struct is.
    pub size: usize,
    /// RPS_LOG_ERROR to RPS_LOG_TRACE.
    pub level: i32,
    /// Nothing.
    pub reserved: i32,
    /// The number of the client, see rps_client_number().
    pub client_number: u64,
    /// When, in microseconds since 1970.
    pub time_us: u64,
    /// Where in the library.
    pub target: rps_str,
    /// What it says. Never holds a token.
    pub message: rps_str,
}

/// Called for each record that is logged, on a thread for that alone, one after the other. It must not throw.
#[repr(C)]
pub struct rps_logger {
    /// The function. `record` and all that it shows are valid until it returns.
    pub call: Option<unsafe extern "C" fn(user_data: *mut c_void, record: *const rps_log_record)>,
    /// Passed to both functions.
    pub user_data: *mut c_void,
    /// Called once when `call` will not be called any more. May be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

/// Before the first client is made.
pub(crate) fn prepare() {
    // Where a program has a subscriber of its own in the same library, that one gets the records.
    let _ = Logs::install();
}

/// Hands what a client logs, of this level and above, to a function of yours. A client has one logger: setting another
/// ends the one before. With RPS_LOG_OFF there is none, and `logger` is destroyed at once. A slow logger slows nothing
/// but itself: beyond 4,096 records that wait, more are dropped. `logger` is taken over, also on failure; it is
/// destroyed some time after the client is freed, when it has got all there was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_client_set_logger(
    client: rps_client,
    level: i32,
    logger: rps_logger,
    error: *mut rps_error,
) -> i32 {
    let logger = Callback::from(logger);
    boundary(error, || {
        let dispatch = self::client(client)?;
        let level = Level::from_number(level).ok_or_else(|| invalid(format!("{level} is none of RPS_LOG_…")))?;
        let sink = match level {
            Level::Off => None,
            level => {
                let logger = logger.check("logger")?;
                let sink = Logs::install()?.attach(Some(dispatch.client.number()), level);
                if let Err(error) = sink.deliver(move |record| log(&logger, &record)) {
                    sink.close();
                    return Err(error);
                }
                Some(sink)
            }
        };
        let before = std::mem::replace(&mut *dispatch.logger.lock().unwrap_or_else(PoisonError::into_inner), sink);
        if let Some(before) = before {
            before.close();
        }
        Ok(())
    })
}

fn log(logger: &Callback<*const rps_log_record>, record: &Record) {
    let since = record.time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    logger.call(&rps_log_record {
        size: size_of::<rps_log_record>(),
        level: record.level as i32,
        reserved: 0,
        client_number: record.client.unwrap_or(0),
        time_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
        target: rps_str::view(record.target),
        message: rps_str::view(&record.message),
    });
}

/// Ends a client's logging.
pub(crate) fn end(dispatch: &Arc<crate::dispatch::Dispatch>) {
    let sink = dispatch.logger.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(sink) = sink {
        sink.close();
    }
}
