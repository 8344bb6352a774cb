//! The accounts and their preferences in memory, as the node and the sign-in look them up.
//!
//! The accounts are read whole from the store whenever its `accounts_version` has grown, which is looked at every 100 ms, so that what an
//! operator's command changes holds here at once. Who looks somebody up never waits for the disk. Preferences are read at the start; whoever writes them says so here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::device::Device;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::Preferences;

use super::push::subscriptions::Subscriptions;
use crate::devices::Devices;
use crate::node::{Admission, Directory, Outlet};
use crate::store::{Account, DocumentKind, Store, StoreError, UserId};

/// How often the version is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// The accounts; clones share them.
#[derive(Clone)]
pub struct Accounts(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    devices: Arc<Devices>,
    subscriptions: Subscriptions,
    known: Mutex<Arc<Known>>,
    /// Whose secrets have become others since somebody asked.
    renewed: Mutex<Vec<UserId>>,
    preferences: RwLock<HashMap<UserId, Chosen>>,
    /// The preferences of those who have none.
    usual: Arc<Preferences>,
}

/// What a user prefers since a change of their box; nothing after they dropped it.
struct Chosen {
    version: u64,
    preferences: Option<Arc<Preferences>>,
}

struct Known {
    by_address: HashMap<Address, Arc<Account>>,
    by_user: HashMap<UserId, Arc<Account>>,
    version: u64,
}

impl Accounts {
    /// Reads them all; the devices are read already, and how they can be told of something.
    pub fn load(store: Arc<dyn Store>, devices: Arc<Devices>, subscriptions: Subscriptions) -> Result<Accounts, StoreError> {
        let known = Known::read(&*store, store.accounts_version()?)?;
        let preferences = RwLock::new(read_preferences(&*store)?);
        Ok(Accounts(Arc::new(Shared {
            store,
            devices,
            subscriptions,
            known: Mutex::new(Arc::new(known)),
            renewed: Mutex::default(),
            preferences,
            usual: Preferences::usual(),
        })))
    }

    /// Takes note of a change to a user's preferences, unless a later one is known: changes are told of in no certain order.
    pub fn prefers(&self, user: UserId, version: u64, preferences: Option<Preferences>) {
        let mut known = self.0.preferences.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(&user).is_none_or(|chosen| chosen.version < version) {
            known.insert(user, Chosen { version, preferences: preferences.map(Arc::new) });
        }
    }

    /// Keeps what is known fresh, for as long as it is polled.
    pub async fn follow(self) {
        let mut interval = tokio::time::interval(PATIENCE);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let accounts = self.clone();
            let refreshed = tokio::task::spawn_blocking(move || accounts.refresh()).await;
            // What is known holds on; the next look may succeed.
            if let Ok(Err(error)) = refreshed {
                tracing::error!(%error, "the accounts cannot be read");
            }
        }
    }

    /// Reads them again if they have changed.
    fn refresh(&self) -> Result<(), StoreError> {
        let version = self.0.store.accounts_version()?;
        if version != self.version() {
            let fresh = Arc::new(Known::read(&*self.0.store, version)?);
            self.0.preferences.write().unwrap_or_else(PoisonError::into_inner).retain(|user, _| fresh.by_user.contains_key(user));
            let old = Arc::clone(&self.known());
            let renewed =
                fresh.by_user.values().filter(|account| old.by_user.get(&account.user).is_some_and(|old| old.secrets != account.secrets));
            self.0.renewed.lock().unwrap_or_else(PoisonError::into_inner).extend(renewed.map(|account| account.user));
            // The old ones are dropped when nobody waits for the lock any more.
            let _old = std::mem::replace(&mut *self.known(), fresh);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Arc<Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose secrets have become others since this was asked last.
    pub fn take_renewed(&self) -> Vec<UserId> {
        std::mem::take(&mut *self.0.renewed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The version of what is known.
    pub fn version(&self) -> u64 {
        self.known().version
    }

    /// The people of a domain whose name or address contains `query`, but for one; by name.
    pub fn people(&self, domain: &str, but: UserId, query: &str, limit: usize) -> Vec<Arc<Account>> {
        let query = query.to_lowercase();
        let wanted = |account: &&Arc<Account>| {
            account.user != but
                && account.domain() == domain
                && (account.display_name.to_lowercase().contains(&query)
                    || account.addresses.iter().any(|address| address.as_str().contains(&query)))
        };
        let known = Arc::clone(&self.known());
        let mut people: Vec<_> = known.by_user.values().filter(wanted).cloned().collect();
        people.sort_by(|one, other| (&one.display_name, one.primary()).cmp(&(&other.display_name, other.primary())));
        people.truncate(limit);
        people
    }
}

fn read_preferences(store: &dyn Store) -> Result<HashMap<UserId, Chosen>, StoreError> {
    let documents = store.all_documents(DocumentKind::Preferences)?;
    let read = documents.into_iter().filter_map(|document| match Preferences::parse(&document.body) {
        Ok(preferences) => Some((document.user, Chosen { version: document.version, preferences: Some(Arc::new(preferences)) })),
        Err(error) => {
            tracing::error!(user = document.user.0, %error, "preferences cannot be read: the usual ones hold");
            None
        }
    });
    Ok(read.collect())
}

impl Known {
    fn read(store: &dyn Store, version: u64) -> Result<Known, StoreError> {
        let accounts: Vec<Arc<Account>> = store.accounts()?.into_iter().map(Arc::new).collect();
        Ok(Known {
            by_address: accounts
                .iter()
                .flat_map(|account| account.addresses.iter().map(|address| (address.clone(), Arc::clone(account))))
                .collect(),
            by_user: accounts.iter().map(|account| (account.user, Arc::clone(account))).collect(),
            version,
        })
    }
}

impl Directory for Accounts {
    fn account(&self, address: &Address) -> Option<Arc<Account>> {
        self.known().by_address.get(address).cloned()
    }

    fn user(&self, user: UserId) -> Option<Arc<Account>> {
        self.known().by_user.get(&user).cloned()
    }

    fn preferences(&self, user: UserId) -> Arc<Preferences> {
        let known = self.0.preferences.read().unwrap_or_else(PoisonError::into_inner);
        let chosen = known.get(&user).and_then(|chosen| chosen.preferences.as_ref());
        Arc::clone(chosen.unwrap_or(&self.0.usual))
    }

    fn device(&self, user: UserId, instance: &InstanceId) -> Option<Arc<Device>> {
        self.0.devices.get(user, instance)
    }

    fn admission(&self, user: UserId, instance: &InstanceId) -> Admission {
        self.0.devices.admission(user, instance)
    }

    fn outlets(&self, user: UserId) -> Vec<Outlet> {
        self.0.subscriptions.outlets(user)
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{NewUser, add, remove};
    use crate::store::Sqlite;

    /// R234: preferences are there at once, after a restart too, and an older change never takes the place of a newer one.
    #[test]
    fn preferences_are_known_from_the_start() {
        use crate::store::{Expect, Outcome, Write};
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        let user =
            add(&*store, &NewUser { address: "sip:bob@tandem.test".into(), password: "secret".into(), ..NewUser::default() }).unwrap();
        let chosen = |read_reports| {
            let mut preferences = Preferences::default();
            preferences.profiles[0].read_reports = read_reports;
            preferences
        };
        let body = chosen(false).encode();
        let put = Write::PutDocument { user, kind: DocumentKind::Preferences, name: "index".into(), body, expect: Expect::Any };
        let Ok(applied) = &store.commit(vec![put.into()])[0] else { panic!() };
        let Outcome::Kept { version } = applied.outcomes[0] else { panic!() };
        let accounts = Accounts::load(Arc::clone(&store), Arc::default(), Subscriptions::default()).unwrap();
        assert_eq!(*accounts.preferences(user), chosen(false));
        assert_eq!(*accounts.preferences(UserId(-1)), Preferences::default());
        accounts.prefers(user, version + 2, Some(chosen(true)));
        accounts.prefers(user, version + 1, Some(chosen(false)));
        assert_eq!(*accounts.preferences(user), chosen(true));
        accounts.prefers(user, version + 3, None);
        accounts.prefers(user, version + 2, Some(chosen(false)));
        assert_eq!(*accounts.preferences(user), Preferences::default());
        remove(&*store, "sip:bob@tandem.test").unwrap();
        accounts.refresh().unwrap();
        accounts.user(user);
        assert!(accounts.0.preferences.read().unwrap().is_empty());
    }

    /// R317: what an operator changes holds without a restart.
    #[test]
    fn an_account_added_later_is_found() {
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        let accounts = Accounts::load(Arc::clone(&store), Arc::default(), Subscriptions::default()).unwrap();
        let bob = Address::parse("sip:bob@tandem.test").unwrap();
        assert!(accounts.account(&bob).is_none());
        let user = NewUser { address: bob.to_string(), password: "secret".into(), others: vec!["+15550100".into()], ..NewUser::default() };
        let id = add(&*store, &user).unwrap();
        accounts.refresh().unwrap();
        assert_eq!(accounts.account(&bob).unwrap().user, id);
        assert_eq!(accounts.account(&Address::parse("tel:+15550100").unwrap()).unwrap().user, id);
        assert_eq!(accounts.people("tandem.test", UserId(-1), "BO", 10).len(), 1);
        assert!(accounts.people("tandem.test", id, "", 10).is_empty());
        remove(&*store, bob.as_str()).unwrap();
        accounts.refresh().unwrap();
        assert!(accounts.user(id).is_none());
    }
}
