//! Which rows of a long list are drawn: the arithmetic of windowed rendering.
//!
//! Rows that have been drawn have their measured height, the others an estimate. What lies outside of the window is stood for by one
//! empty space above and one below, so that the scroll bar tells the truth (nearly) and ten thousand rows cost as much as fifty.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// A first guess at a row's height, in CSS pixels.
const GUESS: f64 = 56.0;

/// The heights that have been measured.
#[derive(Clone, Debug)]
pub struct Heights<K> {
    known: HashMap<K, f64>,
    sum: f64,
}

impl<K> Default for Heights<K> {
    fn default() -> Self {
        Heights { known: HashMap::new(), sum: 0.0 }
    }
}

impl<K: Hash + Eq> Heights<K> {
    /// Notes what a row measures; true when that is news.
    pub fn note(&mut self, row: K, height: f64) -> bool {
        let before = self.known.insert(row, height);
        self.sum += height - before.unwrap_or(0.0);
        before.is_none_or(|before| (before - height).abs() > 0.5)
    }

    /// Forgets all, because the width has changed.
    pub fn forget(&mut self) {
        self.known.clear();
        self.sum = 0.0;
    }

    fn estimate(&self) -> f64 {
        if self.known.len() < 8 { GUESS } else { self.sum / self.known.len() as f64 }
    }
}

/// Where each row of a list begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// One more than there are rows: the last is the height of all.
    edges: Vec<f64>,
}

impl Layout {
    /// Lays the rows out under each other.
    pub fn new<'a, K: Hash + Eq + 'a>(rows: impl Iterator<Item = &'a K>, heights: &Heights<K>) -> Layout {
        let estimate = heights.estimate();
        let mut edge = 0.0;
        let mut edges = vec![0.0];
        for row in rows {
            edge += heights.known.get(row).copied().unwrap_or(estimate);
            edges.push(edge);
        }
        Layout { edges }
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// The rows that a view from `top` with this height touches.
    pub fn touched(&self, top: f64, height: f64) -> Range<usize> {
        let last = self.count();
        let start = self.edges.partition_point(|edge| *edge <= top).saturating_sub(1).min(last);
        let end = self.edges.partition_point(|edge| *edge < top + height).clamp(start, last);
        start..end
    }

    /// The space above the rows.
    pub fn above(&self, rows: &Range<usize>) -> f64 {
        self.edges.get(rows.start).copied().unwrap_or(0.0)
    }

    /// The space below them.
    pub fn below(&self, rows: &Range<usize>) -> f64 {
        let all = self.edges.last().copied().unwrap_or(0.0);
        all - self.edges.get(rows.end).copied().unwrap_or(all)
    }
}

/// The window around row `at`: `most` rows of `count`, as evenly on both sides as there are rows.
pub fn around(at: usize, most: usize, count: usize) -> Range<usize> {
    let start = at.saturating_sub(most / 2).min(count.saturating_sub(most));
    start..(start + most).min(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn layout(count: u32) -> Layout {
        let mut heights = Heights::default();
        for row in 0..10u32 {
            heights.note(row, 50.0);
        }
        Layout::new((0..count).collect::<Vec<_>>().iter(), &heights)
    }

    #[test]
    fn the_view_touches_the_right_rows() {
        let layout = layout(10_000);
        assert_eq!(layout.touched(0.0, 100.0), 0..2);
        assert_eq!(layout.touched(25.0, 100.0), 0..3);
        assert_eq!(layout.touched(50.0, 100.0), 1..3);
        assert_eq!(layout.touched(499_950.0, 100.0), 9999..10_000);
        assert_eq!(layout.touched(900_000.0, 100.0), 10_000..10_000);
        assert_eq!(layout.touched(-50.0, 20.0), 0..0);
    }

    #[test]
    fn space_and_rows_make_the_whole() {
        let layout = layout(100);
        let rows = 10..20;
        assert_eq!(layout.above(&rows) + 10.0 * 50.0 + layout.below(&rows), 5000.0);
        assert_eq!(layout.below(&(0..100)), 0.0);
        assert_eq!(Layout::new([].iter(), &Heights::<u32>::default()).touched(0.0, 500.0), 0..0);
    }

    #[test]
    fn a_window_stays_inside() {
        assert_eq!(around(0, 50, 1000), 0..50);
        assert_eq!(around(500, 50, 1000), 475..525);
        assert_eq!(around(999, 50, 1000), 950..1000);
        assert_eq!(around(3, 50, 10), 0..10);
        assert_eq!(around(0, 50, 0), 0..0);
    }

    #[test]
    fn a_height_is_news_once() {
        let mut heights = Heights::default();
        assert!(heights.note("a", 40.0));
        assert!(!heights.note("a", 40.2));
        assert!(heights.note("a", 60.0));
    }
}
