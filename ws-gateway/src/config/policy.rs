//! What the provider decides over its users' preferences: the table `[policy]`.

use std::time::Duration;

use serde::Deserialize;
use wasm_core::Text;
use wasm_core::cpm::preferences::{MOST_BLOCKED, MOST_PROFILES, MediaRange, Party};

use super::ConfigError;
use crate::node::Policy;

/// The table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyTable {
    pub largest_message: u64,
    pub longest_wait_hours: u64,
    pub refused_types: Vec<String>,
    pub profiles_per_user: usize,
    pub blocked_per_profile: usize,
    pub barred_destinations: Vec<String>,
    pub interworking_services: Vec<String>,
    pub subscribers: Vec<String>,
    pub suspended: Vec<String>,
}

impl Default for PolicyTable {
    fn default() -> Self {
        let usual = Policy::default();
        PolicyTable {
            largest_message: usual.largest_message,
            longest_wait_hours: usual.message_expiry.as_secs() / 3600,
            refused_types: Vec::new(),
            profiles_per_user: usual.profiles,
            blocked_per_profile: usual.blocked,
            barred_destinations: Vec::new(),
            interworking_services: Vec::new(),
            subscribers: Vec::new(),
            suspended: Vec::new(),
        }
    }
}

impl PolicyTable {
    /// The policy that the table means.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        if !(1..=MOST_PROFILES).contains(&self.profiles_per_user) || self.blocked_per_profile > MOST_BLOCKED {
            return Err(ConfigError::Invalid(format!(
                "[policy] profiles_per_user is 1 to {MOST_PROFILES}, blocked_per_profile at most {MOST_BLOCKED}"
            )));
        }
        if !(1..=8784).contains(&self.longest_wait_hours) {
            return Err(ConfigError::Invalid("[policy] longest_wait_hours is 1 to 8784".into()));
        }
        let parties = |name: &str, list: &[String]| {
            let party = |text: &String| {
                Party::parse(text).ok_or_else(|| {
                    ConfigError::Invalid(format!(
                        "[policy] {name}: `{text}` is neither an address nor one of *@domain, tel:+digits*, anonymous"
                    ))
                })
            };
            list.iter().map(party).collect::<Result<Vec<_>, _>>()
        };
        let range = |text: &String| {
            MediaRange::parse(text)
                .ok_or_else(|| ConfigError::Invalid(format!("[policy] refused_types: `{text}` is not like video/* or text/plain")))
        };
        Ok(Policy {
            largest_message: self.largest_message,
            message_expiry: Duration::from_secs(self.longest_wait_hours * 3600),
            refused_types: self.refused_types.iter().map(range).collect::<Result<_, _>>()?,
            profiles: self.profiles_per_user,
            blocked: self.blocked_per_profile,
            barred: parties("barred_destinations", &self.barred_destinations)?,
            services: self.interworking_services.iter().map(|name| Text::from(name.as_str())).collect(),
            subscribers: parties("subscribers", &self.subscribers)?,
            suspended: parties("suspended", &self.suspended)?,
            ..Policy::default()
        })
    }
}
