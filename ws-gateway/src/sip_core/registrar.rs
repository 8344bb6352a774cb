//! The registrar [RFC3261 §10.3], with Outbound [RFC5626 §6], Path [RFC3327], Service-Route [RFC3608] and GRUU [RFC5627].
//!
//! Whoever calls has checked who asks and that the address of record is theirs. A REGISTER happens wholly or not at all: everything
//! is checked before the first binding changes.

use wasm_core::wire::sip::{CSeq, Contact, HeaderName, NameAddr, Request, Response, Status, Uri};
use wasm_core::{Entropy, Text, Time};

use super::gruu::Gruus;
use super::location::{Binding, BindingId, Cause, Change, Location};
use super::refusal::Refusal;
use crate::node::{Admission, Directory, Hop, NodeConfig};
use crate::store::{Account, BindingKey, StoredBinding, Write};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::InstanceId;

/// The store keeps a binding for longer than it lives, by this part of its lifetime: a client that refreshes often, to keep a hole in a
/// firewall open, is written down only now and then. What it costs: after a restart, a device that went away unsaid is tried so much
/// longer.
const SLACK: u32 = 8;

/// Who registers, and over what.
pub(crate) struct Registrant<'a> {
    pub(crate) account: &'a Account,
    /// The address of record: one of the account's.
    pub(crate) aor: &'a Address,
    pub(crate) hop: &'a Hop,
    pub(crate) directory: &'a dyn Directory,
}

/// What a REGISTER did.
pub(crate) struct Registered {
    pub(crate) changes: Vec<Change>,
    /// What has to outlive the process.
    pub(crate) writes: Vec<Write>,
    pub(crate) response: Response,
}

/// Carries out a REGISTER.
pub(crate) fn register(
    now: Time,
    request: &Request,
    registrant: &Registrant<'_>,
    location: &mut Location,
    gruus: &Gruus,
    entropy: &mut Entropy,
    config: &NodeConfig,
) -> Result<Registered, Refusal> {
    let wish = Wish::read(request)?;
    let user = registrant.account.user;
    let (mut changes, mut writes) = (Vec::new(), Vec::new());
    match wish.contacts {
        Contacts::None => {}
        Contacts::All => {
            let newer = |binding: &Binding| binding.call_id != wish.call_id || binding.cseq < wish.cseq;
            if !location.of(user).iter().all(newer) {
                return Err(Refusal::because(Status::SERVER_INTERNAL_ERROR, "Out of Order"));
            }
            changes = location.unbind(user, Cause::Unregistered, |_| true);
            writes.extend(changes.iter().filter_map(durable));
        }
        Contacts::Some(contacts) => {
            let mut planned = Vec::with_capacity(contacts.len());
            for contact in contacts {
                planned.push(plan(now, registrant, &wish.common, contact, location, config)?);
            }
            let new = planned.iter().filter(|(binding, ends)| !ends && location.replaced_by(binding).is_none()).count();
            if location.of(user).len() + new > config.limits.bindings_per_user {
                return Err(Refusal::because(Status::FORBIDDEN, "Too Many Devices"));
            }
            for (mut binding, ends) in planned {
                let old = location.replaced_by(&binding);
                let kept = old.filter(|old| !ends && old.serves_for(&binding)).map(|old| old.kept_until);
                // A device that came to another transport must not be found at its old address after a restart.
                let left = old.and_then(key).filter(|left| !ends && key(&binding).as_ref() != Some(left));
                writes.extend(left.map(|key| Write::Unbind { user, key }));
                let done = if ends {
                    let old = old.map(|old| old.id);
                    location.unbind(user, Cause::Unregistered, |candidate| Some(candidate.id) == old)
                } else {
                    binding.kept_until = kept.unwrap_or(binding.kept_until);
                    vec![location.bind(binding)]
                };
                if kept.is_none() {
                    writes.extend(done.iter().filter_map(durable));
                }
                changes.extend(done);
            }
        }
    }
    let response = accept(now, request, registrant, location.of(user), gruus, entropy, config);
    Ok(Registered { changes, writes, response })
}

/// What all Contacts of one REGISTER share.
struct Common {
    call_id: Text,
    cseq: u32,
    /// From the Expires header.
    expires: Option<u32>,
    path: Vec<Text>,
    gruu: bool,
    agent: Text,
}

struct Wish {
    contacts: Contacts,
    call_id: Text,
    cseq: u32,
    common: Common,
}

enum Contacts {
    /// Only asks what there is.
    None,
    /// `*`: ends everything.
    All,
    Some(Vec<NameAddr>),
}

impl Wish {
    fn read(request: &Request) -> Result<Wish, Refusal> {
        let bad = |reason| Refusal::because(Status::BAD_REQUEST, reason);
        let headers = &request.headers;
        let cseq = headers.typed::<CSeq>().and_then(Result::ok).ok_or_else(|| bad("Bad CSeq"))?.number;
        let call_id = headers.get(&HeaderName::CallId).ok_or_else(|| bad("Missing Call-ID"))?.clone();
        // An Expires that makes no sense counts as absent [RFC3261 §20.19 allows the default].
        let expires = headers.get(&HeaderName::Expires).and_then(|value| value.trim().parse().ok());
        let path: Vec<Text> = headers.all(&HeaderName::Path).cloned().collect();
        let gruu = has_token(request, &HeaderName::Supported, "gruu");
        let agent = headers.get(&HeaderName::UserAgent).cloned().unwrap_or_default();
        let all = headers.list::<Contact>().map_err(|_| bad("Bad Contact"))?;
        let star = all.iter().any(|contact| matches!(contact, Contact::Star));
        let contacts = match (star, all.len()) {
            (_, 0) => Contacts::None,
            (true, 1) if expires == Some(0) => Contacts::All,
            (true, _) => return Err(bad("Bad Contact")),
            (false, _) => Contacts::Some(
                all.into_iter()
                    .filter_map(|contact| match contact {
                        Contact::Addr(addr) => Some(addr),
                        Contact::Star => None,
                    })
                    .collect(),
            ),
        };
        Ok(Wish { contacts, call_id: call_id.clone(), cseq, common: Common { call_id, cseq, expires, path, gruu, agent } })
    }
}

/// The binding that one Contact asks for, and whether it asks for its end.
fn plan(
    now: Time,
    registrant: &Registrant<'_>,
    common: &Common,
    contact: NameAddr,
    location: &Location,
    config: &NodeConfig,
) -> Result<(Binding, bool), Refusal> {
    let policy = &config.policy;
    let asked = contact.params.value("expires").and_then(|value| value.parse().ok()).or(common.expires).unwrap_or(policy.default_expires);
    if asked != 0 && asked < policy.min_expires {
        return Err(Refusal::new(Status::INTERVAL_TOO_BRIEF).with(HeaderName::MinExpires, policy.min_expires.to_string()));
    }
    let Uri::Sip(uri) = &contact.uri else {
        return Err(Refusal::because(Status::BAD_REQUEST, "Contact Must Be a SIP URI"));
    };
    let instance = contact.params.value("+sip.instance").map(|value| Text::from(value.trim_matches(['<', '>'])));
    if let Some(instance) = &instance {
        let device = InstanceId::parse(instance).ok_or_else(|| Refusal::because(Status::BAD_REQUEST, "Bad Instance"))?;
        // Whoever may not come may go.
        if asked != 0 {
            match registrant.directory.admission(registrant.account.user, &device) {
                Admission::Welcome => {}
                Admission::Barred => return Err(Refusal::because(Status::FORBIDDEN, "Device Signed Out")),
                Admission::Full => return Err(Refusal::because(Status::FORBIDDEN, "Too Many Devices")),
            }
        }
    }
    // reg-id means nothing without an instance [RFC5626 §6].
    let reg_id = instance.as_ref().and_then(|_| contact.params.value("reg-id")).and_then(|value| value.parse().ok());
    // Whoever asks for symmetric responses gets requests the same way, and so does everyone behind a translator; the Contact's own
    // address is used only where it differs and the client did not ask for rport.
    let hop = match registrant.hop {
        Hop::Udp(source) => Hop::Udp(match uri.host.as_str().parse() {
            Ok(ip) if ip == source.ip() => std::net::SocketAddr::new(ip, uri.port.unwrap_or(source.port())),
            _ => *source,
        }),
        hop => hop.clone(),
    };
    let cpm = contact.params.has("+g.3gpp.icsi-ref") || contact.params.has("+g.oma.sip-im") || contact.params.has("+g.tandem.device-name");
    let lifetime = std::time::Duration::from_secs(u64::from(asked.min(policy.max_expires)));
    let binding = Binding {
        id: BindingId(0),
        user: registrant.account.user,
        aor: registrant.aor.text().clone(),
        uri: contact.uri,
        params: contact.params,
        display: contact.display,
        agent: common.agent.clone(),
        hop,
        instance,
        reg_id,
        path: common.path.clone(),
        call_id: common.call_id.clone(),
        cseq: common.cseq,
        since: now,
        expires_at: now + lifetime,
        kept_until: now + lifetime + lifetime / SLACK,
        gruu: common.gruu,
        cpm,
        plain: false,
    };
    if let Some(old) = location.replaced_by(&binding)
        && old.call_id == binding.call_id
        && old.cseq >= binding.cseq
    {
        return Err(Refusal::because(Status::SERVER_INTERNAL_ERROR, "Out of Order"));
    }
    Ok((binding, asked == 0))
}

/// The 200 that lists all bindings of the user (R010) and all the addresses that are registered with this one (R012).
fn accept(
    now: Time,
    request: &Request,
    registrant: &Registrant<'_>,
    bindings: &[Binding],
    gruus: &Gruus,
    entropy: &mut Entropy,
    config: &NodeConfig,
) -> Response {
    let mut response = Response::to(request, Status::OK);
    let headers = &mut response.headers;
    for binding in bindings {
        headers.push(HeaderName::Contact, contact_value(now, binding, gruus, entropy, registrant.account));
    }
    for path in request.headers.all(&HeaderName::Path) {
        headers.push(HeaderName::Path, path.clone());
    }
    headers.push(HeaderName::ServiceRoute, Text::from(format!("<sip:{};lr>", config.domain())));
    let associated: Vec<String> = registrant.account.addresses.iter().map(|address| format!("<{address}>")).collect();
    headers.push(HeaderName::PAssociatedUri, Text::from(associated.join(", ")));
    headers.push(HeaderName::Supported, Text::from("path, outbound, gruu"));
    // Only a flow can be kept alive by the client's pings, and only a client with reg-id asked for one [RFC5626 §6].
    let outbound = bindings.iter().any(|binding| binding.hop == *registrant.hop && binding.reg_id.is_some());
    if outbound && has_token(request, &HeaderName::Supported, "outbound") {
        headers.push(HeaderName::Require, Text::from("outbound"));
        headers.push(HeaderName::FlowTimer, Text::from("120"));
    }
    response
}

fn contact_value(now: Time, binding: &Binding, gruus: &Gruus, entropy: &mut Entropy, account: &Account) -> Text {
    let mut params = binding.params.clone();
    params.set("expires", &binding.seconds_left(now).to_string());
    let mut value = NameAddr { display: binding.display.clone(), uri: binding.uri.clone(), params }.to_string();
    if let Some(instance) = binding.instance.as_ref().filter(|_| binding.gruu && binding.aor.starts_with("sip:")) {
        value.push_str(&format!(
            ";pub-gruu=\"{}\";temp-gruu=\"{}\"",
            gruus.public(&binding.aor, instance),
            gruus.temporary(account.user, instance, entropy.bytes(), account.domain())
        ));
    }
    Text::from(value)
}

/// Whether a header that lists tokens holds this one; most put commas between them, Privacy semicolons.
pub(crate) fn has_token(request: &Request, name: &HeaderName, token: &str) -> bool {
    request.headers.all(name).any(|line| line.split([',', ';']).any(|item| item.trim().eq_ignore_ascii_case(token)))
}

/// Under which key a binding is kept over a restart, if it is.
fn key(binding: &Binding) -> Option<BindingKey> {
    binding.hop.udp()?;
    Some(BindingKey(match (&binding.instance, binding.reg_id) {
        (Some(instance), Some(reg_id)) => Text::from(format!("{instance}#{reg_id}")),
        (Some(instance), None) => instance.clone(),
        (None, _) => Text::from(binding.uri.to_string()),
    }))
}

/// The write that keeps a change over a restart. Bindings of connections end with the connection, and are not written.
pub(crate) fn durable(change: &Change) -> Option<Write> {
    let binding = &change.binding;
    let key = key(binding)?;
    match change.cause {
        Cause::Registered | Cause::Refreshed => {
            let mut params = binding.params.clone();
            if binding.gruu {
                params.set("x-gruu", "1");
            }
            Some(Write::Bind(StoredBinding {
                user: binding.user,
                key,
                address: Address::parse(&binding.aor)?,
                contact: Text::from(NameAddr { display: binding.display.clone(), uri: binding.uri.clone(), params }.to_string()),
                path: binding.path.clone(),
                call_id: binding.call_id.clone(),
                cseq: binding.cseq,
                hop: Text::from(binding.hop.udp()?.to_string()),
                user_agent: binding.agent.clone(),
                registered_at: binding.since,
                expires_at: binding.kept_until,
            }))
        }
        Cause::Expired | Cause::Unregistered | Cause::Deactivated => Some(Write::Unbind { user: binding.user, key }),
    }
}

/// The binding that [`durable`] wrote.
pub(crate) fn restore(stored: StoredBinding) -> Option<Binding> {
    let Ok(Contact::Addr(contact)) = <Contact as wasm_core::wire::sip::TypedHeader>::parse(&stored.contact) else { return None };
    let mut params = contact.params;
    let gruu = params.has("x-gruu");
    params.remove("x-gruu");
    let instance = params.value("+sip.instance").map(|value| Text::from(value.trim_matches(['<', '>'])));
    let reg_id = instance.as_ref().and_then(|_| params.value("reg-id")).and_then(|value| value.parse().ok());
    let cpm = params.has("+g.3gpp.icsi-ref") || params.has("+g.oma.sip-im") || params.has("+g.tandem.device-name");
    Some(Binding {
        id: BindingId(0),
        user: stored.user,
        aor: stored.address.text().clone(),
        uri: contact.uri,
        params,
        display: contact.display,
        agent: stored.user_agent,
        hop: Hop::Udp(stored.hop.parse().ok()?),
        instance,
        reg_id,
        path: stored.path,
        call_id: stored.call_id,
        cseq: stored.cseq,
        since: stored.registered_at,
        expires_at: stored.expires_at,
        kept_until: stored.expires_at,
        gruu,
        cpm,
        plain: false,
    })
}
