//! The emoji that the picker offers, with the words that they are found by and that a screen reader says.
//!
//! They lie in a file of the app's language (`static/emoji-en.txt`) that is fetched when the picker is first opened: one line per emoji and
//! its name, an empty line between groups.

use super::Phrase;

/// A group of the picker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Smileys,
    People,
    Nature,
    Food,
    Activity,
    Travel,
    Objects,
    Symbols,
}

impl Group {
    /// All groups, in the order of the file.
    pub const ALL: [Group; 8] =
        [Group::Smileys, Group::People, Group::Nature, Group::Food, Group::Activity, Group::Travel, Group::Objects, Group::Symbols];

    /// What the group is called.
    pub fn phrase(self) -> Phrase<'static> {
        match self {
            Group::Smileys => Phrase::EmojiSmileys,
            Group::People => Phrase::EmojiPeople,
            Group::Nature => Phrase::EmojiNature,
            Group::Food => Phrase::EmojiFood,
            Group::Activity => Phrase::EmojiActivity,
            Group::Travel => Phrase::EmojiTravel,
            Group::Objects => Phrase::EmojiObjects,
            Group::Symbols => Phrase::EmojiSymbols,
        }
    }
}

/// The emoji of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    file: String,
}

impl Table {
    /// Takes a file's text over.
    pub fn new(file: String) -> Table {
        Table { file }
    }

    /// Whether there are none: the file could not be had.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    /// The emoji of a group and their names.
    pub fn group(&self, group: Group) -> impl Iterator<Item = (&str, &str)> {
        self.file.split("\n\n").nth(group as usize).unwrap_or_default().lines().filter_map(|line| line.split_once(' '))
    }

    /// Those with `words` in their names.
    pub fn find(&self, words: &str) -> impl Iterator<Item = (&str, &str)> {
        self.file.lines().filter_map(|line| line.split_once(' ')).filter(move |(_, name)| name.contains(words))
    }

    /// What an emoji is called, if it is one of the table's.
    pub fn name(&self, emoji: &str) -> Option<&str> {
        self.find("").find(|(other, _)| *other == emoji).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_emoji_has_one_name() {
        let table = Table::new(include_str!("../../../static/emoji-en.txt").to_owned());
        let all: Vec<_> = Group::ALL.into_iter().flat_map(|group| table.group(group)).collect();
        let distinct: HashSet<_> = all.iter().map(|(emoji, _)| emoji).collect();
        assert_eq!((all.len(), distinct.len()), (table.find("").count(), all.len()));
        assert!(Group::ALL.into_iter().all(|group| table.group(group).count() > 20));
        assert!(all.iter().all(|(emoji, name)| !emoji.is_ascii() && !name.is_empty() && name.is_ascii()));
        assert_eq!(table.name("👍"), Some("thumbs up"));
    }
}
