//! The runtime for clients that are made where there is none: one thread for all of them.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle};

use crate::block::forbid_blocking;
use crate::error::{Error, ErrorKind, Result};

struct Own {
    handle: Handle,
    process: u32,
}

static OWN: Mutex<Option<Own>> = Mutex::new(None);

/// The process's own runtime, started at first use. A fork of the process has to start one anew: threads do not
/// survive a fork. Clients made before it are of no use in the child.
///
/// # Errors
/// [`ErrorKind::Internal`] when no thread can be started.
pub fn handle() -> Result<Handle> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some(own) = own.as_ref().filter(|own| own.process == process) {
        return Ok(own.handle.clone());
    }
    let failed = |error: std::io::Error| Error::new(ErrorKind::Internal, format!("no runtime: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("realtime-io".into())
        .spawn(move || {
            forbid_blocking(Some("this thread does the client's input and output; use the asynchronous API"));
            runtime.block_on(std::future::pending::<()>());
        })
        .map_err(failed)?;
    // What a fork left of the parent's is leaked: its thread is not there to be stopped.
    std::mem::forget(own.replace(Own { handle: handle.clone(), process }));
    Ok(handle)
}
