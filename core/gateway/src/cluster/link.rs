//! The connection to NATS: up and down again, writing and reading.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::login::{Connected, Failed, Socket};
use super::members::{Call, Change, MemberId, Spoken, Word};
use super::wire::{self, Info, Said, parse};
use super::{BINARY, CONTINUED, COUNTED, Cluster, HEAD, MORE, Purpose, subject};
use crate::hub::Hub;
use crate::server::Shared;

/// The first pause before connecting again; doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A buffer up to this size is kept.
const KEPT: usize = 1 << 20;
/// Counted messages that nobody asked about yet.
const MOST_COUNTED: usize = 10_000;
/// A message in parts may have this many bytes.
const MOST_PARTS: usize = 256 << 20;

/// What the reader knows.
#[derive(Default)]
struct Reading {
    /// Messages of which some parts have come, by sender and by what they come for.
    partial: HashMap<(MemberId, Purpose), Vec<u8>>,
    /// To how many a message was delivered, by its sender and name.
    delivered: HashMap<(MemberId, u64), usize>,
}

impl Reading {
    /// Of a gateway that is gone, nothing more comes.
    fn forget(&mut self, id: MemberId) {
        self.partial.retain(|(from, _), _| *from != id);
        self.delivered.retain(|(from, _), _| *from != id);
    }
}

impl Cluster {
    /// Connects for the first time: an error says that the options will never do. Away is no error.
    pub(crate) async fn connect(&self) -> Result<Option<Connected>, String> {
        let mut last = None;
        for server in 0..self.login.servers.len() {
            match self.login.connect(server).await {
                Ok(connected) => {
                    self.begin(&connected.info);
                    return Ok(Some(connected));
                }
                Err(failed) => last = Some(failed),
            }
        }
        match last {
            Some(Failed::Refused(text)) => Err(format!("nats: {text}")),
            Some(Failed::Away(error)) => {
                warn!(error, "NATS is away: this gateway is alone until it comes");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Keeps the connection up, for ever. `first` is what [`Cluster::connect`] gave.
    pub(crate) async fn run(&self, first: Option<Connected>, shared: Arc<Shared>) -> Infallible {
        let (mut connected, mut server, mut pause) = (first, 0_usize, PAUSE);
        // What is known is not told again, each time that it is tried: that it is away, that it refuses.
        let mut told = [false; 2];
        loop {
            if let Some(connected) = connected.take() {
                let begin = Instant::now();
                info!(server = connected.server, name = connected.info.server_name, "joined through NATS");
                let why = self.serve(connected, &shared).await;
                warn!(error = why, "NATS is away: acks are refused, and other gateways not reached, until it is back");
                told = [false; 2];
                if begin.elapsed() > LONGEST_PAUSE {
                    pause = PAUSE;
                }
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            match self.login.connect(server).await {
                Ok(found) => {
                    self.begin(&found.info);
                    connected = Some(found);
                }
                Err(failed) => {
                    server = server.wrapping_add(1);
                    pause = LONGEST_PAUSE.min(pause * 2);
                    let (refused, error) = (matches!(failed, Failed::Refused(_)), failed.text());
                    self.state().login_refused = refused;
                    match (std::mem::replace(&mut told[usize::from(refused)], true), refused) {
                        (false, true) => error!(error, "NATS does not let this gateway in"),
                        (false, false) => warn!(error, "NATS can't be reached"),
                        (true, _) => debug!(error, "NATS can't be reached"),
                    }
                }
            }
        }
    }

    /// Serves one connection, for which [`Cluster::begin`] was called, until it is lost; why.
    async fn serve(&self, connected: Connected, shared: &Shared) -> String {
        let Connected { socket, early, info, .. } = connected;
        let _down = Down(self);
        let (read, write) = tokio::io::split(socket);
        let reading = Mutex::default();
        tokio::select! {
            why = self.write_all(write) => why,
            why = self.read_all(read, early, info.max_payload, &reading, shared) => why,
            why = self.watch(&reading, shared) => why,
        }
    }

    /// Subscribes to all that is needed, and says hello.
    fn begin(&self, info: &Info) {
        self.members().pardon(Instant::now());
        let mut state = self.state();
        state.up = true;
        state.epoch += 1;
        state.refused = false;
        state.login_refused = false;
        state.max_payload = info.max_payload;
        let mut out = std::mem::take(&mut state.out);
        out.clear();
        let prefix = &self.options.prefix;
        for own in [format!("{prefix}.members"), format!("{prefix}.member.{:016x}", self.id)] {
            state.subscriptions += 1;
            wire::subscribe(&mut out, &own, state.subscriptions);
        }
        for ((_, subject), need) in &state.needs {
            wire::subscribe(&mut out, subject, need.sid);
        }
        state.out = out;
        self.tell(&mut state, None, Word::Hello);
        self.tell_all(&mut state, None);
        self.metrics.nats_connected.set(1);
        self.metrics.nats_connects.inc();
    }

    async fn write_all(&self, mut socket: WriteHalf<Box<dyn Socket>>) -> String {
        let mut bytes = Vec::new();
        loop {
            {
                let mut state = self.state();
                if let Some(barrier) = state.gathering.take() {
                    state.out.extend_from_slice(b"PING\r\n");
                    state.inflight.push_back((Instant::now(), barrier));
                }
                std::mem::swap(&mut state.out, &mut bytes);
                self.congested.store(false, Ordering::Relaxed);
            }
            if bytes.is_empty() {
                self.wake.notified().await;
                continue;
            }
            if let Err(error) = socket.write_all(&bytes).await {
                return error.to_string();
            }
            if let Err(error) = socket.flush().await {
                return error.to_string();
            }
            bytes.clear();
            if bytes.capacity() > KEPT {
                bytes = Vec::new();
            }
        }
    }

    async fn read_all(
        &self,
        mut socket: ReadHalf<Box<dyn Socket>>,
        mut buffer: BytesMut,
        mut most: usize,
        reading: &Mutex<Reading>,
        shared: &Shared,
    ) -> String {
        loop {
            if let Err(why) = self.take(&mut buffer, &mut most, &mut locked(reading), shared) {
                return why;
            }
            buffer.reserve(64 * 1024);
            match socket.read_buf(&mut buffer).await {
                Ok(0) => return "the server closed the connection".into(),
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
        }
    }

    /// Takes all that has wholly come.
    fn take(
        &self,
        buffer: &mut BytesMut,
        most: &mut usize,
        reading: &mut Reading,
        shared: &Shared,
    ) -> Result<(), String> {
        while let Some((length, said)) = parse(buffer, *most).map_err(|error| error.to_string())? {
            match said {
                Said::Message { subject, sid, payload } => {
                    self.message(subject, Purpose::of(sid), payload, reading, shared);
                }
                Said::Pong => self.pong(),
                Said::Ping => {
                    self.state().out.extend_from_slice(b"PONG\r\n");
                    self.wake.notify_one();
                }
                Said::Error(text) => self.complaint(text),
                Said::Info(text) => {
                    if let Ok(info) = serde_json::from_str::<Info>(text) {
                        *most = info.max_payload;
                        self.state().max_payload = *most;
                    }
                }
                Said::Ok => {}
            }
            buffer.advance(length);
        }
        Ok(())
    }

    /// Watches over the server and the other gateways.
    async fn watch(&self, reading: &Mutex<Reading>, shared: &Shared) -> String {
        let beat = self.options.member_timeout / 5;
        let mut ticks = tokio::time::interval(beat.min(self.options.timeout / 5));
        let mut beaten = Instant::now();
        loop {
            ticks.tick().await;
            let now = Instant::now();
            {
                let mut state = self.state();
                let waited = state.inflight.front().map(|(since, _)| now.saturating_duration_since(*since));
                if waited.is_some_and(|waited| waited > self.options.timeout) {
                    return format!("no answer to a ping in {:?}", self.options.timeout);
                }
                if state.inflight.is_empty() {
                    state.barrier();
                }
                if now.saturating_duration_since(beaten) >= beat {
                    beaten = now;
                    self.tell(&mut state, None, Word::Beat);
                }
            }
            self.wake.notify_one();
            let silent = self.members().silent(now, self.options.member_timeout);
            for id in silent {
                warn!(gateway = format!("{id:016x}"), "a gateway has gone without a word");
                locked(reading).forget(id);
                let gone = self.members().forget(id);
                self.changed(gone, shared);
            }
            self.metrics.cluster_members.set(self.members().count() as i64 + 1);
        }
    }

    fn pong(&self) {
        let resolved = {
            let mut state = self.state();
            let refused = std::mem::take(&mut state.refused);
            state.inflight.pop_front().map(|(_, barrier)| (barrier, !refused))
        };
        if let Some((barrier, taken)) = resolved {
            barrier.resolve(taken);
        }
    }

    /// The server refuses something, and goes on.
    fn complaint(&self, text: &str) {
        error!(error = text, "NATS refuses something");
        if !text.to_ascii_lowercase().contains("subscription") {
            // It comes before the pong of the ping behind what was refused.
            self.state().refused = true;
        }
    }

    fn message(&self, on: &str, purpose: Purpose, payload: &[u8], reading: &mut Reading, shared: &Shared) {
        let Some(rest) = on.strip_prefix(self.options.prefix.as_str()).and_then(|rest| rest.strip_prefix('.')) else {
            return;
        };
        match rest.strip_prefix("topic.").and_then(|rest| rest.split_once('.')) {
            Some((app, topic)) => {
                let (Some(app), Some(topic)) = (subject::decode(app), subject::decode(topic)) else { return };
                let Some(app) = shared.apps.get(&*app) else { return };
                self.receive(&app.hub, &topic, purpose, payload, reading);
            }
            None => match serde_json::from_slice(payload) {
                Ok(Spoken { from, .. }) if from == self.id => {}
                Ok(Spoken { from, word }) => self.listen(from, word, reading, shared),
                Err(error) => debug!(%error, "another gateway says something that is not understood"),
            },
        }
    }

    /// Another gateway published something.
    fn receive(&self, hub: &Hub, topic: &str, purpose: Purpose, payload: &[u8], reading: &mut Reading) {
        let number = |from: usize| -> Option<u64> {
            payload.get(from..from + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
        };
        let (Some(&flags), Some(from)) = (payload.first(), number(1)) else { return };
        // Without echo it does not come, but an old connection's may after this gateway has come back.
        if from == self.id {
            return;
        }
        let head = if flags & COUNTED != 0 { HEAD } else { 9 };
        let Some(mut body) = payload.get(head..) else { return };
        let mut whole = Vec::new();
        if flags & (MORE | CONTINUED) != 0 {
            self.members().heard_in_part(from, Instant::now());
            if flags & CONTINUED == 0 {
                reading.partial.insert((from, purpose), Vec::new());
            }
            // Without its beginning, the rest is nothing.
            let Some(partial) = reading.partial.get_mut(&(from, purpose)) else { return };
            if partial.len() + body.len() > MOST_PARTS {
                reading.partial.remove(&(from, purpose));
                return;
            }
            partial.extend_from_slice(body);
            if flags & MORE != 0 {
                return;
            }
            whole.append(partial);
            reading.partial.remove(&(from, purpose));
            body = &whole;
        }
        match purpose {
            Purpose::Deliver => {}
            // Only what came by REST is counted.
            tail => return hub.tails.see_encoded(topic, tail == Purpose::TailAll, flags & COUNTED != 0, body),
        }
        self.metrics.nats_received.inc();
        let delivered = hub.deliver_encoded(topic, flags & BINARY != 0, body);
        if flags & COUNTED != 0
            && let Some(name) = number(9)
        {
            if reading.delivered.len() > MOST_COUNTED {
                reading.delivered.clear();
            }
            reading.delivered.insert((from, name), delivered);
        }
    }

    /// Another gateway says something.
    fn listen(&self, from: MemberId, word: Word, reading: &mut Reading, shared: &Shared) {
        let unknown = !matches!(word, Word::Bye) && self.members().heard(from, Instant::now());
        let changes = match word {
            Word::Hello => {
                self.tell_all(&mut self.state(), Some(from));
                Vec::new()
            }
            Word::Beat if unknown => {
                self.tell(&mut self.state(), Some(from), Word::Hello);
                Vec::new()
            }
            Word::Beat => Vec::new(),
            Word::Snapshot { connections, first, last } => self.members().snapshot(from, connections, first, last),
            Word::Joined { connection } => self.members().joined(from, connection).into_iter().collect(),
            Word::Left { id } => self.members().left(from, &id).into_iter().collect(),
            Word::Bye => {
                reading.forget(from);
                self.members().forget(from)
            }
            Word::Call { number, app, what } => {
                let count = shared.apps.get(&app).map_or(0, |app| match what {
                    Call::Delivered { message } => reading.delivered.remove(&(from, message)).unwrap_or(0),
                    Call::Unsubscribe { subject, patterns } => app.hub.unsubscribe_matching(&subject, &patterns),
                    Call::Terminate { connection } => app.hub.terminate(connection.as_deref()),
                });
                self.tell(&mut self.state(), Some(from), Word::Answer { number, count });
                Vec::new()
            }
            Word::Answer { number, count } => {
                self.members().answered(from, number, count);
                Vec::new()
            }
        };
        self.changed(changes, shared);
        self.metrics.cluster_members.set(self.members().count() as i64 + 1);
    }

    /// Tells this gateway's own connections who came and went elsewhere.
    fn changed(&self, changes: Vec<Change>, shared: &Shared) {
        for change in changes {
            if let Some(app) = shared.apps.get(&change.app) {
                app.hub.announce(&change.client, change.connected);
            }
        }
    }

    /// What was not taken by now never will be.
    fn end(&self) {
        let lost: Vec<_> = {
            let mut state = self.state();
            state.up = false;
            state.out = Vec::new();
            let gathering = state.gathering.take();
            state.inflight.drain(..).map(|(_, barrier)| barrier).chain(gathering).collect()
        };
        self.congested.store(false, Ordering::Relaxed);
        self.metrics.nats_connected.set(0);
        lost.iter().for_each(|barrier| barrier.resolve(false));
    }
}

/// For no longer than it takes to take what has come: one task does all this.
fn locked(reading: &Mutex<Reading>) -> MutexGuard<'_, Reading> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks the connection as lost, however serving it ends.
struct Down<'a>(&'a Cluster);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::members::Remote;
    use super::*;
    use crate::metrics::Metrics;
    use crate::options::NatsOptions;
    use crate::simulation::World;

    fn remote() -> impl Strategy<Value = Remote> {
        let (app, id) = (prop_oneof!["app", "another"], "[abc]");
        (app, id, "[xy]").prop_map(|(app, id, subject)| Remote {
            app,
            client: format!("{{\"id\":\"{id}\"}}"),
            id,
            subject,
        })
    }

    fn word() -> impl Strategy<Value = Word> {
        let app = || prop_oneof![Just("app".to_owned()), Just("another".into())];
        let call = prop_oneof![
            (0..3_u64).prop_map(|message| Call::Delivered { message }),
            "[xy*]".prop_map(|pattern| Call::Unsubscribe { subject: pattern.clone(), patterns: vec![pattern] }),
            Just(Call::Terminate { connection: None }),
        ];
        prop_oneof![
            Just(Word::Hello),
            Just(Word::Beat),
            Just(Word::Bye),
            (prop::collection::vec(remote(), 0..4), any::<bool>(), any::<bool>())
                .prop_map(|(connections, first, last)| Word::Snapshot { connections, first, last }),
            remote().prop_map(|connection| Word::Joined { connection }),
            "[abc]".prop_map(|id| Word::Left { id }),
            (any::<u64>(), app(), call).prop_map(|(number, app, what)| Word::Call { number, app, what }),
            (0..3_u64, any::<usize>()).prop_map(|(number, count)| Word::Answer { number, count: count % 1000 }),
        ]
    }

    /// What may come: on which subject, for what, and what it is.
    fn any_message() -> impl Strategy<Value = (String, u64, Vec<u8>)> {
        let spoken = (1..4_u64, word()).prop_map(|(from, word)| {
            ("realtime.members".to_owned(), 0, serde_json::to_vec(&Spoken { from, word }).unwrap())
        });
        let subject = prop_oneof!["realtime\\.(topic|member)\\.(app|no)\\.[a-z=0-9A-F]{0,4}", "[ -~]{0,30}"];
        let part = (any::<u8>(), 1..4_u64, prop::collection::vec(any::<u8>(), 0..30))
            .prop_map(|(flags, from, rest)| [&[flags][..], &from.to_be_bytes(), &rest].concat());
        let payload = prop_oneof![4 => part, 1 => prop::collection::vec(any::<u8>(), 0..30)];
        prop_oneof![3 => spoken, 2 => (subject, 0..4_u64, payload)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_other_gateways_say_nothing_is_left_of_them_when_they_are_gone(
            messages in prop::collection::vec(any_message(), 0..60),
        ) {
            let world = World::new();
            let cluster = Cluster::new(&NatsOptions::new("x"), Arc::new(Metrics::new())).unwrap();
            let mut reading = Reading::default();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _entered = runtime.enter();
            for (subject, purpose, payload) in &messages {
                cluster.message(subject, Purpose::of(purpose << super::super::PURPOSE), payload, &mut reading, &world.shared);
            }
            for from in 1..4 {
                let bye = serde_json::to_vec(&Spoken { from, word: Word::Bye }).unwrap();
                cluster.message("realtime.members", Purpose::Deliver, &bye, &mut reading, &world.shared);
            }
            let mut left = reading.partial.keys().map(|(from, _)| from).chain(reading.delivered.keys().map(|(from, _)| from));
            prop_assert!(left.all(|from| !(1..4).contains(from)));
            let members = cluster.members();
            prop_assert_eq!(members.count(), 0);
            for (app, subject) in ["app", "another"].into_iter().flat_map(|app| ["x", "y"].map(|subject| (app, subject))) {
                prop_assert_eq!(members.of_subject(app, subject), 0);
            }
        }
    }
}
