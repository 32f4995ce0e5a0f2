//! The remote topics a client wants, and what the gateway made of them.
//!
//! A `subscribe` frame is never acknowledged; that it was processed is known from the pong to a ping behind it. A topic
//! that the token may not read closes the connection instead, without saying which it was. So topics that were not
//! confirmed when the gateway closed are suspects, tried one at a time in the next session; the one that closes that
//! session too is quarantined.

use std::sync::Arc;

use hashbrown::HashMap;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Wanted; not subscribed in this session.
    Wanted,
    /// The frame is written, the pong behind it has not come.
    Unconfirmed,
    /// Subscribed in this session.
    Confirmed,
}

#[derive(Debug)]
struct Topic {
    standing: Standing,
    /// It was unconfirmed when the gateway closed.
    suspect: bool,
    waiters: Vec<oneshot::Sender<Result<()>>>,
}

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// In the order they were asked for.
    order: Vec<Arc<str>>,
    topics: HashMap<Arc<str>, Topic>,
}

/// Who is to be told of an outcome, once the lock around [`Subscriptions`] is let go: an executor may poll the task that
/// waits then and there.
#[derive(Default)]
#[must_use = "they wait to be told"]
pub(crate) struct Told(Vec<(oneshot::Sender<Result<()>>, Result<()>)>);

impl Told {
    fn add(&mut self, waiters: &mut Vec<oneshot::Sender<Result<()>>>, outcome: &Result<()>) {
        self.0.extend(waiters.drain(..).map(|waiter| (waiter, outcome.clone())));
    }

    pub(crate) fn tell(self) {
        for (waiter, outcome) in self.0 {
            // Nobody to tell is fine: the caller has gone.
            let _ = waiter.send(outcome);
        }
    }
}

/// What a request to subscribe needs.
pub(crate) enum Request {
    /// It is subscribed already.
    Done,
    /// The outcome comes here. The frame must be queued if `write`.
    Wait { outcome: oneshot::Receiver<Result<()>>, write: Option<Arc<str>> },
}

impl Subscriptions {
    pub(crate) fn request(&mut self, topic: &str) -> Request {
        let (sender, outcome) = oneshot::channel();
        if let Some(known) = self.topics.get_mut(topic) {
            if known.standing == Standing::Confirmed {
                return Request::Done;
            }
            known.waiters.push(sender);
            return Request::Wait { outcome, write: None };
        }
        let name: Arc<str> = topic.into();
        self.order.push(Arc::clone(&name));
        let entry = Topic { standing: Standing::Wanted, suspect: false, waiters: vec![sender] };
        self.topics.insert(Arc::clone(&name), entry);
        Request::Wait { outcome, write: Some(name) }
    }

    /// Forgets a topic. `None` where it was not wanted.
    pub(crate) fn forget(&mut self, topic: &str) -> Option<Told> {
        self.order.retain(|name| **name != *topic);
        let mut gone = self.topics.remove(topic)?;
        let error = Error::new(ErrorKind::Cancelled, format!("unsubscribed from {topic:?} meanwhile"));
        let mut told = Told::default();
        told.add(&mut gone.waiters, &Err(error));
        Some(told)
    }

    /// The frame of this topic is about to be written. `false` where it is not wanted any more or was written already.
    pub(crate) fn writing(&mut self, topic: &str) -> bool {
        match self.topics.get_mut(topic) {
            Some(known) if known.standing == Standing::Wanted => {
                known.standing = Standing::Unconfirmed;
                true
            }
            _ => false,
        }
    }

    /// Whether its frame was written in this session. Then an earlier wish to unsubscribe is out of date.
    pub(crate) fn is_written(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|known| known.standing != Standing::Wanted)
    }

    /// The gateway has processed the frames of these topics.
    pub(crate) fn confirm(&mut self, topics: &[Arc<str>]) -> Told {
        let mut told = Told::default();
        for topic in topics {
            if let Some(known) = self.topics.get_mut(topic)
                && known.standing == Standing::Unconfirmed
            {
                known.standing = Standing::Confirmed;
                known.suspect = false;
                told.add(&mut known.waiters, &Ok(()));
            }
        }
        told
    }

    /// Topics to subscribe at once at the start of a session.
    pub(crate) fn trusted(&self) -> Vec<Arc<str>> {
        self.order.iter().filter(|topic| !self.is_suspect(topic)).cloned().collect()
    }

    /// Topics to try one at a time.
    pub(crate) fn suspects(&self) -> Vec<Arc<str>> {
        self.order.iter().filter(|topic| self.is_suspect(topic)).cloned().collect()
    }

    fn is_suspect(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|known| known.suspect)
    }

    /// A session has ended; `blame` where the gateway closed it in a way that may be a topic's fault, `certain` where
    /// it said so. Returns the topic that did it, if that is known now; it is forgotten.
    pub(crate) fn session_ended(&mut self, blame: bool, certain: bool) -> Option<(Arc<str>, Told)> {
        let unconfirmed: Vec<Arc<str>> = self
            .order
            .iter()
            .filter(|topic| self.topics.get(*topic).is_some_and(|known| known.standing == Standing::Unconfirmed))
            .cloned()
            .collect();
        let alone = unconfirmed.len() == 1;
        let mut guilty = None;
        for topic in unconfirmed {
            if let Some(known) = self.topics.get_mut(&topic) {
                if blame && alone && (certain || known.suspect) {
                    guilty = Some(Arc::clone(&topic));
                }
                known.suspect |= blame;
            }
        }
        for known in self.topics.values_mut() {
            known.standing = Standing::Wanted;
        }
        let guilty = guilty?;
        self.order.retain(|name| *name != guilty);
        let mut told = Told::default();
        if let Some(mut gone) = self.topics.remove(&guilty) {
            told.add(&mut gone.waiters, &Err(forbidden(&guilty)));
        }
        Some((guilty, told))
    }

    /// Ends the waits for subscriptions; the topics stay wanted.
    pub(crate) fn fail_waiters(&mut self, error: &Error) -> Told {
        let mut told = Told::default();
        for known in self.topics.values_mut() {
            told.add(&mut known.waiters, &Err(error.clone()));
        }
        told
    }

    pub(crate) fn wanted(&self) -> Vec<String> {
        self.order.iter().map(|topic| topic.to_string()).collect()
    }
}

pub(crate) fn forbidden(topic: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        format!(
            "subscribing to {topic:?} is forbidden: the gateway closed the connection over it. It is left out from now \
             on; subscribe again with a token that has realtime:subscriber:read:topic:{topic}"
        ),
    )
    .about_topic(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(subscriptions: &mut Subscriptions, topic: &str) -> oneshot::Receiver<Result<()>> {
        match subscriptions.request(topic) {
            Request::Wait { outcome, .. } => outcome,
            Request::Done => panic!("{topic} is subscribed already"),
        }
    }

    #[test]
    fn a_single_unconfirmed_topic_is_blamed_when_the_gateway_says_so() {
        let mut topics = Subscriptions::default();
        let mut outcome = ask(&mut topics, "secure/x");
        assert!(topics.writing("secure/x"));
        let (guilty, told) = topics.session_ended(true, true).unwrap();
        told.tell();
        assert_eq!(&*guilty, "secure/x");
        let error = outcome.try_recv().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.topic()), (ErrorKind::Forbidden, Some("secure/x")));
        assert!(topics.wanted().is_empty());
    }

    #[test]
    fn of_many_the_guilty_one_is_found_one_at_a_time_and_the_others_live_on() {
        let mut topics = Subscriptions::default();
        let _waits: Vec<_> = ["a", "secure/x", "b"].iter().map(|topic| ask(&mut topics, topic)).collect();
        for topic in ["a", "secure/x", "b"] {
            topics.writing(topic);
        }
        assert!(topics.session_ended(true, true).is_none());
        assert_eq!((topics.trusted().len(), topics.suspects().len()), (0, 3));
        topics.writing("a");
        topics.confirm(&["a".into()]).tell();
        topics.writing("secure/x");
        assert_eq!(&*topics.session_ended(true, false).unwrap().0, "secure/x");
        assert_eq!((topics.trusted(), topics.suspects()), (vec!["a".into()], vec!["b".into()]));
    }

    #[test]
    fn a_lost_connection_blames_nobody() {
        let mut topics = Subscriptions::default();
        let _wait = ask(&mut topics, "a");
        topics.writing("a");
        assert!(topics.session_ended(false, false).is_none());
        assert_eq!(topics.trusted().len(), 1);
    }

    #[test]
    fn asking_again_is_harmless() {
        let mut topics = Subscriptions::default();
        let mut first = ask(&mut topics, "a");
        let Request::Wait { write: None, outcome: mut second } = topics.request("a") else { panic!() };
        assert!(topics.writing("a") && !topics.writing("a"));
        topics.confirm(&["a".into()]).tell();
        assert!(first.try_recv().unwrap().is_ok() && second.try_recv().unwrap().is_ok());
        assert!(matches!(topics.request("a"), Request::Done));
        assert!(topics.forget("a").is_some() && topics.forget("a").is_none());
    }
}
