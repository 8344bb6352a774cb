//! The user's preferences on the server, over XCAP [RFC4825]: read, and changed so that what another device does meanwhile is not undone.
//!
//! The document stays the browser's own XML tree: its reader and printer are there, while the core's would be a thirtieth of the download.
//! What `wasm_core::cpm::preferences` says of the document holds here too; what is left out is as it is by default.

use std::pin::Pin;

use wasm_bindgen::JsCast;
pub use web_sys::Element;
use web_sys::{Document, DomParser, SupportedType, XmlSerializer};

use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::clock::print;
use wasm_core::cpm::preferences::{Days, MEDIA_TYPE, MOST_PROFILES, USUAL, XML_NAMESPACE};

use super::clock;
use super::http;

/// How often a change is made anew of what another device has made meanwhile.
const ATTEMPTS: usize = 5;

/// What a person changes, as fields and buttons say it: data, since a closure for each would be code of its own.
#[derive(Clone, Debug)]
pub struct Change {
    pub instance: InstanceId,
    /// What is changed.
    pub name: String,
    /// What it becomes.
    pub value: String,
}

/// The document of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Preferences {
    document: Document,
    /// The version; nothing where there is no document yet.
    tag: Option<String>,
}

/// What comes of a request to the server.
type Awaited<'a> = Pin<Box<dyn Future<Output = Option<Preferences>> + 'a>>;

fn path(account: &Address) -> String {
    ["/xcap/vnd.tandem.preferences/users/", &http::segment(account.as_str()), "/index"].concat()
}

/// What the server has, unless it is what is known already.
pub fn load<'a>(account: &'a Address, known: Option<&'a Preferences>) -> Awaited<'a> {
    Box::pin(async move {
        let tag = known.and_then(|known| known.tag.as_deref()).unwrap_or("\"\"");
        let answer = http::send("GET", &path(account), ["accept", MEDIA_TYPE, "if-none-match", tag], None).await;
        let text = match answer.status {
            404 => USUAL,
            200 => answer.text()?,
            _ => return None,
        };
        let document = DomParser::new().ok()?.parse_from_string(text, SupportedType::ApplicationXml).ok()?;
        Some(Preferences { document, tag: answer.tag })
    })
}

/// Whether somebody is on the block list, which those who block in the app keep the same in all profiles; nothing when the server does not
/// say it. One question about one element, which the first module asks: it has nothing else of the document.
pub async fn blocks(account: &Address, who: &Address) -> Option<bool> {
    let sender = http::segment(&["sender[@uri=\"", who.as_str(), "\"]"].concat());
    let path = [&path(account), "/~~/preferences/profile%5B1%5D/blocked/", &sender].concat();
    match http::ask("GET", &path, None).await.status {
        200 => Some(true),
        404 => Some(false),
        _ => None,
    }
}

/// Has the server keep what a change makes of what is there; nothing when it does not.
pub fn change<'a>(account: &'a Address, change: &'a Change) -> Awaited<'a> {
    Box::pin(async move {
        for _ in 0..ATTEMPTS {
            let preferences = load(account, None).await?;
            // Nothing comes of a change of what is gone.
            let _ = preferences.apply(change);
            let (name, value) = preferences.tag.as_deref().map_or(("if-none-match", "*"), |tag| ("if-match", tag));
            let body = XmlSerializer::new().ok()?.serialize_to_string(&preferences.document).ok()?;
            let answer = http::send("PUT", &path(account), ["content-type", MEDIA_TYPE, name, value], Some(&body)).await;
            match answer.status {
                200..=299 => return Some(Preferences { tag: answer.tag, ..preferences }),
                412 => {}
                _ => return None,
            }
        }
        None
    })
}

/// The child of an element that a selector names.
fn child(parent: &Element, selector: &str) -> Option<Element> {
    parent.query_selector(&format!(":scope > {selector}")).ok().flatten()
}

/// The elements below another that a selector names.
pub fn all(parent: &Element, selector: &str) -> Vec<Element> {
    let Ok(list) = parent.query_selector_all(selector) else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

/// The child of this name, made where there is none.
fn made(parent: &Element, name: &str) -> Option<Element> {
    child(parent, name).or_else(|| added(parent, name))
}

/// A new child.
fn added(parent: &Element, name: &str) -> Option<Element> {
    let element = parent.owner_document()?.create_element_ns(Some(XML_NAMESPACE), name).ok()?;
    parent.append_child(&element).ok()?;
    Some(element)
}

/// What the child of a name holds.
pub fn text(parent: &Element, name: &str) -> String {
    child(parent, name).and_then(|child| child.text_content()).unwrap_or_default()
}

/// Has the child of a name hold something.
fn set(parent: &Element, name: &str, value: &str) {
    made(parent, name).into_iter().for_each(|child| child.set_text_content(Some(value)));
}

/// The value of an attribute.
pub fn attribute(element: &Element, name: &str) -> String {
    element.get_attribute(name).unwrap_or_default()
}

/// Gives an attribute a value.
fn set_attribute(element: &Element, name: &str, value: &str) {
    // The names are ours and valid.
    let _ = element.set_attribute(name, value);
}

/// The one of these whose attribute has this value.
fn with(elements: Vec<Element>, name: &str, value: &str) -> Option<Element> {
    elements.into_iter().find(|element| attribute(element, name) == value)
}

impl Preferences {
    /// The outermost element.
    pub fn root(&self) -> Option<Element> {
        self.document.document_element()
    }

    /// The profiles.
    pub fn profiles(&self) -> Vec<Element> {
        self.root().map(|root| all(&root, "profile")).unwrap_or_default()
    }

    /// The choice of a profile for a device.
    pub fn active(&self, instance: &InstanceId) -> Option<Element> {
        with(all(&self.root()?, "active"), "instance", instance.as_str())
    }

    /// The identifier of the profile that holds where nothing else does.
    pub fn default_id(&self) -> String {
        self.root().map(|root| attribute(&root, "default")).unwrap_or_default()
    }

    /// The profile that was chosen for a device, else the default.
    pub fn profile(&self, instance: &InstanceId) -> Option<Element> {
        let id = self.active(instance).map_or_else(|| self.default_id(), |active| attribute(&active, "profile"));
        with(self.profiles(), "id", &id)
    }

    /// Whether others may learn what the user of this device has read.
    pub fn read_reports(&self, instance: &InstanceId) -> bool {
        self.profile(instance).is_none_or(|profile| text(&profile, "read-reports") != "false")
    }

    /// Makes a change; nothing where what it is about is gone.
    fn apply(&self, change: &Change) -> Option<()> {
        let (root, profile, value) = (self.root()?, self.profile(&change.instance)?, &*change.value);
        match &*change.name {
            "block" | "unblock" => {
                for profile in self.profiles() {
                    with(all(&profile, "sender"), "uri", value).into_iter().for_each(|sender| sender.remove());
                    if change.name == "block" {
                        set_attribute(&added(&made(&profile, "blocked")?, "sender")?, "uri", value);
                    }
                }
            }
            "away" => {
                let defers = matches!(value, "push" | "notify");
                if defers {
                    set(&profile, "deferred-delivery", value);
                }
                set(&profile, "when-unavailable", if defers { "defer" } else { value });
            }
            "quiet" if value == "false" => made(&profile, "quiet-hours")?.remove(),
            "quiet" => {
                let period = added(&made(&profile, "quiet-hours")?, "period")?;
                set_attribute(&period, "days", &Days::NAMES.join(" "));
                set_attribute(&period, "from", "22:00");
                set_attribute(&period, "to", "07:00");
                localise(&period);
            }
            "from" | "to" => {
                let period = period(&profile)?;
                set_attribute(&period, &change.name, value);
                localise(&period);
            }
            "day" => {
                let period = period(&profile)?;
                let days = attribute(&period, "days");
                let chosen: Vec<&str> = Days::NAMES.into_iter().filter(|day| days.contains(day) != (*day == value)).collect();
                set_attribute(&period, "days", &chosen.join(" "));
                localise(&period);
            }
            "device" => {
                let gets = gets_messages(&profile, value);
                let device = device(&profile, value).or_else(|| {
                    let device = added(&made(&profile, "devices")?, "device")?;
                    set_attribute(&device, "instance", value);
                    Some(device)
                })?;
                set(&device, "messages", if gets { "false" } else { "true" });
            }
            "profile" => self.choose(&root, &change.instance, value)?,
            "add" => {
                let id = (1..=MOST_PROFILES).map(|number| format!("p{number}")).find(|id| with(self.profiles(), "id", id).is_none())?;
                root.append_child(&profile.clone_node_with_deep(true).ok()?).ok()?;
                let copy = root.last_element_child()?;
                set_attribute(&copy, "id", &id);
                set(&copy, "display-name", value);
                self.choose(&root, &change.instance, &id)?;
            }
            "default" => set_attribute(&root, "default", value),
            "remove" => {
                let selector = ["profile[id='", value, "'], [profile='", value, "']"].concat();
                all(&root, &selector).into_iter().for_each(|found| found.remove());
            }
            element => set(&profile, element, value),
        }
        Some(())
    }

    /// Chooses a profile for a device; an empty one is the default.
    fn choose(&self, root: &Element, instance: &InstanceId, id: &str) -> Option<()> {
        self.active(instance).into_iter().for_each(|active| active.remove());
        if !id.is_empty() {
            let active = added(&made(root, "active-profiles")?, "active")?;
            set_attribute(&active, "instance", instance.as_str());
            set_attribute(&active, "profile", id);
        }
        Some(())
    }
}

/// What a profile says of one of the devices.
fn device(profile: &Element, instance: &str) -> Option<Element> {
    with(all(profile, "devices > device"), "instance", instance)
}

/// Whether a profile lets a device get messages.
pub fn gets_messages(profile: &Element, instance: &str) -> bool {
    device(profile, instance).is_none_or(|device| text(&device, "messages") != "false")
}

/// The first period of quiet hours, which is the one that the page knows.
pub fn period(profile: &Element) -> Option<Element> {
    child(profile, "quiet-hours > period")
}

/// Has quiet hours be those of the place where whoever changes them is.
fn localise(period: &Element) {
    let offset = clock::offset();
    let sign = if offset < 0 { "-" } else { "+" };
    set_attribute(period, "offset", &[sign, &print(offset.unsigned_abs())].concat());
}
