//! A person's devices: what is kept of each of them, and what the device API and the linking of a new device say in JSON.
//!
//! One of a person's devices is the Primary Device, the one with their number; all others are Secondary Devices. A device is known by
//! the instance identifier that it registers with.

use serde::{Deserialize, Serialize};

use super::ids::InstanceId;
use crate::{Text, Time};

/// The longest name of a device, in characters.
pub const LONGEST_NAME: usize = 64;

/// Which role a device has for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The one that the owner's number belongs to: what the service itself has to say goes there.
    Primary,
    /// One of the others.
    Secondary,
}

/// How a device came to be its owner's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody signed in on it with the password.
    Password,
    /// It was linked without one.
    Linked {
        /// The device that approved it; none where a one-time code did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<InstanceId>,
    },
    /// A SIP client registered with the account's secret.
    Registration,
}

/// One device as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What it is known by.
    pub instance: InstanceId,
    /// What its owner calls it.
    pub name: Text,
    /// Its role.
    pub kind: Kind,
    /// The browser and the system that it said it was, or the software of a SIP client.
    pub platform: Text,
    /// How it came.
    pub origin: Origin,
    /// When it came.
    pub created: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// The services that it registered for, by their ICSIs and feature tags.
    #[serde(default)]
    pub capabilities: Vec<Text>,
    /// Signed out by its owner, and not to register again until they allow it.
    #[serde(default)]
    pub barred: bool,
}

impl Device {
    /// Whether it is a client that has the account's secret itself, and no session that can be ended.
    pub fn is_native(&self) -> bool {
        self.origin == Origin::Registration
    }
}

/// A name as it is kept: without controls, not too long, `None` when nothing is left.
pub fn name(text: &str) -> Option<Text> {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| Text::from(kept))
}

/// Browser and system that a `User-Agent` seems to be, for people; `None` for what is not known.
pub fn browser_and_system(agent: &str) -> (Option<&'static str>, Option<&'static str>) {
    let first = |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let browser = first(&[("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("CrOS", "Chromebook"),
        ("Linux", "Linux"),
    ]);
    (browser, system)
}

/// A device as its owner's list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The device.
    #[serde(flatten)]
    pub device: Device,
    /// Whether it is the one that asks.
    pub this: bool,
    /// Whether it is registered now.
    pub online: bool,
    /// Whether the provider lets it be the Primary Device.
    pub may_be_primary: bool,
}

/// The answer of `GET /api/devices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// The owner's devices, the Primary Device first, then in the order in which they came.
    pub devices: Vec<Listed>,
    /// How many Secondary Devices there may be.
    pub most: usize,
}

/// The body of `PATCH /api/devices/{instance}`: what is to be different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Another role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Whether it may register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
}

/// Whether a device may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It may, also after it was signed out.
    Allowed,
    /// It may not.
    Barred,
}

/// The body of `POST /api/link`: who wants to be linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkWish {
    /// The device.
    pub instance: InstanceId,
    /// What its owner calls it.
    #[serde(default)]
    pub device_name: Text,
}

/// The answer of `POST /api/link`: what the new device shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkOffer {
    /// Names the request; it is of use only together with the secret in the cookie that came with it.
    pub id: Text,
    /// What is typed on a device that is signed in: eight digits.
    pub code: Text,
    /// The same for a camera: how many modules the QR symbol is wide, and its dark ones as the path of an SVG.
    pub width: u32,
    /// The path.
    pub path: String,
    /// For how many seconds all this holds.
    pub seconds: u64,
}

/// The answer of `GET /api/link/code/{code}`: who asks to be linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAsk {
    /// Names the request in the answer to it.
    pub id: Text,
    /// What the asking device calls itself.
    pub device_name: Text,
    /// The browser and the system that it says it is.
    pub platform: Text,
    /// The address that it asks from.
    pub remote: Text,
    /// When it asked.
    pub asked: Time,
}

/// The body of `POST /api/link/{id}/answer`: what the owner of an account says to a device that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAnswer {
    /// Whether it becomes one of their devices.
    pub answer: Verdict,
}

/// Yes or no to a device that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It becomes one of the devices.
    Approve,
    /// It does not.
    Refuse,
}

/// The body of `POST /api/link/{id}/code`: whose Primary Device a one-time code goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeWish {
    /// Any of the person's addresses.
    pub address: Text,
}

/// The body of `POST /api/link/{id}/proof`: the one-time code that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeProof {
    /// As it was typed.
    pub code: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R295, R313: what is kept of a device reads back, also what an earlier version kept.
    #[test]
    fn devices_survive_json() {
        let device = Device {
            instance: InstanceId::parse(&Text::from("urn:uuid:1")).unwrap(),
            name: Text::from("Kitchen"),
            kind: Kind::Secondary,
            platform: Text::from("Firefox on Linux"),
            origin: Origin::Linked { by: InstanceId::parse(&Text::from("urn:uuid:2")) },
            created: Time(1),
            last_seen: Time(2),
            capabilities: vec![Text::from("x")],
            barred: false,
        };
        let json = serde_json::to_string(&device).unwrap();
        assert_eq!(serde_json::from_str::<Device>(&json).unwrap(), device);
        let short = json.replace(",\"capabilities\":[\"x\"],\"barred\":false", "");
        assert!(serde_json::from_str::<Device>(&short).unwrap().capabilities.is_empty());
    }

    #[test]
    fn names_are_made_fit() {
        assert_eq!(name("  My\u{7} PC\n").as_deref(), Some("My PC"));
        assert_eq!(name(" \r\n"), None);
        assert_eq!(name(&"ä".repeat(100)).unwrap().chars().count(), LONGEST_NAME);
    }

    #[test]
    fn browsers_are_recognised() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
        assert_eq!(browser_and_system(agent), (Some("Chrome"), Some("Linux")));
        assert_eq!(browser_and_system("curl/8"), (None, None));
    }
}
