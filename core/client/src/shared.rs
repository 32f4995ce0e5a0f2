//! What the handles, the connection and the messages of one client share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use hashbrown::HashMap;
use tokio::sync::mpsc::UnboundedSender;

use crate::control::Command;
use crate::deadlines::Deadlines;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::event::{CloseEvent, ConnectionInfo, Event, State, StateChange};
use crate::event_wait::EventWait;
use crate::inbox::{Entry, Inbox};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::receipts::Receipts;
use crate::registry::{ListenerId, Registry};
use crate::stats::Counters;
use crate::subscriptions::Subscriptions;
use crate::sync::Lock;

/// Wakes the task that owns the connection, at most once until it runs.
#[derive(Debug, Default)]
pub(crate) struct Kicker {
    waker: AtomicWaker,
    kicked: AtomicBool,
}

impl Kicker {
    pub(crate) fn kick(&self) {
        if !self.kicked.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Called by the task before it looks for work.
    pub(crate) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
        self.kicked.store(false, Ordering::Release);
    }
}

pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) connection: Option<Arc<ConnectionInfo>>,
}

pub(crate) struct Shared {
    /// Tells the clients of a process apart, in logs.
    pub(crate) number: u64,
    pub(crate) options: Options,
    pub(crate) standing: Lock<Standing>,
    pub(crate) commands: UnboundedSender<Command>,
    pub(crate) kicker: Arc<Kicker>,
    pub(crate) driver: Driver,
    pub(crate) outbox: Outbox,
    pub(crate) receipts: Receipts,
    pub(crate) registry: Arc<Registry>,
    pub(crate) inbox: Arc<Inbox>,
    /// The inboxes of streams, so that they end with the client.
    pub(crate) streams: Lock<HashMap<ListenerId, Arc<Inbox>>>,
    pub(crate) event_waits: Lock<HashMap<ListenerId, Arc<EventWait>>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) subscriptions: Lock<Subscriptions>,
    pub(crate) counters: Counters,
    /// The task that runs the client has ended: nothing will happen any more, not even a timeout.
    pub(crate) gone: AtomicBool,
}

impl Shared {
    pub(crate) fn state(&self) -> State {
        self.standing.lock().state
    }

    /// The connection of the present session.
    pub(crate) fn connection(&self) -> Option<Arc<ConnectionInfo>> {
        self.standing.lock().connection.clone()
    }

    pub(crate) fn set_state(&self, to: State, connection: Option<Arc<ConnectionInfo>>, reason: &str) {
        let from = {
            let mut standing = self.standing.lock();
            standing.connection = connection;
            std::mem::replace(&mut standing.state, to)
        };
        if from != to {
            tracing::debug!(%from, %to, reason, "state");
            self.emit(Event::State(Arc::new(StateChange { from, to, reason: reason.to_owned() })));
        }
    }

    /// Tells the listeners of a control event.
    pub(crate) fn emit(&self, event: Event) {
        let listeners = self.registry.control_listeners(&event);
        match (&event, &listeners) {
            (Event::Error(error), None) => tracing::warn!(kind = %error.kind(), "{error}"),
            (Event::Error(error), Some(_)) => tracing::debug!(kind = %error.kind(), "{error}"),
            _ => {}
        }
        if let Some(listeners) = listeners {
            self.inbox.push(&mut vec![Entry::Control { listeners, event }]);
        }
    }

    pub(crate) fn emit_error(&self, error: Error) {
        self.emit(Event::Error(error));
    }

    pub(crate) fn emit_close(&self, code: u16, reason: &str, will_reconnect: bool) {
        tracing::debug!(code, reason, will_reconnect, "connection closed");
        self.emit(Event::Close(Arc::new(CloseEvent { code, reason: reason.to_owned(), will_reconnect })));
    }

    /// Hands a command to the task that runs the client.
    pub(crate) fn command(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| {
            Error::new(
                crate::ErrorKind::Closed,
                "the client's runtime is gone: it was shut down, or this process is a fork of the one that made the client",
            )
        })
    }

    /// Ends the waits for events.
    pub(crate) fn end_event_waits(&self, error: &Error) {
        let waits: Vec<_> = self.event_waits.lock().drain().map(|(_, wait)| wait).collect();
        for wait in waits {
            wait.finish(Err(error.clone()));
        }
    }

    /// Ends everything that still waits: the client is gone.
    pub(crate) fn shut(&self, error: &Error) {
        self.gone.store(true, Ordering::Release);
        self.end_event_waits(error);
        for (_, stream) in self.streams.lock().drain() {
            stream.close();
        }
        self.inbox.close();
    }
}
