//! Letting the other thread go first where both share a core: whoever has just woken it has nothing urgent left to do,
//! and would only keep it waiting on the way to its own sleep.
//!
//! On a busy machine others would run instead, for milliseconds. What it costs shows that, and is bounded: a few percent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who waits longer than this for its turn, in the mean, gives way to others than it means to.
const LONG: Duration = Duration::from_micros(500);
/// How many turns make the mean. A single long one, such as a garbage collection's, must not count for much.
const TURNS: u64 = 32;
/// For how long nobody gives way then.
const PAUSE: Duration = Duration::from_secs(1);

/// Lets another thread run that is ready to, on this core, except on a busy machine.
pub(crate) fn give_way() {
    static START: OnceLock<Instant> = OnceLock::new();
    /// Nanoseconds since `START`.
    static UNTIL: AtomicU64 = AtomicU64::new(0);
    static MEAN: AtomicU64 = AtomicU64::new(0);
    let start = *START.get_or_init(Instant::now);
    let before = start.elapsed();
    if nanos(before) < UNTIL.load(Ordering::Relaxed) {
        return;
    }
    std::thread::yield_now();
    let after = start.elapsed();
    let mean = MEAN.load(Ordering::Relaxed);
    let mean = mean - mean / TURNS + nanos(after - before) / TURNS;
    if mean > nanos(LONG) {
        UNTIL.store(nanos(after + PAUSE), Ordering::Relaxed);
        MEAN.store(0, Ordering::Relaxed);
    } else {
        MEAN.store(mean, Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
