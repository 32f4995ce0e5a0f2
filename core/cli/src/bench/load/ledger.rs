//! What was published and what came: each delivery is accounted for.

use super::Outcome;

/// A published message's own part of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) topic: usize,
    /// Its number in its topic, from 0 on.
    pub(super) number: u64,
    /// When it was due to be sent, in microseconds since the load's beginning.
    pub(super) due: u64,
}

/// What each payload begins with, and no frame has elsewhere before it.
pub(super) const MARK: u8 = b'~';
/// Bytes of a payload.
pub(super) const PAYLOAD: usize = 128;
/// Of those, the mark and three numbers in hex.
const STAMP: usize = 1 + 4 + 8 + 12;

impl Stamp {
    pub(super) fn payload(self) -> [u8; PAYLOAD] {
        let mut payload = [b'x'; PAYLOAD];
        payload[0] = MARK;
        write_hex(&mut payload[1..5], self.topic as u64);
        write_hex(&mut payload[5..13], self.number);
        write_hex(&mut payload[13..STAMP], self.due);
        payload
    }

    /// Reads a payload.
    pub(super) fn of(payload: &[u8]) -> Option<Stamp> {
        let stamp = payload.get(..PAYLOAD)?;
        (stamp[0] == MARK).then_some(())?;
        let (topic, number, due) = (hex(&stamp[1..5])?, hex(&stamp[5..13])?, hex(&stamp[13..STAMP])?);
        Some(Stamp { topic: topic as usize, number, due })
    }
}

fn write_hex(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[number as usize & 15];
        number >>= 4;
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u64::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u64::from(digit - b'a' + 10)),
        _ => None,
    })
}

/// One connection's subscription to one topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) topic: usize,
    next: Next,
}

/// Which of a topic's messages has to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Any: the server has not said yet that the subscription is in force.
    Any,
    /// This one, or one before: it is in force since then at the latest.
    AtMost(u64),
    /// This one.
    Exactly(u64),
}

impl Subscription {
    /// Asked for, but not yet confirmed.
    pub(super) fn new(topic: usize) -> Subscription {
        Subscription { topic, next: Next::Any }
    }

    /// It is in force, after so many messages were published at most.
    pub(super) fn confirmed(&mut self, published: u64) {
        if self.next == Next::Any {
            self.next = Next::AtMost(published);
        }
    }

    /// A message has come.
    pub(super) fn delivered(&mut self, number: u64) -> Outcome<()> {
        let fits = match self.next {
            Next::Any => true,
            Next::AtMost(most) => number <= most,
            Next::Exactly(next) => number == next,
        };
        if !fits {
            let (topic, next) = (self.topic, self.next);
            return Err(format!("message {number} of topic {topic} came where {next:?} was due").into());
        }
        self.next = Next::Exactly(number + 1);
        Ok(())
    }

    /// Whether all has come of so many published messages.
    pub(super) fn complete(&self, published: u64) -> bool {
        match self.next {
            Next::Any => false,
            Next::AtMost(next) | Next::Exactly(next) => next == published,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_its_payload() {
        let stamp = Stamp { topic: 999, number: 0xDEAD_BEEF, due: 0x1234_5678_9ABC };
        assert_eq!(Stamp::of(&stamp.payload()), Some(stamp));
        assert_eq!(Stamp::of(&stamp.payload()[1..]), None);
        assert_eq!(Stamp::of(b"~"), None);
    }

    #[test]
    fn lost_and_repeated_messages_are_noticed() {
        let mut subscription = Subscription::new(1);
        assert!(!subscription.complete(0));
        subscription.confirmed(5);
        assert!(subscription.complete(5) && !subscription.complete(6));
        assert!(subscription.delivered(6).is_err(), "5 was lost");
        subscription.delivered(4).unwrap();
        subscription.delivered(5).unwrap();
        assert!(subscription.delivered(5).is_err(), "5 came twice");
        assert!(subscription.delivered(7).is_err(), "6 was lost");
        assert!(subscription.complete(6) && !subscription.complete(7));
        let mut early = Subscription::new(1);
        early.delivered(3).unwrap();
        early.confirmed(9);
        assert!(early.delivered(5).is_err());
    }
}
