//! Which bytes of a message are there: a bounded set of ranges.

use smallvec::SmallVec;

/// Half-open ranges of offsets, sorted, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(SmallVec<[(u64, u64); 1]>);

impl Ranges {
    /// At most so many ranges, so that a sender of every other byte costs nothing.
    pub(super) const MAX: usize = 64;

    /// Adds a range, unless there would be too many.
    pub(super) fn insert(&mut self, start: u64, end: u64) -> bool {
        if start >= end {
            return true;
        }
        // Bytes come in order but for hostile or odd senders.
        let from = self.0.iter().position(|range| range.1 >= start).unwrap_or(self.0.len());
        let to = self.0[from..].iter().position(|range| range.0 > end).map_or(self.0.len(), |at| from + at);
        if from == to {
            if self.0.len() == Self::MAX {
                return false;
            }
            self.0.insert(from, (start, end));
            return true;
        }
        self.0[from] = (self.0[from].0.min(start), self.0[to - 1].1.max(end));
        self.0.drain(from + 1..to);
        true
    }

    /// Whether all bytes before `size` are there.
    pub(super) fn covers(&self, size: u64) -> bool {
        size == 0 || self.0.first().is_some_and(|range| range.0 == 0 && range.1 >= size)
    }

    /// The end of the last range.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_many_holes_are_refused() {
        let mut ranges = Ranges::default();
        assert!((0..Ranges::MAX as u64).all(|index| ranges.insert(index * 2, index * 2 + 1)));
        assert!(!ranges.insert(1000, 1001));
        assert!(ranges.insert(1, 2) && ranges.insert(1000, 1001));
    }

    proptest! {
        /// Against a bitmap of the bytes.
        #[test]
        fn ranges_are_what_was_inserted(inserted in proptest::collection::vec((0u64..100, 0u64..20), 0..40)) {
            let (mut ranges, mut bytes) = (Ranges::default(), [false; 128]);
            for (start, length) in inserted {
                prop_assert!(ranges.insert(start, start + length));
                bytes[start as usize..(start + length) as usize].fill(true);
                let mut expected = Vec::new();
                for (index, _) in bytes.iter().enumerate().filter(|(_, there)| **there) {
                    match expected.last_mut() {
                        Some((_, end)) if *end == index as u64 => *end += 1,
                        _ => expected.push((index as u64, index as u64 + 1)),
                    }
                }
                prop_assert_eq!(ranges.0.as_slice(), expected.as_slice());
                let leading = bytes.iter().take_while(|there| **there).count() as u64;
                prop_assert!(ranges.covers(leading) && !ranges.covers(leading + 1));
            }
        }
    }
}
