//! What waits to be written to one connection, and the connection's mail box for orders from outside.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

/// Larger frames are shared whoever gets them, rather than copied behind one another.
const COPIED: usize = 4096;

/// Frames for several receivers are shared from this size on: counting references costs less than copying, which for
/// many receivers is a write to memory that is in no cache.
const SHARED: usize = 128;

/// A segment of small frames is full at this many bytes.
const SEGMENT: usize = 64 * 1024;

/// A frame for many connections, encoded once.
#[derive(Clone, Debug)]
pub(crate) enum Frame<'a> {
    /// To be copied.
    Small(&'a [u8]),
    /// To be shared.
    Large(Bytes),
}

impl<'a> Frame<'a> {
    /// Takes a whole frame, in the form that suits its size and its number of receivers.
    pub(crate) fn new(encoded: &'a [u8], receivers: usize) -> Self {
        let most = if receivers > 2 { SHARED } else { COPIED };
        if encoded.len() <= most { Frame::Small(encoded) } else { Frame::Large(Bytes::copy_from_slice(encoded)) }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Frame::Small(bytes) => bytes.len(),
            Frame::Large(bytes) => bytes.len(),
        }
    }
}

/// Bytes on their way out.
#[derive(Debug)]
enum Segment {
    /// Small frames behind one another.
    Own(Vec<u8>),
    /// One frame that other connections share.
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Segment::Own(bytes) => bytes,
            Segment::Shared(bytes) => bytes,
        }
    }
}

/// Segments in the order of their frames, the first perhaps half written.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    queue: VecDeque<Segment>,
    /// How much of the first segment is written.
    offset: usize,
    bytes: usize,
    /// An empty buffer to use again.
    spare: Vec<u8>,
}

impl Segments {
    /// Bytes not yet written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a whole frame.
    pub(crate) fn push(&mut self, frame: &Frame<'_>) {
        self.bytes += frame.len();
        match frame {
            Frame::Small(bytes) => self.own().extend_from_slice(bytes),
            Frame::Large(bytes) => self.queue.push_back(Segment::Shared(bytes.clone())),
        }
    }

    /// Appends what `write` writes: whole frames.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let own = self.own();
        let before = own.len();
        write(own);
        self.bytes += own.len() - before;
    }

    fn own(&mut self) -> &mut Vec<u8> {
        if !matches!(self.queue.back(), Some(Segment::Own(bytes)) if bytes.len() < SEGMENT) {
            self.queue.push_back(Segment::Own(std::mem::take(&mut self.spare)));
        }
        match self.queue.back_mut() {
            Some(Segment::Own(bytes)) => bytes,
            _ => &mut self.spare,
        }
    }

    /// Moves all of `other`, of which nothing is written, behind what is here.
    pub(crate) fn append(&mut self, other: &mut Segments) {
        if self.queue.is_empty() {
            std::mem::swap(&mut self.queue, &mut other.queue);
        } else {
            self.queue.append(&mut other.queue);
        }
        self.bytes += std::mem::take(&mut other.bytes);
        if other.spare.capacity() == 0 {
            std::mem::swap(&mut self.spare, &mut other.spare);
        }
    }

    /// The first slice of what is to be written next.
    pub(crate) fn first(&self) -> &[u8] {
        self.queue.front().map_or(&[], |segment| &segment.bytes()[self.offset..])
    }

    /// What is to be written next; how many slices there are.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, segment) in slices.iter_mut().zip(&self.queue) {
            let from = if count == 0 { self.offset } else { 0 };
            *slot = IoSlice::new(&segment.bytes()[from..]);
            count += 1;
        }
        count
    }

    /// Drops `written` bytes.
    pub(crate) fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.offset += written;
        while let Some(first) = self.queue.front()
            && self.offset >= first.bytes().len()
        {
            self.offset -= first.bytes().len();
            if let Some(Segment::Own(mut bytes)) = self.queue.pop_front()
                && bytes.capacity() > self.spare.capacity()
            {
                bytes.clear();
                self.spare = bytes;
            }
        }
    }

    /// Drops all but the rest of the frame that is half written.
    pub(crate) fn cut(&mut self) {
        self.queue.truncate(usize::from(self.offset > 0));
        match self.queue.front_mut() {
            None => self.bytes = 0,
            Some(Segment::Own(bytes)) => {
                bytes.truncate(frame_end(bytes, self.offset));
                self.bytes = bytes.len() - self.offset;
            }
            Some(Segment::Shared(bytes)) => self.bytes = bytes.len() - self.offset,
        }
    }

    /// Gives memory back that is not in use.
    pub(crate) fn release(&mut self) {
        self.spare = Vec::new();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }
}

/// Where the server frame ends that byte `offset - 1` of `frames` is in.
fn frame_end(frames: &[u8], offset: usize) -> usize {
    let mut end = 0;
    while end < offset {
        let length = match frames.get(end + 1) {
            Some(126) => 4 + frames.get(end + 2..end + 4).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]]))),
            // Frames of more than 64 KiB are shared, so they are never among these.
            Some(&short) => 2 + usize::from(short),
            None => return frames.len(),
        };
        end += length;
    }
    end.min(frames.len())
}

/// The reason that a connection is closed with when more is queued for it than may be.
pub(crate) const SLOW_CONSUMER: &str = "slow consumer";

/// What a connection is told to do from outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Write what is queued, then close with this code and reason.
    Close { code: u16, reason: Cow<'static, str> },
    /// Drop what is queued and close.
    CloseNow { code: u16, reason: Cow<'static, str> },
    /// Reset the TCP connection, with no close frame.
    Reset,
}

impl Order {
    /// What a gateway that stops tells its clients.
    pub(crate) fn going_away() -> Self {
        Order::Close { code: 1001, reason: "going away".into() }
    }
}

/// A connection's queue, filled by whoever publishes.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) segments: Segments,
    /// How much the connection's task had not written yet when it last looked here.
    pub(crate) unwritten: usize,
    /// Since when something is here.
    pub(crate) since: Option<Instant>,
    pub(crate) order: Option<Order>,
    pub(crate) waker: Option<Waker>,
    /// Whether the connection is ending and takes nothing more.
    pub(crate) closed: bool,
    /// Whether the connection's task is going to look here anyway.
    pub(crate) awake: bool,
}

impl Outbox {
    /// Bytes that are not written.
    pub(crate) fn queued(&self) -> usize {
        self.segments.bytes() + self.unwritten
    }

    /// Has the connection's task look here.
    pub(crate) fn wake(&mut self) {
        if !self.awake {
            self.awake = true;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// Gives an order. The first one counts, but a reset overrides all.
    pub(crate) fn give(&mut self, order: Order) {
        if order == Order::Reset || self.order.is_none() {
            self.order = Some(order);
        }
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::{FrameKind, write_frame};

    fn all(segments: &Segments) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = segments.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn frame(length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_frame(&mut out, FrameKind::Text, &vec![b'x'; length]);
        out
    }

    #[test]
    fn small_and_large_frames_keep_their_order_and_are_counted() {
        let (small, large) = (frame(10), frame(COPIED + 1));
        let (mut first, mut second) = (Segments::default(), Segments::default());
        first.push(&Frame::new(&small, 1));
        first.write(|out| out.extend_from_slice(&small));
        second.push(&Frame::new(&large, 1));
        second.push(&Frame::new(&small, 1));
        let expected = [all(&first), all(&second)].concat();
        first.append(&mut second);
        assert_eq!(all(&first), expected);
        assert_eq!((first.bytes(), second.bytes()), (expected.len(), 0));
        for written in [1, small.len(), small.len() + 5, 3] {
            first.advance(written);
        }
        assert_eq!(all(&first), expected[2 * small.len() + 9..]);
        first.advance(first.bytes());
        assert_eq!((first.bytes(), all(&first).len()), (0, 0));
    }

    #[test]
    fn cutting_leaves_the_frame_whole_that_is_being_written() {
        for written in 0..300 {
            let mut segments = Segments::default();
            let frames = [frame(20), frame(200), frame(0), frame(100)];
            for bytes in &frames {
                segments.push(&Frame::new(bytes, 1));
            }
            segments.advance(written);
            segments.cut();
            let boundaries = frames.iter().scan(0, |end, frame| {
                *end += frame.len();
                Some(*end)
            });
            let expected = boundaries.into_iter().find(|end| *end >= written).unwrap();
            let expected = if written == 0 { 0 } else { expected };
            assert_eq!(segments.bytes(), expected - written, "{written}");
            assert_eq!(all(&segments).len(), segments.bytes());
        }
        let mut segments = Segments::default();
        segments.push(&Frame::new(&frame(1000), 9));
        segments.push(&Frame::new(&frame(1000), 9));
        segments.advance(1);
        segments.cut();
        assert_eq!(all(&segments).len(), 1003);
    }

    #[test]
    fn the_first_order_counts_but_a_reset_overrides() {
        let mut outbox = Outbox::default();
        outbox.give(Order::Close { code: 1001, reason: "a".into() });
        outbox.give(Order::CloseNow { code: 1008, reason: "b".into() });
        assert!(matches!(&outbox.order, Some(Order::Close { code: 1001, .. })));
        outbox.give(Order::Reset);
        assert_eq!(outbox.order, Some(Order::Reset));
    }
}
