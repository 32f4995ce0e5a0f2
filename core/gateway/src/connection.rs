//! One connection's task: it alone owns the socket.
//!
//! A turn reads what has come, handles all frames of it, takes what others queued, and writes everything in as few
//! system calls as it can. Whatever the frames of a turn are owed (acks, pongs) goes to the writer directly, with no
//! queue between. A silent connection holds no buffers: all connections of a thread read into the same one.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use realtime_pubsub_protocol::envelope::{Connection as Introduction, encode_welcome};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tracing::{debug, info};

use crate::fault::{Active, ConnectFault};
use crate::outbox::{Order, SLOW_CONSUMER, Segments};
use crate::session::{Closing, Session};
use crate::stream::Stream;
use crate::websocket::{Decoder, Event, FrameKind, Step, begin_frame, end_frame, write_close, write_frame};

/// Bytes read at once.
const READ: usize = 32 * 1024;
/// Turns before others get theirs.
const TURNS: usize = 8;
/// Deliveries to others before they get their turn to write them.
const DELIVERIES: usize = 10_000;
/// With this many bytes waiting to be written, nothing more is read: who asks for more than it takes has to wait.
const PAUSE_READING: usize = 1 << 20;
/// Slices given to the system at once.
const SLICES: usize = 128;
/// A buffer of an unfinished frame up to this size is kept for the next.
const KEPT: usize = 2048;

thread_local! {
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A connection from its upgrade to its end.
pub(crate) struct Connection {
    stream: Stream,
    session: Session,
    decoder: Decoder,
    /// The beginning of a frame that has not wholly come.
    partial: Vec<u8>,
    /// How long that frame is, as far as is known.
    partial_needs: usize,
    /// How many bytes to throw away before the next frame begins.
    skip: u64,
    writer: Segments,
    /// Since when what others queued waits to be written.
    since: Option<Instant>,
    phase: Phase,
    /// When the client was last heard, or took something.
    heard: Instant,
    pinged: bool,
    /// When to look whether the client is silent.
    check: Instant,
    /// With writes split by a fault: when the next piece may go.
    write_after: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// Whether the system took no more when it was last given something.
    blocked: bool,
    /// Whether a fault has this connection never say anything.
    silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    /// A close frame is written or queued. Until the deadline the client may take it, and answer if it has not.
    Closing {
        deadline: Instant,
        answered: bool,
        /// Whether the client's next frame can't be found any more, so that no answer will be seen.
        deaf: bool,
    },
    ShuttingDown {
        deadline: Instant,
    },
}

/// How a turn's part went.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Progress {
    Some,
    None,
    /// The connection is over.
    Over,
}

impl Connection {
    /// Takes over an upgraded socket, for a peer that has joined. `early` are bytes that came with the request.
    pub(crate) fn new(stream: Stream, early: &[u8], session: Session, fault: Option<&ConnectFault>) -> Self {
        let (now, limits) = (Instant::now(), &session.shared.limits);
        let check = now + limits.idle / 2;
        let decoder = Decoder::new(limits.message_bytes);
        let mut connection = Connection {
            stream,
            decoder,
            partial: early.to_vec(),
            partial_needs: 0,
            skip: 0,
            writer: Segments::default(),
            since: None,
            phase: Phase::Open,
            heard: now,
            pinged: false,
            check,
            write_after: None,
            timer: Box::pin(tokio::time::sleep_until(check)),
            blocked: false,
            silent: fault == Some(&ConnectFault::NoWelcome),
            session,
        };
        if !matches!(fault, Some(ConnectFault::NoWelcome | ConnectFault::CloseBeforeWelcome(_))) {
            connection.welcome();
        }
        if let Some(ConnectFault::CloseAfterWelcome(code) | ConnectFault::CloseBeforeWelcome(code)) = fault {
            connection.close(&Closing { code: *code, reason: Cow::Borrowed("") });
        }
        connection
    }

    fn welcome(&mut self) {
        let Session { peer, app, .. } = &self.session;
        let introduction = Introduction {
            id: Cow::Borrowed(&peer.id),
            app_id: Cow::Borrowed(&app.id),
            remote_address: Cow::Owned(peer.remote.to_string()),
        };
        self.writer.write(|out| {
            let start = begin_frame(out);
            encode_welcome(out, &introduction);
            end_frame(out, start, FrameKind::Text);
        });
    }

    /// Writes a close frame behind what is queued. From then on nothing is delivered, and frames mean nothing.
    fn close(&mut self, closing: &Closing) {
        if self.phase == Phase::Open {
            debug!(connection = %self.session.peer.id, code = closing.code, reason = %closing.reason, "closing");
            self.session.shared.metrics.closed(closing.code, &closing.reason);
            if closing.reason == SLOW_CONSUMER {
                self.session.app.metrics.slow_consumers.inc();
                info!(
                    connection = %self.session.peer.id,
                    subject = %self.session.peer.subject,
                    app = self.session.app.id,
                    "closing a slow consumer"
                );
            }
            self.session.delayed.clear();
            // Nothing may follow the close frame: what others queued since it was last looked at is dropped.
            let mut outbox = self.session.peer.outbox();
            outbox.closed = true;
            drop(std::mem::take(&mut outbox.segments));
            drop(outbox);
            self.writer.write(|out| write_close(out, closing.code, &closing.reason));
            let deadline = Instant::now() + self.session.shared.limits.close;
            self.phase = Phase::Closing { deadline, answered: false, deaf: self.skip == u64::MAX };
            self.leave();
        }
    }

    fn leave(&self) {
        self.session.peer.outbox().closed = true;
        self.session.app.hub.leave(&self.session.peer);
    }

    fn take_queued(&mut self) {
        self.writer.append(&mut self.session.peer.outbox().segments);
    }

    /// Takes what others queued, and follows an order. With `park`, the next to queue something will wake this task.
    fn collect(&mut self, cx: &Context<'_>, park: bool) -> Progress {
        let mut outbox = self.session.peer.outbox();
        // Looked at under the lock, as is the waker: whoever settles something later will wake this task.
        let settled = self.session.owed.settle(&mut outbox.segments, &mut self.writer, &self.session.app.metrics);
        let found = settled || outbox.segments.bytes() > 0;
        self.writer.append(&mut outbox.segments);
        outbox.unwritten = self.writer.bytes();
        self.since = self.since.or(outbox.since.take());
        let order = outbox.order.take();
        outbox.awake = !park || found || order.is_some();
        if !outbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            outbox.waker = Some(cx.waker().clone());
        }
        drop(outbox);
        match order {
            None if found => Progress::Some,
            None => Progress::None,
            Some(Order::Reset) => {
                self.stream.reset_when_dropped();
                Progress::Over
            }
            Some(Order::Close { code, reason }) => {
                self.close(&Closing { code, reason });
                Progress::Some
            }
            Some(Order::CloseNow { code, reason }) => {
                self.writer.cut();
                self.close(&Closing { code, reason });
                Progress::Some
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, faults: Option<&Active>) -> Progress {
        let mut buffer = READ_BUFFER.take();
        if buffer.len() < READ {
            buffer.resize(READ, 0);
        }
        let progress = self.read_into(cx, &mut buffer, faults);
        READ_BUFFER.set(buffer);
        progress
    }

    fn read_into(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], faults: Option<&Active>) -> Progress {
        // The beginning of a frame is put before what follows, unless the frame is too long for the buffer.
        let long = self.partial_needs.max(self.partial.len()) > READ / 2;
        let start = if long { 0 } else { self.partial.len() };
        let mut read = ReadBuf::new(&mut buffer[start..]);
        let end = match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => return Progress::None,
            Poll::Ready(Ok(())) if !read.filled().is_empty() => start + read.filled().len(),
            Poll::Ready(_) => return Progress::Over,
        };
        self.heard = Instant::now();
        self.pinged = false;
        if self.skip > 0 {
            let skipped = self.skip.min((end - start) as u64) as usize;
            if self.skip != u64::MAX {
                self.skip -= skipped as u64;
            }
            if self.skip == 0 {
                self.consume(&mut buffer[start + skipped..end], faults);
            }
        } else if long {
            self.partial.extend_from_slice(&buffer[..end]);
            if self.partial.len() >= self.partial_needs {
                self.consume_partial(faults);
            }
        } else {
            buffer[..start].copy_from_slice(&self.partial);
            self.partial.clear();
            self.consume(&mut buffer[..end], faults);
        }
        Progress::Some
    }

    /// Handles the frames that the buffer of an unfinished frame holds by now.
    fn consume_partial(&mut self, faults: Option<&Active>) {
        let mut bytes = std::mem::take(&mut self.partial);
        self.consume(&mut bytes, faults);
        if bytes.capacity() <= KEPT && self.partial.is_empty() {
            bytes.clear();
            self.partial = bytes;
        }
    }

    /// Handles all whole frames in `bytes`, and keeps the beginning of the next.
    fn consume(&mut self, bytes: &mut [u8], faults: Option<&Active>) {
        let mut rest = bytes;
        loop {
            let (taken, closing) = match self.decoder.step(rest) {
                Ok(Step::Incomplete(needs)) => {
                    self.partial_needs = needs;
                    self.partial.clear();
                    self.partial.extend_from_slice(rest);
                    break;
                }
                Ok(Step::Consumed(taken)) => (taken, None),
                Ok(Step::Event(taken, Event::Message(text))) if self.phase == Phase::Open && !self.silent => {
                    (taken, self.session.frame(text, &mut self.writer, self.heard, faults).err())
                }
                Ok(Step::Event(taken, Event::Ping(payload))) if self.phase == Phase::Open && !self.silent => {
                    if !faults.is_some_and(|faults| faults.swallow_pings) {
                        if self.session.app.hub.scope.is_some() {
                            self.session.owed.pong(|out| write_frame(out, FrameKind::Pong, payload));
                        } else {
                            // A barrier: what came before the ping goes out before it, deliveries included.
                            self.writer.append(&mut self.session.peer.outbox().segments);
                            self.writer.write(|out| write_frame(out, FrameKind::Pong, payload));
                        }
                    }
                    (taken, None)
                }
                Ok(Step::Event(taken, Event::Close(code))) => {
                    self.closed_by_client(code);
                    (taken, None)
                }
                Ok(Step::Event(taken, _)) => (taken, None),
                Err(violation) => {
                    let skip = violation.skip.unwrap_or(u64::MAX);
                    self.skip = if skip == u64::MAX { skip } else { skip.saturating_sub(rest.len() as u64) };
                    let taken = usize::try_from(skip).map_or(rest.len(), |skip| skip.min(rest.len()));
                    (taken, Some(Closing { code: violation.code, reason: violation.reason }))
                }
            };
            if let Some(closing) = closing {
                self.take_queued();
                self.close(&closing);
            }
            rest = &mut std::mem::take(&mut rest)[taken..];
            if self.skip > 0 {
                self.partial_needs = 0;
                break;
            }
        }
        self.session.batch_done(&mut self.writer);
        self.session.count();
    }

    fn closed_by_client(&mut self, code: Option<u16>) {
        match &mut self.phase {
            Phase::Open => {
                debug!(connection = %self.session.peer.id, ?code, "closed by the client");
                self.close(&Closing { code: code.unwrap_or(1005), reason: Cow::Borrowed("") });
                if let Phase::Closing { answered, .. } = &mut self.phase {
                    *answered = true;
                }
            }
            Phase::Closing { answered, .. } => *answered = true,
            Phase::ShuttingDown { .. } => {}
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, faults: Option<&Active>) -> io::Result<()> {
        let split = faults.and_then(|faults| faults.split);
        while self.writer.bytes() > 0 {
            if split.is_some() && self.write_after.is_some_and(|after| after > Instant::now()) {
                return Ok(());
            }
            let stream = Pin::new(&mut self.stream);
            let written = if let Some((most, pause)) = split {
                self.write_after = Some(Instant::now() + pause);
                let first = self.writer.first();
                stream.poll_write(cx, &first[..most.min(first.len())])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                match self.writer.slices(&mut slices) {
                    1 => stream.poll_write(cx, self.writer.first()),
                    count => stream.poll_write_vectored(cx, &slices[..count]),
                }
            };
            match written {
                Poll::Pending => {
                    self.blocked = true;
                    return Ok(());
                }
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.writer.advance(written?),
            }
            // Room where there was none is a sign of life; what the system merely buffers is not.
            if std::mem::take(&mut self.blocked) {
                self.heard = Instant::now();
                self.pinged = false;
            }
        }
        if let Some(since) = self.since.take() {
            self.session.shared.metrics.delivery_seconds.observe(since.elapsed());
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Does what is due by now; when to look again.
    fn tick(&mut self, stalled: bool) -> Option<Instant> {
        let now = Instant::now();
        while self.session.delayed.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, ack)) = self.session.delayed.pop_front() {
                self.writer.write(|out| out.extend_from_slice(&ack));
            }
        }
        if self.check <= now && self.phase == Phase::Open {
            let idle = self.session.shared.limits.idle;
            let (ping, dead) = (self.heard + idle / 2, self.heard + idle);
            if now < ping || stalled || self.silent {
                self.check = ping.max(now + idle / 4);
            } else if now < dead {
                self.rest();
                if !std::mem::replace(&mut self.pinged, true) {
                    self.writer.write(|out| write_frame(out, FrameKind::Ping, b""));
                }
                self.check = dead;
            } else {
                self.writer.cut();
                self.close(&Closing::new(1008, "idle timeout"));
            }
        }
        let end = match self.phase {
            Phase::Open => self.check,
            Phase::Closing { deadline, .. } | Phase::ShuttingDown { deadline } if deadline <= now => return None,
            Phase::Closing { deadline, .. } | Phase::ShuttingDown { deadline } => deadline,
        };
        let delayed = self.session.delayed.front().map(|(due, _)| *due);
        let write = self.write_after.filter(|after| *after > now && self.writer.bytes() > 0);
        [delayed, write].into_iter().flatten().chain([end]).min()
    }

    /// Gives memory back.
    fn rest(&mut self) {
        self.writer.release();
        self.partial.shrink_to_fit();
        self.session.peer.outbox().segments.release();
    }

    /// Runs until there is nothing to do (`Pending`), or the connection is over (`Ready`).
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            let faults = self.session.shared.faults.active(self.session.peer.number);
            let stalled = faults.is_some_and(|faults| faults.stalled);
            let Some(next) = self.tick(stalled) else { return Poll::Ready(()) };
            let mut progress = self.collect(cx, false);
            if self.partial_needs == 0 && !self.partial.is_empty() && self.skip == 0 && !stalled {
                self.consume_partial(faults.as_ref());
                progress = Progress::Some;
            }
            let busy = self.writer.bytes() >= PAUSE_READING || self.session.backed_up();
            if progress != Progress::Over && !stalled && !busy {
                match self.read(cx, faults.as_ref()) {
                    Progress::None => {}
                    Progress::Over => {
                        // A client that has ended its half only may still learn why it is closed.
                        let _ = self.write(cx, faults.as_ref());
                        return Poll::Ready(());
                    }
                    Progress::Some => progress = Progress::Some,
                }
                if progress == Progress::Some && self.collect(cx, false) == Progress::Over {
                    progress = Progress::Over;
                }
            }
            if progress == Progress::Over {
                return Poll::Ready(());
            }
            let waiting = self.writer.bytes();
            if !stalled && self.write(cx, faults.as_ref()).is_err() {
                return Poll::Ready(());
            }
            if std::mem::take(&mut self.session.delivered) > DELIVERIES {
                break;
            }
            if waiting >= PAUSE_READING && self.writer.bytes() < PAUSE_READING {
                continue;
            }
            if !stalled && self.writer.bytes() == 0 {
                match self.phase {
                    Phase::Closing { answered: true, .. } => return self.shut_down(cx),
                    // The client learns at once that it is over, and what it still sends is read: else the system
                    // would reset the connection, and the close frame might be lost.
                    Phase::Closing { deaf: true, .. } => {
                        let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                    }
                    _ => {}
                }
            }
            if progress == Progress::Some {
                continue;
            }
            let next = self.tick(stalled).map_or(next, |sooner| sooner.min(next));
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_ready() {
                continue;
            }
            match self.collect(cx, true) {
                Progress::None => return Poll::Pending,
                Progress::Some => {}
                Progress::Over => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn shut_down(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Phase::Closing { deadline, .. } = self.phase {
            self.phase = Phase::ShuttingDown { deadline };
            self.timer.as_mut().reset(deadline);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        Poll::Ready(())
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.phase {
            Phase::ShuttingDown { .. } => self.shut_down(cx),
            _ => self.turn(cx),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave();
    }
}
