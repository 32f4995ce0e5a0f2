//! Who runs a client's task: its runtime, and for a lone message the thread that publishes it. While the task is idle,
//! that saves the way over another thread.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use crate::give_way::give_way;
use crate::shared::Shared;

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;
type Panic = Box<dyn Any + Send>;

struct Task {
    run: Run,
    /// The runtime's, which knows nothing of other threads.
    waker: Option<Waker>,
}

/// Holds the task, for whoever polls it.
#[derive(Default)]
pub(crate) struct Driver {
    /// `None` before the start and after the end.
    task: Mutex<Option<Task>>,
    /// The runtime came while another thread was at it.
    missed: AtomicBool,
    /// Only what is queued is to be written.
    only_write: AtomicBool,
}

impl Driver {
    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Task>>> {
        match self.task.try_lock() {
            Ok(task) => Some(task),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether the session is to write what is queued and leave the rest to the runtime.
    pub(crate) fn only_writes(&self) -> bool {
        self.only_write.load(Ordering::Relaxed)
    }

    /// Polls for the runtime.
    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<(), Panic>> {
        let Some(mut task) = self.try_lock().or_else(|| {
            self.missed.store(true, Ordering::SeqCst);
            // Whoever was at it may have left before that.
            self.try_lock()
        }) else {
            return Poll::Pending;
        };
        self.missed.store(false, Ordering::SeqCst);
        let Some(Task { run, waker }) = task.as_mut() else { return Poll::Ready(Ok(())) };
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context)))?.map(Ok)
    }

    /// Writes what is queued, on this thread. Says whether it did: not while the task is running.
    pub(crate) fn write_here(&self, runtime: &Handle) -> bool {
        let Some(mut task) = self.try_lock() else { return false };
        let Some(Task { run, waker: Some(waker) }) = task.as_mut() else { return false };
        let waker = waker.clone();
        let _entered = runtime.enter();
        self.only_write.store(true, Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(&mut Context::from_waker(&waker))));
        self.only_write.store(false, Ordering::Relaxed);
        let ended = if matches!(outcome, Ok(Poll::Pending)) { None } else { task.take() };
        drop(task);
        if ended.is_some() || self.missed.swap(false, Ordering::SeqCst) {
            waker.wake();
        }
        drop(ended);
        true
    }

    fn end(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(task);
    }
}

/// Runs this as the client's task.
pub(crate) fn drive(shared: Arc<Shared>, run: impl Future<Output = ()> + Send + 'static) -> Driven {
    *shared.driver.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(Task { run: Box::pin(run), waker: None });
    Driven(shared)
}

/// The runtime's hold on the task.
pub(crate) struct Driven(Arc<Shared>);

impl Future for Driven {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let inbox = &self.0.inbox;
        // Whoever is woken may want the task at once.
        inbox.hold_wakes();
        let polled = self.0.driver.poll(context);
        if inbox.release_wakes() {
            give_way();
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(panic)) => resume_unwind(panic),
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.driver.end();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::future::{pending, poll_fn};
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn driver(run: impl Future<Output = ()> + Send + 'static) -> Driver {
        let task = Task { run: Box::pin(run), waker: None };
        Driver { task: Mutex::new(Some(task)), ..Driver::default() }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn the_runtime_polls_before_anybody_else() {
        let (driver, runtime) = (driver(pending()), runtime());
        assert!(!driver.write_here(runtime.handle()));
        assert!(driver.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(driver.write_here(runtime.handle()));
        assert!(!driver.only_writes());
    }

    #[test]
    fn a_runtime_that_came_while_another_thread_was_at_it_is_woken_once_that_is_done() {
        let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let barriers = (Arc::clone(&entered), Arc::clone(&leave));
        let mut polls = 0;
        let driver = Arc::new(driver(poll_fn(move |_| {
            polls += 1;
            if polls == 2 {
                barriers.0.wait();
                barriers.1.wait();
            }
            Poll::Pending
        })));
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        assert!(driver.poll(&mut Context::from_waker(&waker)).is_pending());
        let other = Arc::clone(&driver);
        let thread = std::thread::spawn(move || other.write_here(runtime().handle()));
        entered.wait();
        assert!(driver.poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(!driver.write_here(runtime().handle()), "one at a time");
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        leave.wait();
        assert!(thread.join().unwrap());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(driver.write_here(runtime().handle()));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "nobody came meanwhile");
    }

    #[test]
    fn a_task_that_ends_or_panics_on_another_thread_is_over_for_the_runtime() {
        for panics in [false, true] {
            let mut polls = 0;
            let driver = driver(poll_fn(move |_| {
                polls += 1;
                assert!(polls < 2 || !panics, "on purpose");
                if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
            }));
            let wakes = Arc::new(Count::default());
            let waker = Waker::from(Arc::clone(&wakes));
            assert!(driver.poll(&mut Context::from_waker(&waker)).is_pending());
            assert!(driver.write_here(runtime().handle()));
            assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
            assert!(matches!(driver.poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(()))));
        }
    }
}
