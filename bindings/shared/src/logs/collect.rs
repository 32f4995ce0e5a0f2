//! The `tracing` subscriber: finds out which client an event is about, and hands it to the sinks that want it.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record as SpanRecord};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber};

use super::{Level, Record, Router};

/// The span that the client's core runs in, and the crate it comes from.
const SPAN: &str = "client";
const CRATE: &str = "realtime_pubsub";

/// Spans need no table: a client's span has its number as id, all others this.
const OTHER: u64 = u64::MAX;

thread_local! {
    /// The clients in whose spans this thread is, innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Says whether this is the process's subscriber from now on.
pub(super) fn install(router: &'static Router) -> bool {
    tracing_core::dispatcher::set_global_default(Dispatch::new(Collector(router))).is_ok()
}

pub(super) struct Collector(pub(super) &'static Router);

fn is_client_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == SPAN && metadata.target().starts_with(CRATE)
}

impl Subscriber for Collector {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_client_span(metadata) {
            // Also while nobody listens: a logger that is attached later wants to know the client.
            Interest::always()
        } else if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_client_span(metadata) || metadata.is_event() && Level::of(*metadata.level()) as u8 <= self.0.level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The clients' spans are of level info.
        let wanted = Level::from_number(i32::from(self.0.level())).unwrap_or(Level::Off);
        Some(wanted.filter().max(LevelFilter::INFO))
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut number = Number(OTHER);
        if is_client_span(attributes.metadata()) {
            attributes.record(&mut number);
        }
        Id::from_u64(number.0)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = Level::of(*event.metadata().level());
        // At exit a thread may have lost its own variables already.
        let innermost = |entered: &RefCell<Vec<u64>>| entered.borrow().iter().rev().find(|id| **id != OTHER).copied();
        let client = ENTERED.try_with(innermost).ok().flatten();
        let mut sinks = self.0.wanting(level, client);
        let Some(last) = sinks.pop() else { return };
        let mut text = Text::default();
        event.record(&mut text);
        let message = text.message + &text.fields;
        let record = Record { level, target: event.metadata().target(), message, client, time: SystemTime::now() };
        for sink in sinks {
            sink.push(record.clone());
        }
        last.push(record);
    }

    fn enter(&self, span: &Id) {
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            // Nearly always the last.
            if let Some(index) = entered.iter().rposition(|id| *id == span.into_u64()) {
                entered.remove(index);
            }
        });
    }

    fn current_span(&self) -> Current {
        Current::none()
    }
}

struct Number(u64);

impl Visit for Number {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "number" && value != 0 {
            self.0 = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a string has no way to fail, but a value's own `Debug` may.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.field(field, format_args!("{value}")),
            _ => self.field(field, format_args!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{debug, info, info_span, warn};

    use super::super::{CAPACITY, Logs, Sink};
    use super::*;

    /// Log forwarding of its own for each test, for this thread only.
    fn with_logs(test: impl FnOnce(Logs)) {
        let router: &'static Router = Box::leak(Box::new(Router::new(false)));
        let _guard = tracing::subscriber::set_default(Collector(router));
        tracing_core::callsite::rebuild_interest_cache();
        test(Logs(router));
    }

    fn attach(logs: &Logs, client: Option<u64>, level: Level) -> Arc<Sink> {
        let sink = logs.attach(client, level);
        tracing_core::callsite::rebuild_interest_cache();
        sink
    }

    fn texts(sink: &Sink) -> Vec<String> {
        sink.drain().into_iter().map(|record| record.message).collect()
    }

    fn span(number: u64) -> tracing::Span {
        info_span!(target: "realtime_pubsub::supervisor", "client", number)
    }

    #[test]
    fn records_go_to_the_loggers_of_their_client() {
        with_logs(|logs| {
            let (one, two) = (span(1), span(2));
            let (first, all) = (attach(&logs, Some(1), Level::Info), attach(&logs, None, Level::Info));
            info!("nobody's");
            one.in_scope(|| {
                warn!(code = 7, why = "so", "first's");
                two.in_scope(|| info!("second's"));
                info_span!("inner").in_scope(|| info!(number = 2, "first's again"));
                debug!("too much");
            });
            let records = first.drain();
            assert_eq!(records[0].message, "first's code=7 why=\"so\"");
            assert_eq!((records[0].level, records[0].client), (Level::Warn, Some(1)));
            assert!(records[0].target.ends_with("collect::tests"));
            assert_eq!(records[1].message, "first's again number=2");
            assert_eq!(records.len(), 2);
            assert_eq!(texts(&all).len(), 4);
        });
    }

    #[test]
    fn levels_can_change_and_full_queues_drop() {
        with_logs(|logs| {
            let sink = attach(&logs, None, Level::Error);
            warn!("not wanted");
            sink.set_level(Level::Debug);
            tracing_core::callsite::rebuild_interest_cache();
            for number in 0..CAPACITY + 3 {
                debug!("{number}");
            }
            assert_eq!(sink.dropped(), 3);
            assert_eq!(texts(&sink).len(), CAPACITY);
            sink.close();
            tracing_core::callsite::rebuild_interest_cache();
            warn!("after the end");
            assert!(texts(&sink).is_empty());
            assert_eq!(logs.0.level(), 0);
        });
    }

    #[test]
    fn a_thread_delivers_until_the_sink_closes() {
        with_logs(|logs| {
            let sink = attach(&logs, None, Level::Info);
            let (seen, records) = std::sync::mpsc::channel();
            let deliver = move |record: Record| {
                seen.send(record.message.clone()).unwrap();
                assert_ne!(record.message, "a bad one");
            };
            sink.deliver(deliver).unwrap();
            info!("one");
            info!("a bad one");
            info!("two");
            sink.close();
            assert_eq!(records.iter().collect::<Vec<_>>(), ["one", "a bad one", "two"]);
        });
    }

    #[test]
    fn hosts_are_woken_once() {
        with_logs(|logs| {
            let sink = attach(&logs, None, Level::Info);
            info!("before");
            let (wake, woken) = std::sync::mpsc::channel();
            sink.on_ready(move || wake.send(()).unwrap());
            info!("no wake");
            assert_eq!(texts(&sink).len(), 2);
            info!("a wake");
            assert_eq!(woken.try_iter().count(), 2);
        });
    }
}
