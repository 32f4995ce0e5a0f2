//! Faults for tests: what a bad network or a bad gateway does, on purpose. None is on unless the process that runs the
//! gateway turns it on; nothing that comes over the network can.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::gateway::Target;
use crate::hub::Peer;
use crate::outbox::{Frame, Order};
use crate::server::Shared;
use crate::websocket::{FrameKind, write_frame};

/// What happens to connections that are made from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFault {
    /// The TCP connection is accepted, and nothing ever comes over it.
    HalfOpen,
    /// The TCP connection is accepted and closed at once.
    CloseTcp,
    /// The TCP connection is accepted and reset at once.
    ResetTcp,
    /// The upgrade is refused with this HTTP status (400 to 599).
    Refuse(u16),
    /// The upgrade succeeds, but no welcome comes, nor anything else.
    NoWelcome,
    /// The upgrade succeeds, the welcome comes, and a close frame with this code after it.
    CloseAfterWelcome(u16),
    /// The upgrade succeeds, and a close frame with this code comes in place of the welcome.
    CloseBeforeWelcome(u16),
}

/// What happens to acknowledgements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckFault {
    /// Nothing.
    #[default]
    None,
    /// They are not sent. The messages are delivered.
    Drop,
    /// They are sent this much later.
    Delay(Duration),
}

/// The faults of a gateway, to be changed at any time; see [`crate::Gateway::faults`].
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

/// The faults that concern a connection's task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Active {
    pub(crate) acks: AckFault,
    pub(crate) stalled: bool,
    pub(crate) swallow_pings: bool,
    pub(crate) split: Option<(usize, Duration)>,
}

/// Where the faults are kept.
#[derive(Debug, Default)]
pub(crate) struct FaultState {
    /// Whether there is any for a connection's task: all that it looks at while there is none.
    any: AtomicBool,
    settings: Mutex<Settings>,
}

#[derive(Debug, Default)]
struct Settings {
    acks: AckFault,
    stalled: bool,
    stalled_peers: HashSet<u64>,
    swallow_pings: bool,
    split: Option<(usize, Duration)>,
    connect: Option<ConnectFault>,
    /// How many more connections `connect` is for; `None` for all.
    connects_left: Option<usize>,
}

impl FaultState {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults of one connection; `None` when there are none for any.
    pub(crate) fn active(&self, peer: u64) -> Option<Active> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let settings = self.settings();
        Some(Active {
            acks: settings.acks,
            stalled: settings.stalled || settings.stalled_peers.contains(&peer),
            swallow_pings: settings.swallow_pings,
            split: settings.split,
        })
    }

    /// What is to happen to a new TCP connection. Each counts once for [`Faults::on_next_connects`].
    pub(crate) fn connecting(&self) -> Option<ConnectFault> {
        let mut settings = self.settings();
        match &mut settings.connects_left {
            None => {}
            Some(0) => return None,
            Some(left) => *left -= 1,
        }
        settings.connect.clone()
    }
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Faults { shared }
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        let faults = &self.shared.faults;
        {
            let mut settings = faults.settings();
            change(&mut settings);
            let any = settings.acks != AckFault::None
                || settings.stalled
                || !settings.stalled_peers.is_empty()
                || settings.swallow_pings
                || settings.split.is_some();
            faults.any.store(any, Ordering::Relaxed);
        }
        for peer in self.shared.peers(&Target::All) {
            peer.outbox().wake();
        }
    }

    /// Drops or delays acknowledgements from now on, or stops doing so.
    pub fn acks(&self, fault: AckFault) {
        self.change(|settings| settings.acks = fault);
    }

    /// Stops reading from and writing to connections, which stay open. With [`Target::All`], those to come as well.
    pub fn stall(&self, target: Target) {
        let peers = self.shared.peers(&target);
        self.change(|settings| match target {
            Target::All => settings.stalled = true,
            _ => settings.stalled_peers.extend(peers.iter().map(|peer| peer.number)),
        });
    }

    /// Ends all stalls.
    pub fn unstall(&self) {
        self.change(|settings| {
            settings.stalled = false;
            settings.stalled_peers.clear();
        });
    }

    /// Does not answer pings from now on, or does again.
    pub fn swallow_pings(&self, swallow: bool) {
        self.change(|settings| settings.swallow_pings = swallow);
    }

    /// Writes at most `bytes` (at least 1) at a time, with a pause between: frames arrive in pieces.
    pub fn split_writes(&self, bytes: usize, pause: Duration) {
        self.change(|settings| settings.split = Some((bytes.max(1), pause)));
    }

    /// Writes as usual again.
    pub fn whole_writes(&self) {
        self.change(|settings| settings.split = None);
    }

    /// Has this happen to all new connections; `None` ends it. The HTTP calls of a new TCP connection suffer too
    /// where the fault comes before a request is read.
    pub fn on_connect(&self, fault: impl Into<Option<ConnectFault>>) {
        let fault = fault.into();
        self.change(|settings| {
            settings.connect = fault;
            settings.connects_left = None;
        });
    }

    /// Has this happen to the next `count` new connections, and none after them.
    pub fn on_next_connects(&self, count: usize, fault: ConnectFault) {
        self.change(|settings| {
            settings.connect = Some(fault);
            settings.connects_left = Some(count);
        });
    }

    /// Closes connections with any code: also one that the protocol forbids, such as 1006; 1005 sends a close frame
    /// without a code. How many there were.
    pub fn close(&self, target: Target, code: u16, reason: &str) -> usize {
        self.order(target, &Order::Close { code, reason: reason.to_owned().into() })
    }

    /// Resets the TCP connections, with no close frame. How many there were.
    pub fn reset(&self, target: Target) -> usize {
        self.order(target, &Order::Reset)
    }

    fn order(&self, target: Target, order: &Order) -> usize {
        let peers = self.shared.peers(&target);
        peers.iter().for_each(|peer| peer.order(order.clone()));
        peers.len()
    }

    /// Sends a text frame of any content. To how many connections.
    pub fn send_text(&self, target: Target, text: impl AsRef<[u8]>) -> usize {
        self.send(target, FrameKind::Text, text.as_ref())
    }

    /// Sends a binary frame of any content. To how many connections.
    pub fn send_binary(&self, target: Target, bytes: impl AsRef<[u8]>) -> usize {
        self.send(target, FrameKind::Binary, bytes.as_ref())
    }

    fn send(&self, target: Target, kind: FrameKind, payload: &[u8]) -> usize {
        let mut encoded = Vec::new();
        write_frame(&mut encoded, kind, payload);
        self.send_bytes(target, &encoded)
    }

    /// Writes bytes that need not be a frame, behind the frames that are queued. To how many connections.
    pub fn send_bytes(&self, target: Target, bytes: &[u8]) -> usize {
        // Shared whatever its size, so that nothing takes it for a frame.
        let frame = Frame::Large(bytes::Bytes::copy_from_slice(bytes));
        let now = Instant::now();
        let push = |peer: &Arc<Peer>| usize::from(peer.push(&frame, now));
        self.shared.peers(&target).iter().map(push).sum()
    }

    /// Ends all faults. Connections that were closed stay closed.
    pub fn clear(&self) {
        self.change(|settings| *settings = Settings::default());
    }
}
