//! One core for the servers, another for what loads them.

/// The cores that are used, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) servers: usize,
    pub(super) generator: usize,
}

impl Cores {
    /// The first two that this process may use; `None` with fewer, and where the system can't be told.
    pub(super) fn choose() -> Option<Cores> {
        let mut allowed = allowed().into_iter();
        Some(Cores { servers: allowed.next()?, generator: allowed.next()? })
    }

    /// Does something that starts a process, which will run on the servers' core. This thread has the other from then on.
    pub(super) fn start<T>(cores: Option<Cores>, start: impl FnOnce() -> super::Outcome<T>) -> super::Outcome<T> {
        let Some(cores) = cores else { return start() };
        // A process begins where the thread is that starts it.
        pin(cores.servers)?;
        let started = start();
        pin(cores.generator)?;
        started
    }
}

#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

#[cfg(target_os = "linux")]
fn pin(core: usize) -> super::Outcome<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).map_err(|error| format!("can't run on core {core}: {error}").into())
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) -> super::Outcome<()> {
    Ok(())
}
