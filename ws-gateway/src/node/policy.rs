//! The provider's choices, and what follows from them.

use std::time::Duration;

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::preferences::{MOST_BLOCKED, MOST_PROFILES, MediaRange, Party, Preferences, Refusal};

use crate::store::Account;

/// The provider's choices.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The shortest registration that is accepted; asked for less, 423.
    pub min_expires: u32,
    /// The registration given when none is asked for.
    pub default_expires: u32,
    /// The longest registration given.
    pub max_expires: u32,
    /// How long the sender's answer waits for a device of the recipient: then 202, and the message stays pending.
    pub delivery_wait: Duration,
    /// The longest time a message waits for its recipient; a sender may ask for less.
    pub message_expiry: Duration,
    /// The longest time it waits when its recipient wants its time extended.
    pub extended_expiry: Duration,
    /// How often the store is asked for what has expired.
    pub expiry_scan: Duration,
    /// How long a device that failed to answer is left alone before the next try.
    pub lane_retry: Duration,
    /// The longest reg event subscription.
    pub max_subscription: u32,
    /// The largest message of any kind, in bytes of its content.
    pub largest_message: u64,
    /// Contents that nobody may send.
    pub refused_types: Vec<MediaRange>,
    /// Profiles of one user.
    pub profiles: usize,
    /// Senders that one profile blocks.
    pub blocked: usize,
    /// Whom nobody may write to.
    pub barred: Vec<Party>,
    /// The services that users may have their messages delivered by.
    pub services: Vec<Text>,
    /// Who has the service; everybody with an account when nobody is named.
    pub subscribers: Vec<Party>,
    /// Who does not have it for now.
    pub suspended: Vec<Party>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            min_expires: 30,
            default_expires: 600,
            max_expires: 7200,
            delivery_wait: Duration::from_secs(3),
            message_expiry: Duration::from_secs(7 * 24 * 3600),
            extended_expiry: Duration::from_secs(30 * 24 * 3600),
            expiry_scan: Duration::from_secs(30),
            lane_retry: Duration::from_secs(60),
            max_subscription: 7200,
            largest_message: 10 << 20,
            refused_types: Vec::new(),
            profiles: MOST_PROFILES,
            blocked: MOST_BLOCKED,
            barred: Vec::new(),
            services: Vec::new(),
            subscribers: Vec::new(),
            suspended: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether an account has the service (R250), by any of its addresses.
    pub fn serves(&self, account: &Account) -> bool {
        let among = |parties: &[Party]| account.addresses.iter().any(|address| covers(parties, address));
        (self.subscribers.is_empty() || among(&self.subscribers)) && !among(&self.suspended)
    }

    /// Whether nobody may write to this address.
    pub fn bars(&self, destination: &Address) -> bool {
        covers(&self.barred, destination)
    }

    /// Whether nobody may send contents of this type.
    pub fn refuses(&self, content_type: &str) -> bool {
        self.refused_types.iter().any(|range| range.covers(content_type))
    }

    /// Whether a user may prefer this; else why not.
    pub fn permits(&self, preferences: &Preferences) -> Result<(), String> {
        if preferences.profiles.len() > self.profiles {
            return Err(format!("There may be {} profiles.", self.profiles));
        }
        for profile in &preferences.profiles {
            if profile.blocked.len() > self.blocked {
                return Err(format!("A profile may block {} senders.", self.blocked));
            }
            for refusal in [&profile.when_blocked, &profile.when_too_large, &profile.when_not_accepted] {
                if let Refusal::Redirect(address) = refusal
                    && self.bars(address)
                {
                    return Err(format!("Messages cannot be redirected to {address}."));
                }
            }
        }
        Ok(())
    }
}

fn covers(parties: &[Party], address: &Address) -> bool {
    parties.iter().any(|party| party.covers(Some(address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::UserId;

    fn parties(entries: &[&str]) -> Vec<Party> {
        entries.iter().map(|entry| Party::parse(entry).unwrap()).collect()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// R250: who has the service is the provider's choice.
    #[test]
    fn a_subscription_is_looked_up_by_any_address() {
        let addresses = vec![address("sip:bob@tandem.test"), address("tel:+15550101")];
        let bob = Account { user: UserId(1), addresses, display_name: Text::default(), secrets: Vec::new() };
        let serves = |subscribers: &[&str], suspended: &[&str]| {
            Policy { subscribers: parties(subscribers), suspended: parties(suspended), ..Policy::default() }.serves(&bob)
        };
        assert!(serves(&[], &[]) && serves(&["tel:+1555*"], &[]) && serves(&["*@tandem.test"], &["sip:eve@tandem.test"]));
        assert!(!serves(&["*@other.test"], &[]) && !serves(&[], &["tel:+15550101"]) && !serves(&["*@tandem.test"], &["*@tandem.test"]));
    }

    /// R249: the provider's policy stands over what users prefer.
    #[test]
    fn preferences_keep_within_the_policy() {
        let policy = Policy { profiles: 1, blocked: 1, barred: parties(&["tel:+1900*"]), ..Policy::default() };
        let mut preferences = Preferences::default();
        assert_eq!(policy.permits(&preferences), Ok(()));
        preferences.profiles[0].when_blocked = Refusal::Redirect(address("tel:+19005550100"));
        assert!(policy.permits(&preferences).unwrap_err().contains("tel:+19005550100"));
        preferences.profiles[0].when_blocked = Refusal::Redirect(address("tel:+18005550100"));
        assert_eq!(policy.permits(&preferences), Ok(()));
        parties(&["*@a.test", "*@b.test"]).into_iter().for_each(|party| preferences.block(party));
        assert!(policy.permits(&preferences).is_err());
        preferences.profiles[0].blocked.pop();
        preferences.add(&preferences.default.clone(), Text::from("Second"));
        assert_eq!(policy.permits(&preferences), Err(String::from("There may be 1 profiles.")));
    }
}
