//! The operator's view of the users: what `user add`, `list`, `passwd`, `remove` and `import` do, and the check of a password.
//!
//! It works on any [`Store`], also while a gateway runs on the same data directory: the gateway sees that `accounts_version` grew.
//! Of a password only the digest hashes are kept, one per domain and user name.

mod csv;

use std::net::IpAddr;

use subtle::ConstantTimeEq;
use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::{deferred, feature};
use wasm_core::sip::digest::Ha1;

use crate::participating::SYSTEM;
use crate::store::{Account, NewAccount, Outcome, Secret, Store, StoreError, Unit, UserId, Write};

/// The longest password, in bytes.
pub const LONGEST_PASSWORD: usize = 256;

/// The longest name, in bytes.
pub const LONGEST_NAME: usize = 128;

/// The most addresses of one account.
pub const MOST_ADDRESSES: usize = 16;

/// The most faults of a file that are listed.
const MOST_FAULTS: usize = 50;

/// The user parts of the service's own addresses: of its messages, of the deferred queue, of what makes groups.
const RESERVED: [&str; 3] = [SYSTEM, deferred::USER, feature::CONFERENCE_FACTORY];

/// A user as the operator describes them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewUser {
    /// The primary identity: `sip:user@domain`.
    pub address: String,
    /// The password.
    pub password: String,
    /// Further addresses: telephone numbers, with or without `tel:`, or SIP addresses.
    pub others: Vec<String>,
    /// The name; where it is empty, the user part of the address.
    pub name: String,
}

impl std::fmt::Debug for NewUser {
    /// The password stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("address", &self.address).field("others", &self.others).finish_non_exhaustive()
    }
}

/// Why an account could not be made or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// What was given as the primary identity is none.
    #[error("{0:?} is not a SIP address: give one like sip:alice@example.org")]
    NoSipAddress(String),
    /// In-dialog requests to an address in such a domain would loop.
    #[error("{0} is an IP address: the domain of a user's address has to be a name")]
    NumericDomain(String),
    /// What was given as a further address is none.
    #[error("{0:?} is neither a telephone number like +15550100 nor a SIP address")]
    NoAddress(String),
    /// More addresses than an account may have.
    #[error("an account has at most {MOST_ADDRESSES} addresses")]
    TooManyAddresses,
    /// An address at which the service itself answers or writes from.
    #[error("{0} is the service's own address: choose another one")]
    Reserved(Address),
    /// No password.
    #[error("the password is empty")]
    NoPassword,
    /// A password that no client could send.
    #[error("the password is longer than {LONGEST_PASSWORD} bytes or contains control characters")]
    BadPassword,
    /// A name that no client could show.
    #[error("the name is longer than {LONGEST_NAME} bytes or contains control characters")]
    BadName,
    /// Nobody has this address.
    #[error("there is no account with the address {0}")]
    Unknown(String),
    /// An address occurs twice in one file.
    #[error("{address} is already used in line {line}")]
    Repeated { address: Address, line: usize },
    /// A line of a file cannot be read.
    #[error("{0}")]
    Unreadable(&'static str),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a file was not imported; nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The faults by line, the first of them.
    pub faults: Vec<(usize, AccountError)>,
    /// How many there are in all.
    pub count: usize,
}

impl std::fmt::Display for ImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "nothing was imported:")?;
        for (line, fault) in &self.faults {
            writeln!(f, "line {line}: {fault}")?;
        }
        match self.count - self.faults.len() {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}

impl std::error::Error for ImportError {}

/// Creates an account.
pub fn add(store: &(impl Store + ?Sized), user: &NewUser) -> Result<UserId, AccountError> {
    match commit(store, Write::AddAccount(check(user)?))? {
        Outcome::Created(user) => Ok(user),
        other => Err(unexpected(other)),
    }
}

/// All accounts, by primary address.
pub fn list(store: &(impl Store + ?Sized)) -> Result<Vec<Account>, AccountError> {
    Ok(store.accounts()?)
}

/// Gives the owner of an address a new password, which ends their sessions.
pub fn passwd(store: &(impl Store + ?Sized), address: &str, password: &str) -> Result<(), AccountError> {
    let account = find(store, address)?;
    check_password(password)?;
    let secrets = secrets(&account.addresses, password);
    commit(store, Write::SetSecrets { user: account.user, secrets }).map(drop)
}

/// Removes the account that an address belongs to, with its messages.
pub fn remove(store: &(impl Store + ?Sized), address: &str) -> Result<Account, AccountError> {
    let account = find(store, address)?;
    commit(store, Write::RemoveAccount { user: account.user })?;
    Ok(account)
}

/// Creates an account for each line of a file of `address,password,tel,name` (RFC 4180; `tel` may hold several, separated by spaces or
/// semicolons; a first line of just these words is skipped). All of them or none.
pub fn import(store: &(impl Store + ?Sized), file: &str) -> Result<usize, ImportError> {
    let mut faults: Vec<(usize, AccountError)> = Vec::new();
    let mut seen: std::collections::HashMap<Address, usize> = std::collections::HashMap::new();
    let mut writes = Vec::new();
    for record in csv::records(file) {
        let line = record.line;
        let checked = record.user.and_then(|user| check(&user)).and_then(|account| {
            for address in &account.addresses {
                if let Some(&line) = seen.get(address) {
                    return Err(AccountError::Repeated { address: address.clone(), line });
                }
                if store.account(address)?.is_some() {
                    return Err(StoreError::AddressTaken(address.clone()).into());
                }
            }
            Ok(account)
        });
        match checked {
            Ok(account) => {
                seen.extend(account.addresses.iter().map(|address| (address.clone(), line)));
                writes.push(Write::AddAccount(account));
            }
            Err(fault) => faults.push((line, fault)),
        }
    }
    let failed = |mut faults: Vec<(usize, AccountError)>| {
        let count = faults.len();
        faults.truncate(MOST_FAULTS);
        ImportError { faults, count }
    };
    if !faults.is_empty() {
        return Err(failed(faults));
    }
    let count = writes.len();
    // Should somebody add one of the addresses in this very moment, the unit fails as a whole.
    let result = store.commit(vec![Unit(writes)]).pop().unwrap_or(Err(StoreError::Closed));
    result.map(|_| count).map_err(|error| failed(vec![(1, error.into())]))
}

/// Whether a password is that of an account. It takes as long for an account that is not there.
pub fn authenticates(account: Option<&Account>, password: &str) -> bool {
    let (user, realm) = account.map_or(("nobody", "invalid"), |account| (account.primary().user(), account.domain()));
    let given = Ha1::new(user, realm, password.get(..LONGEST_PASSWORD).unwrap_or(password));
    let kept = account.and_then(|account| account.ha1(user, realm)).map_or([0; 32], |ha1| ha1.sha256);
    bool::from(given.sha256.ct_eq(&kept)) && account.is_some() && password.len() <= LONGEST_PASSWORD
}

/// The secrets of a password: for each domain of the SIP addresses, under the user part and under `user@domain`, since clients call
/// themselves either.
pub fn secrets(addresses: &[Address], password: &str) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for address in addresses {
        let Some(realm) = address.domain() else { continue };
        for username in [address.user().to_owned(), format!("{}@{realm}", address.user())] {
            let ha1 = Ha1::new(&username, realm, password);
            secrets.push(Secret { username: Text::from(username), realm: Text::from(realm), ha1 });
        }
    }
    secrets
}

/// Reads a user's description.
fn check(user: &NewUser) -> Result<NewAccount, AccountError> {
    let primary = Address::complete(&user.address, "")
        .filter(|address| address.domain().is_some())
        .ok_or_else(|| AccountError::NoSipAddress(user.address.clone()))?;
    let mut addresses = vec![primary];
    for text in user.others.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let address = Address::complete(text, "").ok_or_else(|| AccountError::NoAddress(text.to_owned()))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.len() > MOST_ADDRESSES {
        return Err(AccountError::TooManyAddresses);
    }
    if let Some(address) = addresses.iter().find(|address| RESERVED.contains(&address.user()) && address.domain().is_some()) {
        return Err(AccountError::Reserved(address.clone()));
    }
    let numeric = |domain: &str| domain.starts_with('[') || domain.parse::<IpAddr>().is_ok();
    if let Some(domain) = addresses.iter().filter_map(|address| address.domain()).find(|domain| numeric(domain)) {
        return Err(AccountError::NumericDomain(domain.to_owned()));
    }
    check_password(&user.password)?;
    let name = user.name.trim();
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(AccountError::BadName);
    }
    let display_name = Text::from(if name.is_empty() { addresses[0].user() } else { name });
    let secrets = secrets(&addresses, &user.password);
    Ok(NewAccount { addresses, display_name, secrets })
}

fn check_password(password: &str) -> Result<(), AccountError> {
    if password.is_empty() {
        return Err(AccountError::NoPassword);
    }
    if password.len() > LONGEST_PASSWORD || password.chars().any(char::is_control) {
        return Err(AccountError::BadPassword);
    }
    Ok(())
}

fn find(store: &(impl Store + ?Sized), address: &str) -> Result<Account, AccountError> {
    let unknown = || AccountError::Unknown(address.to_owned());
    store.account(&Address::complete(address, "").ok_or_else(unknown)?)?.ok_or_else(unknown)
}

fn commit(store: &(impl Store + ?Sized), write: Write) -> Result<Outcome, AccountError> {
    let applied = store.commit(vec![write.into()]).pop().unwrap_or(Err(StoreError::Closed))?;
    Ok(applied.outcomes.first().copied().unwrap_or(Outcome::Done))
}

fn unexpected(outcome: Outcome) -> AccountError {
    AccountError::Store(StoreError::Internal(format!("{outcome:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;

    fn store() -> Sqlite {
        Sqlite::in_memory().unwrap()
    }

    fn user(address: &str) -> NewUser {
        NewUser { address: address.into(), password: "hunter2 Ü".into(), ..NewUser::default() }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// R316: SIP and TEL addresses, several per user; a hash for each domain.
    #[test]
    fn an_account_is_added_with_its_hashes() {
        let store = store();
        let alice = NewUser {
            others: vec!["+1 555-0100".into(), "".into(), "sip:al@Other.test".into(), "tel:+15550100".into()],
            name: " Alice A. ".into(),
            ..user("sip:Alice@RCS.test")
        };
        let id = add(&store, &alice).unwrap();
        let account = list(&store).unwrap().remove(0);
        assert_eq!((account.user, &*account.display_name, account.domain()), (id, "Alice A.", "rcs.test"));
        assert_eq!(account.addresses, [address("sip:Alice@rcs.test"), address("tel:+15550100"), address("sip:al@other.test")]);
        for (name, realm) in [("Alice", "rcs.test"), ("Alice@rcs.test", "rcs.test"), ("al", "other.test"), ("al@other.test", "other.test")]
        {
            assert_eq!(account.ha1(name, realm), Some(&Ha1::new(name, realm, "hunter2 Ü")), "{name}");
        }
        assert_eq!(account.secrets.len(), 4);
        add(&store, &user("bob@rcs.test")).unwrap();
        assert_eq!(&*store.account(&address("sip:bob@rcs.test")).unwrap().unwrap().display_name, "bob");
    }

    #[test]
    fn what_is_no_user_is_refused() {
        let store = store();
        let with = |change: fn(&mut NewUser)| {
            let mut user = user("sip:alice@rcs.test");
            change(&mut user);
            add(&store, &user).unwrap_err()
        };
        for bad in ["", "alice", "tel:+15550100", "sip:@x", "http://x"] {
            assert_eq!(add(&store, &user(bad)), Err(AccountError::NoSipAddress(bad.into())), "{bad}");
        }
        assert_eq!(add(&store, &user("sip:a@192.0.2.1")), Err(AccountError::NumericDomain("192.0.2.1".into())));
        assert!(matches!(add(&store, &user("sip:a@[2001:db8::1]")), Err(AccountError::NumericDomain(_))));
        assert_eq!(with(|user| user.others = vec!["555".into()]), AccountError::NoAddress("555".into()));
        assert_eq!(with(|user| user.others = (0..16).map(|n| format!("+1555010{n}")).collect()), AccountError::TooManyAddresses);
        for own in ["sip:system@rcs.test", "sip:deferred@rcs.test", "sip:conference-factory@rcs.test"] {
            assert!(matches!(add(&store, &user(own)), Err(AccountError::Reserved(_))), "{own}");
        }
        assert_eq!(with(|user| user.password.clear()), AccountError::NoPassword);
        assert_eq!(with(|user| user.password = "a\nb".into()), AccountError::BadPassword);
        assert_eq!(with(|user| user.password = "x".repeat(257)), AccountError::BadPassword);
        assert_eq!(with(|user| user.name = "a\u{7}".into()), AccountError::BadName);
        assert!(list(&store).unwrap().is_empty());
        add(&store, &user("sip:alice@rcs.test")).unwrap();
        let taken = add(&store, &user("sips:alice@RCS.TEST")).unwrap_err();
        assert_eq!(taken.to_string(), "sip:alice@rcs.test already belongs to an account");
    }

    /// R317: a password is checked against its hash, for known and unknown users alike.
    #[test]
    fn passwords_are_checked_and_changed() {
        let store = store();
        add(&store, &NewUser { others: vec!["+15550100".into()], ..user("sip:alice@rcs.test") }).unwrap();
        let account = || store.account(&address("sip:alice@rcs.test")).unwrap();
        assert!(authenticates(account().as_ref(), "hunter2 Ü"));
        assert!(!authenticates(account().as_ref(), "hunter2"));
        assert!(!authenticates(account().as_ref(), &"Ü".repeat(300)));
        assert!(!authenticates(None, "hunter2 Ü"));
        passwd(&store, "tel:+15550100", "new").unwrap();
        assert!(authenticates(account().as_ref(), "new"));
        assert!(!authenticates(account().as_ref(), "hunter2 Ü"));
        assert_eq!(passwd(&store, "sip:alice@rcs.test", ""), Err(AccountError::NoPassword));
        assert_eq!(passwd(&store, "sip:bob@rcs.test", "x"), Err(AccountError::Unknown("sip:bob@rcs.test".into())));
        remove(&store, "sip:alice@rcs.test").unwrap();
        assert_eq!(remove(&store, "sip:alice@rcs.test"), Err(AccountError::Unknown("sip:alice@rcs.test".into())));
    }

    #[test]
    fn a_file_is_imported() {
        let store = store();
        let file = "address,password,tel,name\r\nsip:a@rcs.test,\"p,\"\"w\",+15550100 +15550101,\"Ann,\nB\"\r\n\r\nsip:b@rcs.test,pw\n";
        let error = import(&store, file).unwrap_err();
        assert_eq!(error.faults, [(2, AccountError::BadName)], "a name has no line breaks");
        assert_eq!(import(&store, &file.replace("Ann,\nB", "Ann, B")), Ok(2));
        let ann = store.account(&address("tel:+15550101")).unwrap().unwrap();
        assert_eq!(&*ann.display_name, "Ann, B");
        assert!(authenticates(Some(&ann), "p,\"w"));
        assert_eq!(import(&store, ""), Ok(0));
    }

    #[test]
    fn faults_name_their_lines_and_nothing_is_imported() {
        let store = store();
        add(&store, &user("sip:taken@rcs.test")).unwrap();
        let file = "sip:a@rcs.test,pw\nnobody,pw\nsip:b@rcs.test\nsip:taken@rcs.test,pw\n\nsip:A@rcs.test,pw,12\nsip:c@rcs.test,pw,,,x\n\
                    sip:a@rcs.test,pw\nsip:d@rcs.test,\"pw\n";
        let error = import(&store, file).unwrap_err();
        let text = error.to_string();
        let expected = "nothing was imported:\n\
             line 2: \"nobody\" is not a SIP address: give one like sip:alice@example.org\n\
             line 3: the password is empty\n\
             line 4: sip:taken@rcs.test already belongs to an account\n\
             line 6: \"12\" is neither a telephone number like +15550100 nor a SIP address\n\
             line 7: more than the four fields address,password,tel,name\n\
             line 8: sip:a@rcs.test is already used in line 1\n\
             line 9: a quotation mark is not closed\n";
        assert_eq!(text, expected);
        assert_eq!(list(&store).unwrap().len(), 1);
    }
}
