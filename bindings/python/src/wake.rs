//! How the core tells Python that there is something to take: a file descriptor that an event loop watches, which needs
//! no lock of the interpreter's, or a thread that waits.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};

/// What is written to the descriptor: eight bytes, as an eventfd wants them.
const ONE: [u8; 8] = 1u64.to_ne_bytes();

struct Descriptors {
    read: File,
    /// `None` where reading and writing share one.
    write: Option<File>,
}

#[derive(Default)]
pub(crate) struct Wake {
    /// Signalled, and not looked at since: one wake is enough.
    signalled: AtomicBool,
    descriptors: OnceLock<Descriptors>,
    waiting: Mutex<()>,
    /// How many threads wait. A loop that watches the descriptor has none.
    threads: AtomicUsize,
    arrived: Condvar,
}

impl Wake {
    /// Wakes whoever waits, once until [`clear`](Self::clear).
    pub(crate) fn notify(&self) {
        if self.signalled.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some(descriptors) = self.descriptors.get() {
            // Full means that it is readable, which is all there is to say.
            let _ = descriptors.write.as_ref().unwrap_or(&descriptors.read).write(&ONE);
        }
        if self.threads.load(Ordering::SeqCst) > 0 {
            drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            self.arrived.notify_all();
        }
    }

    /// To be called before looking at what there is, or a wake could be missed.
    pub(crate) fn clear(&self) {
        if self.signalled.load(Ordering::Acquire)
            && let Some(descriptors) = self.descriptors.get()
        {
            let mut buffer = [0; 64];
            let _ = (&descriptors.read).read(&mut buffer);
        }
        self.signalled.store(false, Ordering::SeqCst);
    }

    /// Waits on this thread, at most this long. Says whether there was a wake.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.threads.fetch_add(1, Ordering::SeqCst);
        while !self.signalled.load(Ordering::SeqCst) {
            waiting = match deadline {
                None => self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.arrived.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        self.threads.fetch_sub(1, Ordering::SeqCst);
        self.signalled.load(Ordering::SeqCst)
    }

    /// The descriptor to watch for reading.
    #[cfg(unix)]
    pub(crate) fn descriptor(&self) -> std::io::Result<RawFd> {
        if self.descriptors.get().is_none() {
            let _ = self.descriptors.set(open()?);
            // What was signalled before has not been written.
            if self.signalled.swap(false, Ordering::AcqRel) {
                self.notify();
            }
        }
        let none = || std::io::Error::other("no descriptor");
        self.descriptors.get().map(|descriptors| descriptors.read.as_raw_fd()).ok_or_else(none)
    }
}

#[cfg(target_os = "linux")]
fn open() -> std::io::Result<Descriptors> {
    use rustix::event::{EventfdFlags, eventfd};
    let descriptor = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    Ok(Descriptors { read: File::from(descriptor), write: None })
}

#[cfg(all(unix, not(target_os = "linux")))]
fn open() -> std::io::Result<Descriptors> {
    let (read, write) = std::os::unix::net::UnixStream::pair()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    Ok(Descriptors {
        read: File::from(std::os::fd::OwnedFd::from(read)),
        write: Some(File::from(std::os::fd::OwnedFd::from(write))),
    })
}
