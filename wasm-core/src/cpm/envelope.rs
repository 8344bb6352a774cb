//! A stand-alone message as the layers that carry it.

/// Which notifications the sender of a message asks for: `imdn.Disposition-Notification` [RFC5438 §6.2].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wants {
    /// `positive-delivery`
    pub delivered: bool,
    /// `negative-delivery`
    pub failed: bool,
    /// `display`
    pub displayed: bool,
}
