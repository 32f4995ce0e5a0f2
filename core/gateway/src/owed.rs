//! With several gateways: acks and pongs that wait until NATS has taken what was published before them.
//!
//! The frames of one read are a batch, and wait together.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cluster::{Barrier, Cluster};
use crate::hub::Peer;
use crate::metrics::AppMetrics;
use crate::outbox::Segments;

/// Batches of one connection that wait for NATS before no more of its frames are read.
const MOST_HELD: usize = 64;

/// What a connection is owed.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// For the frames that are being handled.
    batch: Batch,
    /// For those before, in their order.
    held: VecDeque<(Arc<Barrier>, Batch)>,
}

#[derive(Debug, Default)]
struct Batch {
    /// When NATS was given the first of its messages.
    epoch: Option<u64>,
    /// Acks and pongs as frames.
    frames: Vec<u8>,
    /// The pongs alone: what is owed if NATS does not take the messages.
    pongs: Vec<u8>,
    acks: u64,
    /// Acks that are not owed: their messages could not be given to NATS.
    refused: u64,
}

impl Owed {
    /// A message was given to NATS, then.
    pub(crate) fn published(&mut self, epoch: Option<u64>) {
        self.batch.epoch = self.batch.epoch.or(epoch);
    }

    /// An ack is owed if NATS takes the message.
    pub(crate) fn ack(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.batch.acks += 1;
        write(&mut self.batch.frames);
    }

    /// NATS could not be given a message: no ack.
    pub(crate) fn refuse(&mut self) {
        self.batch.refused += 1;
    }

    /// A pong is owed once it is known what NATS has taken.
    pub(crate) fn pong(&mut self, write: impl Fn(&mut Vec<u8>)) {
        write(&mut self.batch.frames);
        write(&mut self.batch.pongs);
    }

    /// Has what the batch is owed wait for NATS, or writes it if NATS is away.
    pub(crate) fn batch_done(&mut self, cluster: &Cluster, peer: &Arc<Peer>, out: &mut Segments, metrics: &AppMetrics) {
        let batch = std::mem::take(&mut self.batch);
        if batch.frames.is_empty() && batch.epoch.is_none() {
            metrics.acks_refused.inc_by(batch.refused);
            return;
        }
        match cluster.barrier(peer, batch.epoch) {
            Some(barrier) => self.held.push_back((barrier, batch)),
            None => {
                // NATS was lost, so what is known of the batches before is all there will be.
                let queued = &mut peer.outbox().segments;
                self.settle(queued, out, metrics);
                while let Some((barrier, batch)) = self.held.pop_front() {
                    batch.pay(barrier.taken() == Some(true), queued, out, metrics);
                }
                batch.pay(false, queued, out, metrics);
            }
        }
    }

    /// Writes what is owed for batches whose outcome is known, behind what is queued. Whether there are any.
    pub(crate) fn settle(&mut self, queued: &mut Segments, out: &mut Segments, metrics: &AppMetrics) -> bool {
        let mut any = false;
        while let Some(taken) = self.held.front().and_then(|(barrier, _)| barrier.taken()) {
            if let Some((_, batch)) = self.held.pop_front() {
                batch.pay(taken, queued, out, metrics);
            }
            any = true;
        }
        any
    }

    /// Whether so much is owed that no more frames should be read.
    pub(crate) fn backed_up(&self, congested: bool) -> bool {
        self.held.len() >= MOST_HELD || (congested && !self.held.is_empty())
    }
}

impl Batch {
    /// A pong is a barrier for deliveries too: they go first.
    fn pay(&self, taken: bool, queued: &mut Segments, out: &mut Segments, metrics: &AppMetrics) {
        out.append(queued);
        let frames = if taken { &self.frames } else { &self.pongs };
        if !frames.is_empty() {
            out.write(|out| out.extend_from_slice(frames));
        }
        let (sent, refused) = if taken { (self.acks, self.refused) } else { (0, self.acks + self.refused) };
        metrics.acks.inc_by(sent);
        metrics.acks_refused.inc_by(refused);
    }
}
