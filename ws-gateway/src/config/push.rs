//! How devices are told of messages while they are not connected: the table `[push]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// The shortest secret that is taken.
const SHORTEST_SECRET: usize = 16;

/// The table `[push]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Where notices to phones are sent.
    pub webhook: Option<String>,
    /// What they are signed with.
    pub webhook_secret: Hidden,
    /// Whom a push service may write to about this gateway.
    pub contact: Option<String>,
    /// Whose certificates are believed, in place of those that the machine believes.
    pub certificates: Option<PathBuf>,
    /// Whether push services may have private addresses.
    pub private_endpoints: bool,
}

impl Push {
    /// Whether everything is there and sound.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |words: &str| Err(ConfigError::Invalid(format!("[push] {words}")));
        if let Some(webhook) = &self.webhook {
            if !webhook.starts_with("https://") && !webhook.starts_with("http://") {
                return invalid("`webhook` has to be an address, for example https://push.example.org/tandem");
            }
            if self.webhook_secret.reveal().len() < SHORTEST_SECRET {
                return invalid("`webhook` needs a `webhook_secret` of 16 characters or more, which its receiver checks signatures with");
            }
        }
        match &self.contact {
            Some(contact) if !contact.starts_with("mailto:") && !contact.starts_with("https://") => {
                invalid("`contact` has to begin with mailto: or https://")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A setting that nobody prints.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The setting itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "hidden" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_needs_a_secret_that_is_not_shown() {
        let read = |text: &str| toml::from_str::<Push>(text).unwrap();
        assert!(read("").check().is_ok());
        assert!(read("webhook = \"https://push.test/\"").check().is_err());
        assert!(read("webhook = \"push.test\"\nwebhook_secret = \"0123456789abcdef\"").check().is_err());
        assert!(read("contact = \"me@push.test\"").check().is_err());
        let good = read("webhook = \"https://push.test/\"\nwebhook_secret = \"0123456789abcdef\"");
        assert!(good.check().is_ok() && !format!("{good:?}").contains("0123456789abcdef"));
    }
}
