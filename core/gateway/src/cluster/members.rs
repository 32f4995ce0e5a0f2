//! What this gateway knows of the others: who they are, and which connections they have.
//!
//! Each gateway keeps a table of all connections of all others, by what they tell: a snapshot first, then each change.
//! Presence and the limit of connections per subject follow from it.

use std::collections::HashSet;
use std::time::Duration;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A gateway's id.
pub(super) type MemberId = u64;

/// A connection of a gateway, as the others are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Remote {
    pub(super) app: String,
    pub(super) id: String,
    pub(super) subject: String,
    /// What receivers are shown as `client`, as JSON.
    pub(super) client: String,
}

/// What one gateway asks all others to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub(crate) enum Call {
    /// To say how many connections a message was delivered to.
    Delivered { message: u64 },
    /// To end the subscriptions of a subject.
    Unsubscribe { subject: String, patterns: Vec<String> },
    /// To end one connection, or all.
    Terminate { connection: Option<String> },
}

/// What gateways tell each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Word {
    /// I am here now; tell me of your connections.
    Hello,
    /// I am still here.
    Beat,
    /// All my connections, in one or more parts.
    Snapshot {
        connections: Vec<Remote>,
        first: bool,
        last: bool,
    },
    Joined {
        connection: Remote,
    },
    Left {
        id: String,
    },
    /// I am going.
    Bye,
    Call {
        number: u64,
        app: String,
        what: Call,
    },
    Answer {
        number: u64,
        count: usize,
    },
}

/// A word and who says it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spoken {
    pub(super) from: MemberId,
    pub(super) word: Word,
}

/// A connection of another gateway that came or went.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) app: String,
    pub(super) client: String,
    pub(super) connected: bool,
}

impl Change {
    fn of(remote: Remote, connected: bool) -> Self {
        Change { app: remote.app, client: remote.client, connected }
    }
}

#[derive(Debug)]
struct Member {
    heard: Instant,
    connections: HashMap<String, Remote>,
    /// Parts of a snapshot that has not wholly come.
    partial: Option<HashMap<String, Remote>>,
    /// Whether a snapshot has come.
    complete: bool,
}

struct Pending {
    awaited: HashSet<MemberId>,
    count: usize,
    done: Option<oneshot::Sender<usize>>,
}

/// The other gateways.
#[derive(Default)]
pub(super) struct Members {
    members: HashMap<MemberId, Member>,
    /// Connections per app and subject.
    subjects: HashMap<(String, String), usize>,
    calls: HashMap<u64, Pending>,
}

impl Members {
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// The connections of a subject at other gateways.
    pub(super) fn of_subject(&self, app: &str, subject: &str) -> usize {
        self.subjects.get(&(app.to_owned(), subject.to_owned())).copied().unwrap_or(0)
    }

    /// Notes a sign of life. Whether this gateway's connections are not known, and must be asked for.
    pub(super) fn heard(&mut self, id: MemberId, now: Instant) -> bool {
        let fresh = || Member { heard: now, connections: HashMap::new(), partial: None, complete: false };
        let member = self.members.entry(id).or_insert_with(fresh);
        member.heard = now;
        !member.complete && member.partial.is_none()
    }

    /// Notes a part of a message: behind a long one, no other sign of life comes through.
    pub(super) fn heard_in_part(&mut self, id: MemberId, now: Instant) {
        if let Some(member) = self.members.get_mut(&id) {
            member.heard = now;
        }
    }

    /// Gives everybody time from now: while NATS was away, nobody could be heard.
    pub(super) fn pardon(&mut self, now: Instant) {
        self.members.values_mut().for_each(|member| member.heard = now);
    }

    fn add(&mut self, remote: &Remote) {
        *self.subjects.entry((remote.app.clone(), remote.subject.clone())).or_default() += 1;
    }

    fn remove(&mut self, remote: &Remote) {
        let key = (remote.app.clone(), remote.subject.clone());
        if let Some(count) = self.subjects.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.subjects.remove(&key);
            }
        }
    }

    pub(super) fn joined(&mut self, id: MemberId, remote: Remote) -> Option<Change> {
        let member = self.members.get_mut(&id)?;
        match member.connections.insert(remote.id.clone(), remote.clone()) {
            Some(known) if known == remote => return None,
            Some(other) => self.remove(&other),
            None => {}
        }
        self.add(&remote);
        Some(Change::of(remote, true))
    }

    pub(super) fn left(&mut self, id: MemberId, connection: &str) -> Option<Change> {
        let remote = self.members.get_mut(&id)?.connections.remove(connection)?;
        self.remove(&remote);
        Some(Change::of(remote, false))
    }

    /// Takes a part of a snapshot; with the last, what differs from what was known.
    pub(super) fn snapshot(&mut self, id: MemberId, part: Vec<Remote>, first: bool, last: bool) -> Vec<Change> {
        let Some(member) = self.members.get_mut(&id) else { return Vec::new() };
        if first {
            member.partial = Some(HashMap::new());
        }
        let Some(partial) = &mut member.partial else { return Vec::new() };
        partial.extend(part.into_iter().map(|remote| (remote.id.clone(), remote)));
        if !last {
            return Vec::new();
        }
        let now = member.partial.take().unwrap_or_default();
        member.complete = true;
        let before = std::mem::replace(&mut member.connections, now.clone());
        let gone: Vec<_> =
            before.iter().filter(|(id, it)| now.get(*id) != Some(it)).map(|(_, it)| it.clone()).collect();
        let new: Vec<_> = now.into_iter().filter(|(id, it)| before.get(id) != Some(it)).map(|(_, it)| it).collect();
        gone.iter().for_each(|remote| self.remove(remote));
        new.iter().for_each(|remote| self.add(remote));
        let gone = gone.into_iter().map(|remote| Change::of(remote, false));
        gone.chain(new.into_iter().map(|remote| Change::of(remote, true))).collect()
    }

    /// Forgets a gateway, and all its connections.
    pub(super) fn forget(&mut self, id: MemberId) -> Vec<Change> {
        let Some(member) = self.members.remove(&id) else { return Vec::new() };
        member.connections.values().for_each(|remote| self.remove(remote));
        for call in self.calls.values_mut() {
            call.answered(id, 0);
        }
        self.calls.retain(|_, call| call.done.is_some());
        member.connections.into_values().map(|remote| Change::of(remote, false)).collect()
    }

    /// The gateways that have been silent for too long.
    pub(super) fn silent(&self, now: Instant, limit: Duration) -> Vec<MemberId> {
        let silent = |member: &&Member| now.saturating_duration_since(member.heard) > limit;
        self.members.iter().filter(|(_, member)| silent(member)).map(|(id, _)| *id).collect()
    }

    /// Notes a call to all; what gives the sum of their answers.
    pub(super) fn call(&mut self, number: u64) -> oneshot::Receiver<usize> {
        let (done, sum) = oneshot::channel();
        let awaited: HashSet<_> = self.members.keys().copied().collect();
        if awaited.is_empty() {
            let _ = done.send(0);
        } else {
            self.calls.insert(number, Pending { awaited, count: 0, done: Some(done) });
        }
        sum
    }

    pub(super) fn answered(&mut self, from: MemberId, number: u64, count: usize) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.answered(from, count);
            if call.done.is_none() {
                self.calls.remove(&number);
            }
        }
    }

    /// Gives up on a call; the sum of the answers that came.
    pub(super) fn give_up(&mut self, number: u64) -> usize {
        self.calls.remove(&number).map_or(0, |call| call.count)
    }
}

impl Pending {
    fn answered(&mut self, from: MemberId, count: usize) {
        if self.awaited.remove(&from) {
            self.count += count;
        }
        if self.awaited.is_empty()
            && let Some(done) = self.done.take()
        {
            // Failing means that the caller has gone.
            let _ = done.send(self.count);
        }
    }
}

/// Cuts connections into parts of a snapshot that fit `most` bytes each: at least one part.
pub(super) fn parts(connections: Vec<Remote>, most: usize) -> Vec<Vec<Remote>> {
    let (mut parts, mut size) = (vec![Vec::new()], 0);
    for remote in connections {
        // JSON inside JSON: quotes are escaped, in the worst case every byte is.
        let length = 2 * (remote.app.len() + remote.id.len() + remote.subject.len() + remote.client.len()) + 100;
        if size + length > most && size > 0 {
            parts.push(Vec::new());
            size = 0;
        }
        size += length;
        if let Some(part) = parts.last_mut() {
            part.push(remote);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(id: &str, subject: &str) -> Remote {
        let client = format!("client {id}");
        Remote { app: "local".into(), id: id.into(), subject: subject.into(), client }
    }

    fn changes(changes: Vec<Change>) -> Vec<(String, bool)> {
        let mut all: Vec<_> = changes.into_iter().map(|change| (change.client, change.connected)).collect();
        all.sort();
        all
    }

    #[test]
    fn a_part_of_a_message_is_a_sign_of_life_of_a_gateway_that_is_known() {
        let (mut members, start, limit) = (Members::default(), Instant::now(), Duration::from_secs(15));
        members.heard(7, start);
        members.heard_in_part(7, start + limit);
        members.heard_in_part(8, start + limit);
        assert!(members.silent(start + 2 * limit, limit).is_empty());
        assert_eq!(members.silent(start + 3 * limit, limit), [7]);
        assert_eq!(members.count(), 1);
    }

    #[test]
    fn what_differs_between_snapshots_is_what_came_and_went() {
        let (mut members, now) = (Members::default(), Instant::now());
        assert!(members.heard(7, now), "its connections must be asked for");
        assert_eq!(members.snapshot(7, vec![remote("a", "x")], true, false), []);
        let first = members.snapshot(7, vec![remote("b", "x")], false, true);
        assert_eq!(changes(first), [("client a".into(), true), ("client b".into(), true)]);
        assert!(!members.heard(7, now));
        assert_eq!(members.of_subject("local", "x"), 2);
        assert!(members.joined(7, remote("c", "y")).is_some_and(|change| change.connected));
        assert_eq!(members.joined(7, remote("c", "y")), None, "known already");
        let second = members.snapshot(7, vec![remote("c", "y"), remote("d", "x")], true, true);
        assert_eq!(
            changes(second),
            [("client a".into(), false), ("client b".into(), false), ("client d".into(), true)]
        );
        assert_eq!((members.of_subject("local", "x"), members.of_subject("local", "y")), (1, 1));
        assert!(members.left(7, "c").is_some());
        assert_eq!(members.left(7, "c"), None);
        assert_eq!(changes(members.forget(7)), [("client d".into(), false)]);
        assert_eq!((members.count(), members.of_subject("local", "x"), members.subjects.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_call_ends_when_all_have_answered_or_gone() {
        let (mut members, now) = (Members::default(), Instant::now());
        assert_eq!(members.call(1).await, Ok(0));
        for id in [7, 8] {
            members.heard(id, now);
        }
        let sum = members.call(2);
        members.answered(7, 2, 3);
        members.answered(7, 2, 3);
        members.answered(9, 2, 3);
        members.forget(8);
        assert_eq!(sum.await, Ok(3));
        assert!(members.calls.is_empty());
    }

    #[test]
    fn the_silent_are_found_and_the_pardoned_are_not() {
        let (mut members, begin) = (Members::default(), Instant::now());
        members.heard(7, begin);
        let later = begin + Duration::from_secs(10);
        assert_eq!(members.silent(later, Duration::from_secs(5)), [7]);
        members.pardon(later);
        assert!(members.silent(later, Duration::from_secs(5)).is_empty());
    }

    #[test]
    fn parts_hold_everything_in_order() {
        let all: Vec<_> = (0..100).map(|n| remote(&n.to_string(), "s")).collect();
        let parts = parts(all.clone(), 1000);
        assert!(parts.len() > 10);
        assert_eq!(parts.concat(), all);
        assert_eq!(super::parts(Vec::new(), 1000), [Vec::new()]);
    }
}
