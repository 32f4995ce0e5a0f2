//! Who subscribes to what: many topics with few subscribers, and few with many.

/// Topics and their subscribers.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) connections: usize,
    /// The subscribers of each topic, by their numbers.
    pub(super) topics: Vec<Vec<usize>>,
}

impl Topology {
    /// Of 100 topics, one goes to a tenth of all connections, 9 to a hundredth, and 90 to a thousandth.
    pub(super) fn mixed(connections: usize, topics: usize) -> Topology {
        let subscribers = |topic: usize| {
            let part = match topic {
                topic if topic.is_multiple_of(100) => 10,
                topic if topic.is_multiple_of(10) => 100,
                _ => 1000,
            };
            let count = (connections / part).max(1);
            // Spread over all, and each topic's beginning somewhere else.
            (0..count).map(|nth| (topic * 7919 + nth * (connections / count)) % connections).collect()
        };
        Topology { connections, topics: (0..topics).map(subscribers).collect() }
    }

    /// What each connection subscribes to.
    pub(super) fn subscriptions(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.connections];
        for (topic, subscribers) in self.topics.iter().enumerate() {
            subscribers.iter().for_each(|connection| all[*connection].push(topic));
        }
        all
    }

    /// Deliveries of one message to each topic.
    pub(super) fn deliveries(&self) -> usize {
        self.topics.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_connections_and_a_thousand_topics_are_mixed() {
        let topology = Topology::mixed(10_000, 1000);
        let with = |count: usize| topology.topics.iter().filter(|subscribers| subscribers.len() == count).count();
        assert_eq!((with(10), with(100), with(1000)), (900, 90, 10));
        assert_eq!(topology.deliveries(), 28_000);
        for subscribers in &topology.topics {
            let mut distinct = subscribers.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), subscribers.len());
            // Both halves have some, so that two gateways have work for each other.
            assert!(distinct.first() < Some(&5000) && distinct.last() >= Some(&5000));
        }
        let subscriptions = topology.subscriptions();
        assert_eq!(subscriptions.iter().map(Vec::len).sum::<usize>(), 28_000);
        assert!(subscriptions.iter().all(|topics| topics.len() < 50));
    }

    #[test]
    fn a_small_load_has_a_subscriber_for_each_topic() {
        assert!(Topology::mixed(3, 20).topics.iter().all(|subscribers| subscribers.len() == 1));
    }
}
