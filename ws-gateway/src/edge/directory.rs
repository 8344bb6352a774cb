//! The accounts in memory, as the node and the sign-in look them up.
//!
//! Read whole from the store whenever its `accounts_version` has grown, which is looked at no more than every 100 ms, so that what an
//! operator's command changes holds here at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasm_core::cpm::address::Address;

use crate::node::Directory;
use crate::store::{Account, Store, StoreError, UserId};

/// How old the knowledge of the version may be.
const PATIENCE: Duration = Duration::from_millis(100);

/// The accounts; clones share them.
#[derive(Clone)]
pub struct Accounts(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

struct Known {
    by_address: HashMap<Address, Arc<Account>>,
    by_user: HashMap<UserId, Arc<Account>>,
    version: u64,
    looked: Instant,
}

impl Accounts {
    /// Reads them all.
    pub fn load(store: Arc<dyn Store>) -> Result<Accounts, StoreError> {
        let known = Known::read(&*store, store.accounts_version()?)?;
        Ok(Accounts(Arc::new(Shared { store, known: Mutex::new(known) })))
    }

    /// What is known, made fresh where it is due.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() >= PATIENCE {
            known.looked = Instant::now();
            let store = &*self.0.store;
            let fresh = store.accounts_version().and_then(|version| match version == known.version {
                true => Ok(None),
                false => Known::read(store, version).map(Some),
            });
            match fresh {
                Ok(Some(fresh)) => *known = fresh,
                Ok(None) => {}
                // What is known holds on; the next look may succeed.
                Err(error) => tracing::error!(%error, "the accounts cannot be read"),
            }
        }
        known
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
        let mut people: Vec<_> = self.known().by_user.values().filter(wanted).cloned().collect();
        people.sort_by(|one, other| (&one.display_name, one.primary()).cmp(&(&other.display_name, other.primary())));
        people.truncate(limit);
        people
    }
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
            looked: Instant::now(),
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

    /// R317: what an operator changes holds without a restart.
    #[test]
    fn an_account_added_later_is_found() {
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        let accounts = Accounts::load(Arc::clone(&store)).unwrap();
        let bob = Address::parse("sip:bob@tandem.test").unwrap();
        assert!(accounts.account(&bob).is_none());
        let user = NewUser { address: bob.to_string(), password: "secret".into(), others: vec!["+15550100".into()], ..NewUser::default() };
        let id = add(&*store, &user).unwrap();
        std::thread::sleep(PATIENCE);
        assert_eq!(accounts.account(&bob).unwrap().user, id);
        assert_eq!(accounts.account(&Address::parse("tel:+15550100").unwrap()).unwrap().user, id);
        assert_eq!(accounts.people("tandem.test", UserId(-1), "BO", 10).len(), 1);
        assert!(accounts.people("tandem.test", id, "", 10).is_empty());
        remove(&*store, bob.as_str()).unwrap();
        std::thread::sleep(PATIENCE);
        assert!(accounts.user(id).is_none());
    }
}
