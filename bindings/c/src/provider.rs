//! Where the URL comes from, when it is not always the same: a function of the program, asked at each attempt to
//! connect, because tokens expire.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

use realtime_pubsub_bindings::handles::Named;
use tokio::sync::oneshot;

use crate::HANDLES;
use crate::boundary::{Result, boundary, invalid};
use crate::callback::Callback;
use crate::errors::rps_error;
use crate::handles::rps_url_request;
use crate::input::text;

type Answer = Result<String, String>;

struct UrlRequest(Mutex<Option<oneshot::Sender<Answer>>>);

impl Named for UrlRequest {
    const NAME: &'static str = "URL request (one that was answered, or took too long, is none any more)";
}

/// Ends the request however the asking ends.
struct Asked(u64);

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = HANDLES.remove::<UrlRequest>(self.0);
    }
}

pub(crate) struct Provider {
    callback: Callback<rps_url_request>,
    /// Held while the callback runs: one call at a time, so that one that hangs holds one thread.
    running: Arc<tokio::sync::Mutex<()>>,
}

impl Provider {
    pub(crate) fn new(callback: Callback<rps_url_request>) -> Arc<Self> {
        Arc::new(Provider { callback, running: Arc::default() })
    }

    pub(crate) async fn ask(self: Arc<Self>) -> Answer {
        // A call that answered may not have returned yet. The client limits how long this waits.
        let running = Arc::clone(&self.running).lock_owned().await;
        let (sender, answer) = oneshot::channel();
        let request = UrlRequest(Mutex::new(Some(sender)));
        let handle = HANDLES.insert(request).map_err(|error| error.to_string())?;
        let _asked = Asked(handle);
        tokio::task::spawn_blocking(move || {
            self.callback.call(handle);
            drop(running);
        });
        answer.await.unwrap_or_else(|_| Err("it gave no answer".into()))
    }
}

/// # Safety
/// The pointers are as the header asks.
unsafe fn answer(request: rps_url_request, given: *const c_char, len: usize, name: &str, refused: bool) -> Result<()> {
    // SAFETY: the caller's promise.
    let given = unsafe { text(given, len, name)? }.to_owned();
    if given.is_empty() && !refused {
        return Err(invalid("the url is empty; use rps_url_refuse() where there is none"));
    }
    let request = HANDLES.remove::<UrlRequest>(request)?;
    let sender = request.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(sender) = sender {
        // Nobody may be there to take it: the time is up, or the client was disconnected.
        let _ = sender.send(if refused { Err(given) } else { Ok(given) });
    }
    Ok(())
}

/// Answers a client's question for its URL: ws(s)://host/apps/ID?access_token=TOKEN. From any thread.
///
/// RPS_INVALID_HANDLE, which does no harm, when it was answered before or took longer than the client waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_url_answer(
    request: rps_url_request,
    url: *const c_char,
    url_len: usize,
    error: *mut rps_error,
) -> i32 {
    // SAFETY: what the header asks of these pointers.
    boundary(error, || unsafe { answer(request, url, url_len, "url", false) })
}

/// Says that there is no URL now, and why. The client reports that as an "error" event, RPS_URL_PROVIDER_FAILED, and
/// asks again after a pause. The reason is shown, so leave secrets out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_url_refuse(
    request: rps_url_request,
    reason: *const c_char,
    reason_len: usize,
    error: *mut rps_error,
) -> i32 {
    // SAFETY: what the header asks of these pointers.
    boundary(error, || unsafe { answer(request, reason, reason_len, "reason", true) })
}
