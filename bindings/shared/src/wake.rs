//! A file descriptor that becomes readable when there is something to do, for event loops that poll descriptors.
//!
//! ```no_run
//! use std::sync::Arc;
//! use realtime_pubsub::Client;
//! use realtime_pubsub_bindings::wake::WakeFd;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, inbox) = Client::builder().url("ws://127.0.0.1:1/apps/x").build_with_inbox()?;
//! let wake = Arc::new(WakeFd::new()?);
//! let waker = Arc::clone(&wake);
//! inbox.on_ready(move || waker.wake());
//!
//! // The loop polls `wake.fd()` for reading. When it is readable:
//! wake.clear();
//! let mut batch = Vec::new();
//! if inbox.drain(256, &mut batch) > 0 {
//!     wake.wake(); // there is more: come again
//! }
//! # let _ = client;
//! # Ok(())
//! # }
//! ```

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Readable from a [`wake`](Self::wake) until it is [cleared](Self::clear). An eventfd on Linux, a pipe elsewhere.
#[derive(Debug)]
pub struct WakeFd {
    read: OwnedFd,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    write: OwnedFd,
    /// Whether it is readable already, or about to be: then a wake needs no system call.
    set: AtomicBool,
}

impl WakeFd {
    /// A descriptor that is not readable yet. It is closed on exec and never blocks.
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(WakeFd { read, set: AtomicBool::new(false) })
    }

    /// A descriptor that is not readable yet. It is closed on exec and never blocks.
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(WakeFd { read, write, set: AtomicBool::new(false) })
    }

    /// The descriptor to poll for reading. It is this object's own: don't read, write or close it.
    pub fn fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// Makes it readable. From any thread, never blocks, and costs a system call only where it was not readable.
    pub fn wake(&self) {
        if self.set.swap(true, Ordering::AcqRel) {
            return;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let end = &self.read;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let end = &self.write;
        // It can fail only where it is readable anyway: the counter or the pipe is full.
        let _ = rustix::io::write(end, &1u64.to_ne_bytes());
    }

    /// Makes it unreadable. Call this *before* looking for what there is to do: what comes after wakes again.
    pub fn clear(&self) {
        let mut bytes = [0; 64];
        // It fails where there was nothing to read.
        let _ = rustix::io::read(&self.read, &mut bytes);
        // A swap, not a store: it sees what was done before the wakes that it passes over.
        self.set.swap(false, Ordering::AcqRel);
    }
}

impl AsFd for WakeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

impl AsRawFd for WakeFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn readable(wake: &WakeFd, within: Duration) -> bool {
        let timeout = Timespec::try_from(within).unwrap();
        poll(&mut [PollFd::new(wake, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    }

    #[test]
    #[cfg_attr(miri, ignore = "needs a real poll")]
    fn is_readable_from_a_wake_until_it_is_cleared() {
        let wake = WakeFd::new().unwrap();
        assert!(!readable(&wake, Duration::ZERO));
        wake.clear();
        assert!(!readable(&wake, Duration::ZERO));
        for _ in 0..3 {
            wake.wake();
            wake.wake();
            assert!(readable(&wake, Duration::ZERO));
            wake.clear();
            assert!(!readable(&wake, Duration::ZERO));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "needs a real poll")]
    fn no_wake_is_lost() {
        const LAST: u64 = 100_000;
        let wake = WakeFd::new().unwrap();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..=LAST {
                    done.store(number, Ordering::Release);
                    wake.wake();
                }
            });
            let mut seen = 0;
            while seen < LAST {
                assert!(readable(&wake, Duration::from_secs(20)), "stuck at {seen}");
                wake.clear();
                seen = done.load(Ordering::Acquire);
            }
        });
    }
}
