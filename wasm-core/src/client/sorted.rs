//! Maps and sets as sorted vectors, with the part of the standard library's ordered ones that the engine uses.
//!
//! Each type of key makes another copy of a B-tree, 4 KB of code (before compression) in the browser, for something
//! that never has more than a few thousand small entries. Inserting moves what comes after; large values belong in a box.

use std::borrow::Borrow;

/// A map that is iterated by ascending key.
#[derive(Clone, Debug)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        SortedMap(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(other, _)| other.borrow().cmp(key))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// The value of a key, made when there is none.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let at = self.find(key).unwrap_or_else(|at| {
            self.0.insert(at, (key.clone(), make()));
            at
        });
        &mut self.0[at].1
    }

    /// Puts a value in place of the key's older one, which is given back.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The first entry whose key is not less than this one.
    pub fn first_from(&self, key: &K) -> Option<(&K, &V)> {
        let at = self.find(key).unwrap_or_else(|at| at);
        self.0.get(at).map(|(key, value)| (key, value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

/// A set that is iterated in ascending order.
#[derive(Clone, Debug)]
pub struct SortedSet<K>(Vec<K>);

impl<K> Default for SortedSet<K> {
    fn default() -> Self {
        SortedSet(Vec::new())
    }
}

impl<K: Ord> SortedSet<K> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, key: &K) -> bool {
        self.0.binary_search(key).is_ok()
    }

    pub fn insert(&mut self, key: K) {
        if let Err(at) = self.0.binary_search(&key) {
            self.0.insert(at, key);
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All of them in order.
    pub fn into_vec(self) -> Vec<K> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sorted_map_is_what_a_b_tree_is(deeds in prop::collection::vec((0..8u8, any::<Option<u8>>()), 0..64)) {
            let (mut sorted, mut tree) = (SortedMap::default(), BTreeMap::default());
            let (mut keys, mut set) = (SortedSet::default(), BTreeSet::default());
            for (key, value) in deeds {
                match value {
                    Some(value) if value % 2 == 0 => prop_assert_eq!(sorted.insert(key, value), tree.insert(key, value)),
                    Some(value) => prop_assert_eq!(sorted.get_or_insert_with(&key, || value), tree.entry(key).or_insert(value)),
                    None => prop_assert_eq!(sorted.remove(&key), tree.remove(&key)),
                }
                keys.insert(key);
                set.insert(key);
                prop_assert!(sorted.iter().eq(tree.iter()));
                prop_assert!(sorted.values().eq(tree.values()));
                prop_assert_eq!((sorted.get(&3), sorted.contains_key(&3), sorted.len()), (tree.get(&3), tree.contains_key(&3), tree.len()));
                prop_assert_eq!(sorted.first_from(&key), tree.range(key..).next());
                prop_assert_eq!(keys.contains(&3), set.contains(&3));
            }
            sorted.retain(|key, value| *key > 2 && *value > 9);
            tree.retain(|key, value| *key > 2 && *value > 9);
            prop_assert!(sorted.iter().eq(tree.iter()));
            prop_assert_eq!(keys.into_vec(), set.into_iter().collect::<Vec<_>>());
        }
    }
}
