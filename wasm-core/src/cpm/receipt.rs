//! What a sender knows of a message's fate, as a lattice.
//!
//! `Sending < Sent < Failed < Delivered < Displayed`, and merging two reports takes the higher: so reports may come late, twice and in any
//! order. A positive report beats a failure, because one device that has the message outweighs all that could not be reached.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::imdn::{Delivery, Display, Processing, Report};

/// The furthest that a message is known to have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipt {
    /// On its way to the sender's server.
    #[default]
    Sending,
    /// The sender's server has it.
    Sent,
    /// It reaches no device of the recipient.
    Failed,
    /// A device of the recipient has it.
    Delivered,
    /// The recipient has seen it.
    Displayed,
}

impl Receipt {
    /// All of them, from the lowest to the highest.
    pub const ALL: [Receipt; 5] = [Receipt::Sending, Receipt::Sent, Receipt::Failed, Receipt::Delivered, Receipt::Displayed];

    /// What is known when both are.
    #[must_use]
    pub fn merge(self, other: Receipt) -> Receipt {
        self.max(other)
    }

    /// What a notification tells, if it tells anything about the message's fate. A refusal to tell tells nothing.
    pub fn of(report: Report) -> Option<Receipt> {
        match report {
            Report::Delivery(Delivery::Delivered) => Some(Receipt::Delivered),
            Report::Delivery(Delivery::Failed | Delivery::Error) => Some(Receipt::Failed),
            Report::Display(Display::Displayed) => Some(Receipt::Displayed),
            Report::Processing(Processing::Processed | Processing::Stored) => Some(Receipt::Sent),
            Report::Delivery(Delivery::Forbidden)
            | Report::Display(Display::Forbidden | Display::Error)
            | Report::Processing(Processing::Forbidden | Processing::Error) => None,
        }
    }

    /// Whether no device was reached.
    pub fn is_failed(self) -> bool {
        self == Receipt::Failed
    }

    /// A number that keeps the order, for storage: `max` of two codes is the code of the merged receipt.
    pub fn code(self) -> u8 {
        match self {
            Receipt::Sending => 0,
            Receipt::Sent => 10,
            Receipt::Failed => 20,
            Receipt::Delivered => 30,
            Receipt::Displayed => 40,
        }
    }

    /// The receipt of a stored number.
    pub fn from_code(code: u8) -> Option<Receipt> {
        Receipt::ALL.into_iter().find(|receipt| receipt.code() == code)
    }

    /// The receipt's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Receipt::Sending => "sending",
            Receipt::Sent => "sent",
            Receipt::Failed => "failed",
            Receipt::Delivered => "delivered",
            Receipt::Displayed => "displayed",
        }
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn receipt() -> impl Strategy<Value = Receipt> {
        select(&Receipt::ALL[..])
    }

    #[test]
    fn a_positive_report_beats_a_failure_in_either_order() {
        for positive in [Receipt::Delivered, Receipt::Displayed] {
            assert_eq!(Receipt::Failed.merge(positive), positive);
            assert_eq!(positive.merge(Receipt::Failed), positive);
        }
        assert_eq!(Receipt::Sent.merge(Receipt::Failed), Receipt::Failed);
    }

    #[test]
    fn a_refusal_to_tell_tells_nothing() {
        let told: Vec<_> = Report::ALL.into_iter().filter_map(Receipt::of).collect();
        assert_eq!(told.len(), 6);
        assert_eq!(Receipt::of(Report::Display(Display::Forbidden)), None);
    }

    proptest! {
        /// R180, R286, R287: however many devices report, how often and in which order, the sender sees one outcome.
        #[test]
        fn reports_merge_to_one_outcome_in_any_order(mut reports in proptest::collection::vec(receipt(), 0..12), seed in any::<u64>()) {
            let merge = |reports: &[Receipt]| reports.iter().copied().fold(Receipt::Sending, Receipt::merge);
            let outcome = merge(&reports);
            let doubled: Vec<_> = reports.iter().chain(&reports).copied().collect();
            prop_assert_eq!(merge(&doubled), outcome);
            if !reports.is_empty() {
                let middle = usize::try_from(seed % reports.len() as u64).unwrap();
                reports.rotate_left(middle);
                reports.reverse();
            }
            prop_assert_eq!(merge(&reports), outcome);
        }

        #[test]
        fn merging_is_a_semilattice(a in receipt(), b in receipt(), c in receipt()) {
            prop_assert_eq!(a.merge(a), a);
            prop_assert_eq!(a.merge(b), b.merge(a));
            prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
            prop_assert!(a.merge(b) >= a);
        }

        #[test]
        fn codes_keep_the_order(a in receipt(), b in receipt()) {
            prop_assert_eq!(Receipt::from_code(a.code().max(b.code())), Some(a.merge(b)));
        }
    }
}
