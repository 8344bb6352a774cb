//! What preferences, the provider's policy and the devices that there are make of a message, a notification or an invitation
//! (R233, R249, R253, R266, R272).
//!
//! Pure decisions: nothing is remembered and nothing done. What a user prefers is judged by `cpm::preferences`, profile by profile; here
//! the answers for several devices become one. A message goes to the devices whose profile lets it in, and is refused only when none does.
//!
//! A sender must not learn of being blocked: as in every messenger that people trust, what they send looks as if its recipient were away
//! (202, one tick), and goes nowhere. So a blocked sender's message is dropped where the profile says reject, too; an invitation from them
//! finds no device (480). Size and type may be refused openly: whoever sent too much can do something about it.

use std::sync::Arc;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::feature;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::{Absence, Adaptation, DeferredDelivery, Delivery, Kept, Letter, Preferences, Profile, Verdict};
use wasm_core::wire::sip::{AcceptContact, Request, Status};
use wasm_core::{Text, Time};

use crate::node::{Directory, Policy};
use crate::sip_core::location::Binding;
use crate::sip_core::refusal::Refusal;
use crate::store::{Account, UserId};

/// What becomes of a message for a user.
#[derive(Clone, Debug)]
pub(super) enum Course {
    /// It goes to the devices, and waits for them; whether a copy is kept in the history.
    Deliver { kept: bool },
    /// It waits until its recipient has decided.
    Hold,
    /// It lies in the history, and no device is told.
    Store,
    /// It goes nowhere, and its sender learns nothing.
    Drop,
    /// Its sender is told.
    Refuse(Refusal),
    /// It goes to somebody else.
    Redirect(Address),
}

/// When a device gets something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Now.
    Now,
    /// When its user's quiet hours are over.
    At(Time),
    /// Not this device.
    Never,
}

/// What a user has chosen; nothing for the many who never chose, so that what is usual costs one comparison.
pub(super) fn chosen(directory: &dyn Directory, user: UserId) -> Option<Arc<Preferences>> {
    let preferences = directory.preferences(user);
    (!Preferences::is_usual(&preferences)).then_some(preferences)
}

/// The device behind a binding.
pub(super) fn instance(binding: &Binding) -> Option<InstanceId> {
    binding.instance.as_ref().and_then(InstanceId::parse)
}

/// Whether the provider lets a message go from here to there (R041, R250): the status and the reason tell its sender which rule it was.
/// Automatic messages are judged by who alone.
pub(super) fn permitted(
    policy: &Policy,
    sender: Option<&Account>,
    recipient: (&Address, Option<&Account>),
    content: Option<(u64, &str)>,
) -> std::ops::ControlFlow<Refusal> {
    if sender.is_some_and(|account| !policy.serves(account)) {
        return Refusal::because(Status::FORBIDDEN, "Not Subscribed").stop();
    }
    let (address, account) = recipient;
    if policy.bars(address) {
        return Refusal::because(Status::FORBIDDEN, "Barred Destination").stop();
    }
    // Whether somebody had the service once is nobody's business.
    if account.is_some_and(|account| !policy.serves(account)) {
        return Refusal::new(Status::NOT_FOUND).stop();
    }
    match content {
        Some((size, _)) if size > policy.largest_message => Refusal::new(Status::REQUEST_ENTITY_TOO_LARGE).stop(),
        Some((_, kind)) if policy.refuses(kind) => Refusal::because(Status::UNSUPPORTED_MEDIA_TYPE, "Type Not Allowed").stop(),
        Some(_) | None => std::ops::ControlFlow::Continue(()),
    }
}

/// A1, A2, A3, E1: what becomes of a message for a user with these devices.
pub(super) fn course(now: Time, preferences: &Preferences, devices: &[Binding], letter: Letter<'_>) -> Course {
    let usual = preferences.profile(None, now);
    let reached = devices.iter().map(instance).filter(|device| preferences.reaches(device.as_ref(), Delivery::Message, now));
    let mut profiles: Vec<&Profile> = reached.map(|device| preferences.profile(device.as_ref(), now)).collect();
    let available = !profiles.is_empty();
    if !available {
        profiles.push(usual);
    }
    let mut refused = None;
    let mut welcome = false;
    for profile in profiles {
        match profile.incoming(letter, now) {
            Verdict::Accept | Verdict::Defer(_) => welcome = true,
            verdict @ (Verdict::Reject | Verdict::Discard | Verdict::Redirect(_)) => {
                refused.get_or_insert((profile, verdict));
            }
        }
    }
    let kept = keeps(usual, letter.content_type);
    match refused.filter(|_| !welcome) {
        Some((_, Verdict::Redirect(address))) => Course::Redirect(address),
        Some((profile, Verdict::Reject)) => refusal(profile, letter).map_or(Course::Drop, Course::Refuse),
        Some(_) => Course::Drop,
        None if available => Course::Deliver { kept },
        // No service interworks yet, so none is offered.
        None => match usual.unavailable(letter, &[]) {
            Absence::Defer(DeferredDelivery::Notify) => Course::Hold,
            Absence::Defer(DeferredDelivery::Push) | Absence::Interwork(_) => Course::Deliver { kept },
            Absence::Store => Course::Store,
            Absence::Discard => Course::Refuse(Refusal::because(Status::TEMPORARILY_UNAVAILABLE, "Recipient Not Available")),
        },
    }
}

/// How a sender is told that a message is not wanted; nothing for one who is blocked.
fn refusal(profile: &Profile, letter: Letter<'_>) -> Option<Refusal> {
    if letter.from.is_none_or(|from| profile.blocks(from)) {
        return None;
    }
    Some(match profile.largest {
        Some(largest) if letter.size > largest => Refusal::because(Status::REQUEST_ENTITY_TOO_LARGE, "Larger Than Wanted"),
        Some(_) | None => Refusal::because(Status::UNSUPPORTED_MEDIA_TYPE, "Type Not Wanted"),
    })
}

/// The address that a sender is judged by: one that is blocked if any of theirs is, since no other address gets round that.
pub(super) fn known_as(preferences: &Preferences, account: Option<&Account>, from: &Address) -> Address {
    let blocks = |address: &&Address| preferences.profiles.iter().any(|profile| profile.blocks(address));
    account.and_then(|account| account.addresses.iter().find(blocks)).unwrap_or(from).clone()
}

/// E1: whether a user's copy of a message is kept. A stand-alone message is part of its conversation, so both choices count.
pub(super) fn keeps(profile: &Profile, content_type: &str) -> bool {
    profile.stores(Kept::Message, content_type) && profile.stores(Kept::Conversation, content_type)
}

/// Whether what comes from this sender reaches none of a user's devices, whatever it is.
pub(super) fn shuts_out(now: Time, preferences: &Preferences, devices: &[Binding], from: &Address) -> bool {
    let mut profiles = devices.iter().map(|binding| preferences.profile(instance(binding).as_ref(), now)).peekable();
    match profiles.peek() {
        Some(_) => profiles.all(|profile| profile.blocks(from)),
        None => preferences.profile(None, now).blocks(from),
    }
}

/// F1, F3, and A1 for one device: when a device gets a message, a typing notification (no letter) or a report.
pub(super) fn offer(
    now: Time,
    preferences: &Preferences,
    device: Option<&InstanceId>,
    what: Delivery,
    letter: Option<Letter<'_>>,
) -> Offer {
    if !preferences.reaches(device, what, now) {
        return Offer::Never;
    }
    let profile = preferences.profile(device, now);
    let verdict = match (letter, what) {
        (Some(letter), _) => profile.incoming(letter, now),
        (None, Delivery::Message) => profile.quiet_until(now).map_or(Verdict::Accept, Verdict::Defer),
        (None, Delivery::Invitation | Delivery::Notification | Delivery::Copy) => Verdict::Accept,
    };
    match verdict {
        Verdict::Accept => Offer::Now,
        Verdict::Defer(until) => Offer::At(until),
        Verdict::Reject | Verdict::Discard | Verdict::Redirect(_) => Offer::Never,
    }
}

/// B: whether a device gets a word about a message instead of the message. What is kept nowhere else comes whole.
pub(super) fn announces(now: Time, preferences: &Preferences, device: Option<&InstanceId>, letter: Letter<'_>) -> bool {
    let kept = keeps(preferences.profile(None, now), letter.content_type);
    kept && preferences.profile(device, now).adaptation(device, letter) == Adaptation::Announced
}

/// F2, R075: the devices of a user that an invitation is not for. By the user's choice, because its sender is blocked, or because it is for
/// a service that the device did not register for. A device that names no instance cannot be named, and is invited.
pub(super) fn uninvited(
    now: Time,
    preferences: Option<&Preferences>,
    devices: &[Binding],
    from: Option<&Address>,
    request: &Request,
) -> Vec<Text> {
    let needed = needed(request);
    let unwanted = |binding: &&Binding| {
        let device = instance(binding);
        let refused = preferences.is_some_and(|preferences| {
            let profile = preferences.profile(device.as_ref(), now);
            !preferences.reaches(device.as_ref(), Delivery::Invitation, now) || from.is_some_and(|from| profile.blocks(from))
        });
        // A phone that says nothing of itself may be able to do anything.
        let able = if needed.is_empty() { Vec::new() } else { binding.capabilities() };
        refused || !able.is_empty() && needed.iter().any(|icsi| !able.contains(icsi))
    };
    devices.iter().filter(unwanted).filter_map(|binding| binding.instance.clone()).collect()
}

/// The services that a device has to have registered for [RFC3841 §7.2].
fn needed(request: &Request) -> Vec<Text> {
    let accepts = request.headers.list::<AcceptContact>().unwrap_or_default();
    let strict = accepts.iter().filter(|accept| accept.0.has("require") && accept.0.has("explicit"));
    let services = strict.filter_map(|accept| accept.feature(feature::ICSI_REF)).flat_map(feature::services);
    services.map(|service| Text::from(service.icsi())).collect()
}

#[cfg(test)]
mod tests;
