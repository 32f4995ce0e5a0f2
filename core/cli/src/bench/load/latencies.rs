//! How long deliveries took: counted in classes, so that a load may last as long as it likes.

/// Classes of each power of two. A latency is told to within a 64th.
const CLASSES: usize = 64;
/// Of all numbers of 32 bits.
const ALL: usize = 27 * CLASSES;

/// Microseconds of many deliveries.
#[derive(Debug)]
pub(super) struct Latencies {
    classes: Vec<u64>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies { classes: vec![0; ALL], count: 0 }
    }
}

impl Latencies {
    pub(super) fn add(&mut self, micros: u64) {
        self.classes[class(u32::try_from(micros).unwrap_or(u32::MAX))] += 1;
        self.count += 1;
    }

    /// What this part of all, from 0 to 1, took at most; `None` if there are none.
    pub(super) fn at(&self, part: f64) -> Option<f64> {
        let mut left = (self.count as f64 * part).ceil().max(1.0) as u64;
        let class = self.classes.iter().position(|count| {
            let found = left <= *count;
            left = left.saturating_sub(*count);
            found
        });
        class.map(|class| longest(class) as f64)
    }
}

/// Up to 127 each number is a class of its own.
fn class(micros: u32) -> usize {
    // How many of its last bits don't count.
    let shift = 25_u32.saturating_sub(micros.leading_zeros());
    shift as usize * CLASSES + (micros >> shift) as usize
}

/// The longest of a class.
fn longest(class: usize) -> u64 {
    let shift = (class / CLASSES).saturating_sub(1);
    (((class - shift * CLASSES + 1) as u64) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_has_its_class() {
        let steps = (0..31).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) + 1, (1 << bit) * 3 / 2]);
        for micros in (0..5000).chain(steps).chain([u32::MAX - 1, u32::MAX]) {
            let (class, exact) = (class(micros), u64::from(micros));
            assert!(class < ALL, "{micros}");
            let most = longest(class);
            assert!(most >= exact && most - exact <= exact / 64, "{micros}: {most}");
            assert!(class == 0 || longest(class - 1) < exact, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_of_all() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.at(0.5), None);
        (1..=100).for_each(|micros| latencies.add(micros));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| latencies.at(part)), [1.0, 50.0, 99.0, 100.0].map(Some));
        latencies.add(u64::MAX);
        assert_eq!(latencies.at(1.0), Some(f64::from(u32::MAX)));
    }
}
