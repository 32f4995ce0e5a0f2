//! The two ways in which a process ends or doubles under an extension's feet: interpreter exit and fork.
//!
//! A thread that comes back to Python while the interpreter ends is killed by it in the middle of its stack, which
//! aborts the process when there are Rust frames on it. So from the `atexit` hook on, threads that wait here stay here.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors;

static EXITING: AtomicBool = AtomicBool::new(false);
/// The thread that ends the interpreter, once it does.
static EXIT_THREAD: OnceLock<ThreadId> = OnceLock::new();
/// Threads that are on their way back to Python.
static RETURNING: AtomicUsize = AtomicUsize::new(0);
/// How many forks lie between this process and the one that loaded the module.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Runs `wait` detached from Python.
pub(crate) fn detached<T: Send>(py: Python<'_>, wait: impl FnOnce() -> T + Send) -> T {
    let value = py.detach(|| {
        let value = wait();
        RETURNING.fetch_add(1, Ordering::SeqCst);
        if EXITING.load(Ordering::SeqCst) {
            RETURNING.fetch_sub(1, Ordering::SeqCst);
            stay();
        }
        value
    });
    RETURNING.fetch_sub(1, Ordering::SeqCst);
    value
}

fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

/// For `atexit`: from now on no thread comes back to Python from a wait.
#[pyfunction]
pub(crate) fn prepare_exit(py: Python<'_>) {
    let _ = EXIT_THREAD.set(std::thread::current().id());
    EXITING.store(true, Ordering::SeqCst);
    let started = Instant::now();
    while RETURNING.load(Ordering::SeqCst) > 0 && started.elapsed() < Duration::from_secs(1) {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// To be called before a wait that might never return: while the interpreter ends, its last thread gets an error, and
/// all others stay here.
pub(crate) fn check_exit(py: Python<'_>) -> PyResult<()> {
    if !EXITING.load(Ordering::SeqCst) {
        return Ok(());
    }
    if EXIT_THREAD.get() == Some(&std::thread::current().id()) {
        return Err(errors::closed("the interpreter is shutting down"));
    }
    py.detach(|| stay())
}

/// Whether this is the main interpreter. In others the module's statics would mix up their objects.
#[pyfunction]
pub(crate) fn is_main_interpreter(_py: Python<'_>) -> bool {
    // SAFETY: the thread is attached, as the token shows, so it has an interpreter.
    unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) == 0 }
}

/// For `os.register_at_fork`: this is a child.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
}

/// A thing of use only in the process that made it: its threads did not follow into a fork, and its locks may be held
/// for ever there. In a child it is refused, and leaked when it is dropped.
pub(crate) struct Local<T> {
    value: Option<T>,
    generation: u32,
}

impl<T> Local<T> {
    pub(crate) fn new(value: T) -> Self {
        Local { value: Some(value), generation: GENERATION.load(Ordering::Relaxed) }
    }

    pub(crate) fn get(&self) -> PyResult<&T> {
        match &self.value {
            Some(value) if self.generation == GENERATION.load(Ordering::Relaxed) => Ok(value),
            _ => Err(errors::closed(
                "this belongs to the process that forked this one: make a new client (or gateway) in the child",
            )),
        }
    }
}

impl<T> Drop for Local<T> {
    fn drop(&mut self) {
        if self.generation != GENERATION.load(Ordering::Relaxed) {
            std::mem::forget(self.value.take());
        }
    }
}
