//! Letting the other thread go first where both share a core: whoever has just woken it has nothing urgent left to do,
//! and would only keep it waiting on the way to its own sleep.
//!
//! On a busy machine others would run instead, for milliseconds. What it costs shows that, and is bounded: a few percent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who waits longer than this for its turn, in the mean, gives way to others than it means to.
const LONG: u64 = Duration::from_micros(500).as_nanos() as u64;
/// How many turns make the mean. A single long one, such as a garbage collection's, must not count for much.
const TURNS: u64 = 32;
/// For how long nobody gives way then.
const PAUSE: u64 = Duration::from_secs(1).as_nanos() as u64;

/// Lets another thread run that is ready to, on this core, except on a busy machine.
pub(crate) fn give_way() {
    static START: OnceLock<Instant> = OnceLock::new();
    static COST: Cost = Cost::new();
    let start = *START.get_or_init(Instant::now);
    let now = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let before = now();
    if COST.is_low(before) {
        std::thread::yield_now();
        COST.add(before, now());
    }
}

/// What giving way has cost of late, in nanoseconds. Threads may miss each other's turns: it is an estimate.
struct Cost {
    mean: AtomicU64,
    pause_until: AtomicU64,
}

impl Cost {
    const fn new() -> Self {
        Cost { mean: AtomicU64::new(0), pause_until: AtomicU64::new(0) }
    }

    fn is_low(&self, now: u64) -> bool {
        now >= self.pause_until.load(Ordering::Relaxed)
    }

    fn add(&self, before: u64, after: u64) {
        let mean = self.mean.load(Ordering::Relaxed);
        let mean = mean - mean / TURNS + (after - before) / TURNS;
        if mean > LONG {
            self.pause_until.store(after + PAUSE, Ordering::Relaxed);
            self.mean.store(0, Ordering::Relaxed);
        } else {
            self.mean.store(mean, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    /// Gives way `turns` times for so long each, and says when it stopped and after how many.
    fn run(cost: &Cost, mut now: u64, turns: usize, each: impl Fn(usize) -> u64) -> (u64, usize) {
        for turn in 0..turns {
            if !cost.is_low(now) {
                return (now, turn);
            }
            cost.add(now, now + each(turn));
            now += each(turn);
        }
        (now, turns)
    }

    #[test]
    fn on_a_busy_machine_it_pauses_soon_and_tries_again() {
        let cost = Cost::new();
        let (now, turns) = run(&cost, 0, 100, |_| 4 * MILLISECOND);
        assert!(turns <= 5, "{turns} turns of a scheduler's slice");
        assert!(!cost.is_low(now + PAUSE - 1));
        assert!(cost.is_low(now + PAUSE));
        let (_, again) = run(&cost, now + PAUSE, 100, |_| 4 * MILLISECOND);
        assert_eq!(again, turns);
    }

    #[test]
    fn short_turns_with_a_long_one_among_them_go_on() {
        let cost = Cost::new();
        let each = |turn| if turn % 100 == 99 { 8 * MILLISECOND } else { MILLISECOND / 20 };
        assert_eq!(run(&cost, 0, 10_000, each).1, 10_000);
    }
}
