//! What is known of one message that was published or sent.
//!
//! A [`Receipt`] is registered under the message's id before the message is written, so that no answer can be missed
//! however late somebody asks for it. It settles once: acknowledged, timed out, connection lost, closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::deadlines::{Deadline, Expire, due};
use crate::error::{Error, ErrorKind, Result};
use crate::inbox::{Entry, Settled};
use crate::message::ResponseMessage;
use crate::publish::MessageId;
use crate::shared::Shared;
use crate::sync::Lock;

/// Replies kept until somebody takes them; a peer that sends more loses the rest.
const MAX_REPLIES: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Ack,
    Reply,
}

/// Who is told.
pub(crate) enum Waiter {
    /// A task; `None` once it is woken, until it is polled again.
    Task(Option<Waker>),
    Inbox(u64),
}

/// Tasks to wake. Never under a lock: an executor may poll the task then and there.
type Woken = SmallVec<[Waker; 1]>;

fn wake(woken: impl IntoIterator<Item = Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

pub(crate) struct Waiting {
    pub(crate) what: What,
    pub(crate) deadline: Deadline,
    pub(crate) waiter: Waiter,
}

#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) ack: Option<Result<()>>,
    replies: VecDeque<ResponseMessage>,
    /// No more replies will come, and why.
    end: Option<Error>,
    pub(crate) waiting: SmallVec<[Waiting; 1]>,
}

/// What is known of one message that was published or sent.
pub(crate) struct Receipt {
    id: MessageId,
    hash: u64,
    pub(crate) answers: Lock<Answers>,
    /// How many still want to know. The last one to go frees the slot.
    users: AtomicUsize,
    written: AtomicBool,
    /// The frame, for `retry`, until it is acknowledged.
    frame: Lock<Option<Bytes>>,
    pub(crate) shared: Arc<Shared>,
}

impl Receipt {
    pub(crate) fn new(id: MessageId, hash: u64, frame: Option<Bytes>, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Receipt {
            id,
            hash,
            answers: Lock::default(),
            users: AtomicUsize::new(0),
            written: AtomicBool::new(false),
            frame: Lock::new(frame),
            shared: Arc::clone(shared),
        })
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn set_written(&self) {
        self.written.store(true, Ordering::Release);
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.users.load(Ordering::Acquire) > 0
    }

    /// The frame to write again after a reconnect, while it is unacknowledged.
    pub(crate) fn retained(&self) -> Option<Bytes> {
        self.frame.lock().clone()
    }

    /// Gives up on writing it again. Says how many bytes that frees.
    pub(crate) fn release(&self) -> Option<usize> {
        self.frame.lock().take().map(|frame| frame.len())
    }

    /// The gateway has taken the message. Later acks change nothing.
    pub(crate) fn acknowledge(&self, told: &mut Vec<Entry>) -> bool {
        let mut answers = self.answers.lock();
        if answers.ack.is_some() {
            return false;
        }
        answers.ack = Some(Ok(()));
        let woken = self.tell(&mut answers, What::Ack, told);
        drop(answers);
        wake(woken);
        true
    }

    /// A peer has replied.
    pub(crate) fn reply(&self, reply: ResponseMessage, told: &mut Vec<Entry>) {
        let mut answers = self.answers.lock();
        if answers.end.is_some() || answers.replies.len() >= MAX_REPLIES {
            return;
        }
        answers.replies.push_back(reply);
        let woken = self.tell(&mut answers, What::Reply, told);
        drop(answers);
        wake(woken);
    }

    /// No answer will come any more.
    pub(crate) fn fail(&self, error: &Error, told: &mut Vec<Entry>) {
        let mut answers = self.answers.lock();
        let mut woken = Woken::new();
        if answers.ack.is_none() {
            answers.ack = Some(Err(error.clone()));
            woken.extend(self.tell(&mut answers, What::Ack, told));
        }
        if answers.end.is_none() {
            answers.end = Some(error.clone());
            woken.extend(self.tell(&mut answers, What::Reply, told));
        }
        drop(answers);
        wake(woken);
    }

    /// Collects what waits for this: tasks, to be woken once the lock is let go, and tokens of the inbox.
    fn tell(&self, answers: &mut Answers, what: What, told: &mut Vec<Entry>) -> Woken {
        let mut woken = Woken::new();
        let mut index = 0;
        while index < answers.waiting.len() {
            if answers.waiting[index].what != what {
                index += 1;
                continue;
            }
            match &mut answers.waiting[index].waiter {
                Waiter::Task(waker) => {
                    woken.extend(waker.take());
                    index += 1;
                }
                Waiter::Inbox(token) => {
                    let token = *token;
                    let Some(outcome) = answers.take(what) else { break };
                    let waiting = answers.waiting.remove(index);
                    self.shared.deadlines.remove(waiting.deadline);
                    told.push(Entry::Settled { token, outcome });
                }
            }
        }
        woken
    }

    /// Registers who waits for what has not come.
    pub(crate) fn await_answer(
        self: &Arc<Self>,
        mut answers: MutexGuard<'_, Answers>,
        what: What,
        timeout: Duration,
        waiter: Waiter,
    ) -> Deadline {
        let deadline = Deadline { at: due(timeout), key: self.shared.deadlines.key() };
        answers.waiting.push(Waiting { what, deadline, waiter });
        self.shared.deadlines.insert(deadline, Arc::clone(self) as Arc<dyn Expire>);
        drop(answers);
        if what == What::Reply {
            self.shared.outbox.asked();
        }
        deadline
    }

    pub(crate) fn forget(&self, key: u64) {
        let mut answers = self.answers.lock();
        if let Some(index) = answers.waiting.iter().position(|waiting| waiting.deadline.key == key) {
            let waiting = answers.waiting.remove(index);
            drop(answers);
            self.shared.deadlines.remove(waiting.deadline);
        }
    }

    pub(crate) fn timeout(&self, what: What, timeout: Duration) -> Error {
        let message = match what {
            What::Ack => format!(
                "no ack for message {} within {timeout:?}: the app may have acks switched off, or the token may not publish there",
                self.id()
            ),
            What::Reply => format!("no reply to message {} within {timeout:?}", self.id()),
        };
        Error::new(ErrorKind::Timeout, message)
    }
}

impl Answers {
    /// The answer to a wait, if there is one; a reply is taken out.
    pub(crate) fn take(&mut self, what: What) -> Option<Result<Settled>> {
        match what {
            What::Ack => self.ack.clone().map(|ack| ack.map(|()| Settled::Ack)),
            What::Reply => match self.replies.pop_front() {
                Some(reply) => Some(Ok(Settled::Reply(reply))),
                None => self.end.clone().map(Err),
            },
        }
    }
}

impl Expire for Receipt {
    fn expire(&self, key: u64) {
        let mut answers = self.answers.lock();
        let Some(index) = answers.waiting.iter().position(|waiting| waiting.deadline.key == key) else { return };
        match &mut answers.waiting[index].waiter {
            // The task sees for itself that its time is up.
            Waiter::Task(waker) => {
                let woken = waker.take();
                drop(answers);
                wake(woken);
            }
            Waiter::Inbox(token) => {
                let token = *token;
                let what = answers.waiting.remove(index).what;
                drop(answers);
                let outcome = Err(Error::new(
                    ErrorKind::Timeout,
                    match what {
                        What::Ack => {
                            format!("no ack for message {} in time: the app may have acks switched off", self.id())
                        }
                        What::Reply => format!("no reply to message {} in time", self.id()),
                    },
                ));
                self.shared.inbox.push(&mut vec![Entry::Settled { token, outcome }]);
            }
        }
    }
}

/// A user's share in a receipt.
pub(crate) struct Share(pub(crate) Arc<Receipt>);

impl Share {
    pub(crate) fn new(receipt: Arc<Receipt>) -> Self {
        receipt.users.fetch_add(1, Ordering::AcqRel);
        Share(receipt)
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        Share::new(Arc::clone(&self.0))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.shared.receipts.abandon(&self.0);
        }
    }
}
