//! Which browsers have subscribed to notices: documents of the store, all of them in memory too, as the node asks for them at once.
//!
//! A subscription belongs to a device and lives no longer than a session of it. One push endpoint is one browser: when somebody else
//! signs in there and subscribes, the one before gets nothing any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasm_core::Text;
use wasm_core::cpm::ids::InstanceId;

use super::base64;
use super::encryption::Keys;
use super::endpoint::Endpoint;
use crate::node::Outlet;
use crate::store::{DocumentKind, Expect, Store, StoreError, UserId, Write};

/// Subscriptions of one user: the newest are kept.
const MOST: usize = 16;
/// The longest words in place of a text, in characters.
const LONGEST_WORDS: usize = 100;

/// What a browser says about itself when it subscribes, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Where its push service takes messages for it.
    pub endpoint: String,
    /// Its public key.
    pub p256dh: String,
    /// Its secret.
    pub auth: String,
    /// Whether notices show what messages say.
    #[serde(default = "yes")]
    pub text: bool,
    /// What notices say in place of a text, in the person's language.
    #[serde(default)]
    pub words: String,
}

fn yes() -> bool {
    true
}

impl Subscription {
    /// The keys and the endpoint, if they are what they ought to be.
    pub fn read(&self) -> Result<(Keys, Endpoint), &'static str> {
        let keys = base64::decode(&self.p256dh).zip(base64::decode(&self.auth));
        let keys = keys.and_then(|(point, secret)| Keys::new(point.try_into().ok()?, secret.try_into().ok()?));
        let keys = keys.ok_or("These are not the keys of a subscription.")?;
        let endpoint = Endpoint::secure(&self.endpoint).ok_or("The endpoint has to be an https: address.")?;
        if self.words.chars().count() > LONGEST_WORDS || self.words.contains(char::is_control) {
            return Err("These words are too long.");
        }
        Ok((keys, endpoint))
    }

    /// The document that keeps it.
    fn body(&self) -> Bytes {
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
struct Kept {
    device: InstanceId,
    subscription: Arc<Subscription>,
    /// The newest has the highest.
    age: u64,
}

#[derive(Debug, Default)]
struct Known {
    of: HashMap<UserId, Vec<Kept>>,
    /// Whose an endpoint is.
    owners: HashMap<String, (UserId, InstanceId)>,
    /// Whether phones can be told.
    phones: bool,
    next_age: u64,
}

/// The subscriptions; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions(Arc<Mutex<Known>>);

impl Subscriptions {
    /// Those that were kept. `phones` says whether phones can be told too.
    pub fn load(store: &dyn Store, phones: bool) -> Result<Subscriptions, StoreError> {
        let mut documents = store.all_documents(DocumentKind::Push)?;
        documents.sort_by_key(|document| document.version);
        let subscriptions = Subscriptions::default();
        subscriptions.known().phones = phones;
        for document in documents {
            match (InstanceId::parse(&document.name), serde_json::from_slice(&document.body)) {
                (Some(device), Ok(subscription)) => subscriptions.known().put(document.user, device, subscription),
                _ => tracing::warn!(user = document.user.0, "a subscription that cannot be read is passed over"),
            }
        }
        Ok(subscriptions)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a user's devices can be told of something.
    pub fn outlets(&self, user: UserId) -> Vec<Outlet> {
        let known = self.known();
        let browsers = known.of.get(&user).into_iter().flatten().map(|kept| Outlet::Browser(kept.device.clone()));
        browsers.chain(known.phones.then_some(Outlet::Phones)).collect()
    }

    /// The subscription of a device.
    pub fn get(&self, user: UserId, device: &InstanceId) -> Option<Arc<Subscription>> {
        self.known().of.get(&user)?.iter().find(|kept| kept.device == *device).map(|kept| Arc::clone(&kept.subscription))
    }

    /// What to write so that a device has this subscription: those go that it takes the place of.
    pub fn putting(&self, user: UserId, device: &InstanceId, subscription: &Subscription) -> Vec<Write> {
        let known = self.known();
        let owner = known.owners.get(&subscription.endpoint).filter(|(owner, other)| *owner != user || other != device);
        let mine: Vec<_> = known.of.get(&user).into_iter().flatten().filter(|kept| kept.device != *device).collect();
        let oldest = mine.iter().min_by_key(|kept| kept.age).filter(|_| mine.len() >= MOST);
        let gone = owner.cloned().into_iter().chain(oldest.map(|kept| (user, kept.device.clone())));
        let mut writes: Vec<_> = gone.map(|(user, device)| dropping(user, &device)).collect();
        let (kind, name) = (DocumentKind::Push, Text::from(device));
        writes.push(Write::PutDocument { user, kind, name, body: subscription.body(), expect: Expect::Any });
        writes
    }

    /// Holds what has been written.
    pub fn written(&self, writes: &[Write]) {
        let mut known = self.known();
        for write in writes {
            match write {
                Write::PutDocument { user, kind: DocumentKind::Push, name, body, .. } => {
                    if let (Some(device), Ok(subscription)) = (InstanceId::parse(name), serde_json::from_slice(body)) {
                        known.put(*user, device, subscription);
                    }
                }
                Write::DropDocument { user, kind: DocumentKind::Push, name, .. } => known.remove(*user, name),
                _ => {}
            }
        }
    }
}

/// What to write so that a device has no subscription.
pub fn dropping(user: UserId, device: &InstanceId) -> Write {
    Write::DropDocument { user, kind: DocumentKind::Push, name: Text::from(device), expect: Expect::Any }
}

impl Known {
    fn put(&mut self, user: UserId, device: InstanceId, subscription: Subscription) {
        self.remove(user, device.as_str());
        self.owners.insert(subscription.endpoint.clone(), (user, device.clone()));
        self.next_age += 1;
        let kept = Kept { device, subscription: Arc::new(subscription), age: self.next_age };
        self.of.entry(user).or_default().push(kept);
    }

    fn remove(&mut self, user: UserId, device: &str) {
        let Some(kept) = self.of.get_mut(&user) else { return };
        for gone in kept.extract_if(.., |kept| kept.device.as_str() == device) {
            if self.owners.get(&gone.subscription.endpoint).is_some_and(|(owner, other)| *owner == user && *other == gone.device) {
                self.owners.remove(&gone.subscription.endpoint);
            }
        }
        if kept.is_empty() {
            self.of.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{NewUser, add};
    use crate::store::Sqlite;

    fn subscription(endpoint: &str) -> Subscription {
        Subscription { endpoint: endpoint.into(), p256dh: String::new(), auth: String::new(), text: true, words: String::new() }
    }

    fn device(name: &str) -> InstanceId {
        InstanceId::parse(&Text::from(name)).unwrap()
    }

    fn put(store: &Sqlite, subscriptions: &Subscriptions, user: UserId, name: &str, endpoint: &str) {
        let writes = subscriptions.putting(user, &device(name), &subscription(endpoint));
        assert!(store.commit(vec![crate::store::Unit(writes.clone())]).remove(0).is_ok());
        subscriptions.written(&writes);
    }

    #[test]
    fn subscriptions_are_kept_bounded_and_have_one_owner() {
        let store = Sqlite::in_memory().unwrap();
        let user = |name: &str| {
            add(&store, &NewUser { address: format!("sip:{name}@tandem.test"), password: "secret".into(), ..NewUser::default() }).unwrap()
        };
        let (alice, bob) = (user("alice"), user("bob"));
        let subscriptions = Subscriptions::load(&store, false).unwrap();
        for nth in 0..MOST + 1 {
            put(&store, &subscriptions, alice, &format!("device {nth}"), &format!("https://push.example/{nth}"));
        }
        // The same browser, with somebody else now.
        put(&store, &subscriptions, bob, "device 5", "https://push.example/5");
        for known in [subscriptions, Subscriptions::load(&store, true).unwrap()] {
            let phones = usize::from(known.known().phones);
            assert_eq!(known.outlets(alice).len(), MOST - 1 + phones);
            assert_eq!(known.outlets(bob).len(), 1 + phones);
            assert!(known.get(alice, &device("device 0")).is_none(), "the oldest");
            assert!(known.get(alice, &device("device 5")).is_none());
            assert_eq!(known.get(bob, &device("device 5")).unwrap().endpoint, "https://push.example/5");
            assert_eq!(known.known().owners.len(), MOST);
        }
    }
}
