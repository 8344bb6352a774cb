//! How far a message has come: a lattice, so that reports may arrive in any order, several times and over several paths.
//!
//! `Sending < Sent < Delivered < Displayed`. A failure stands above what was merely hoped for and below every positive report: when
//! one device refused and another took the message, it was delivered.

use serde::{Deserialize, Serialize};

/// What is known of one message's fate. The order is the lattice's, which is a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipt {
    /// In the outbox: no server has answered for it.
    #[default]
    Sending,
    /// The server has it.
    Sent,
    /// It could not be delivered, as far as anybody has said.
    Failed,
    /// A device of the recipient has it.
    Delivered,
    /// The recipient has seen it.
    Displayed,
}

impl Receipt {
    /// What is known when both `self` and `other` have been reported.
    #[must_use]
    pub fn merge(self, other: Receipt) -> Receipt {
        self.max(other)
    }
}

#[cfg(test)]
mod tests {
    use super::Receipt::{self, *};

    const ALL: [Receipt; 5] = [Sending, Sent, Failed, Delivered, Displayed];

    /// R297: merging is idempotent, commutative and associative.
    #[test]
    fn merging_is_free_of_order() {
        for a in ALL {
            assert_eq!(a.merge(a), a);
            for b in ALL {
                assert_eq!(a.merge(b), b.merge(a));
                for c in ALL {
                    assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
                }
            }
        }
    }

    #[test]
    fn a_positive_report_beats_a_failure() {
        assert_eq!(Failed.merge(Delivered), Delivered);
        assert_eq!(Displayed.merge(Failed), Displayed);
        assert_eq!(Sent.merge(Failed), Failed);
    }
}
