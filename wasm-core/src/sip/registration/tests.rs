//! A device and a registrar that is played line by line.

use super::*;
use crate::sip::digest::{Ha1, Secret, Verdict, Verifier};
use crate::sip::pair::{self, End, Net, Pair};
use crate::sip::transaction::{ClientId, Event};
use crate::wire::sip::{Authorization, PAssociatedUri, Via, WwwAuthenticate};

const NOW: Time = Time(1_000_000);

fn uri(text: &str) -> Uri {
    Uri::parse(&text.into()).unwrap()
}

fn device() -> Registration {
    let mut features = Params::new();
    features.set_quoted("+g.3gpp.icsi-ref", "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session");
    features.set_quoted("+g.tandem.device-name", "Alice's laptop");
    let profile = Profile {
        registrar: uri("sip:tandem.test"),
        address: uri("sip:alice@tandem.test"),
        display_name: Some("Alice".into()),
        contact: uri("sip:alice@x7.invalid;transport=ws"),
        instance: "urn:uuid:00000000-0000-1000-8000-000a95a0e128".into(),
        reg_id: 1,
        features,
        allow: vec![Method::Message, Method::Options],
        user_agent: Some("Tandem".into()),
        expires: 600,
        backoff: Backoff::OUTBOUND,
    };
    let mut entropy = Entropy::new([5; 32]);
    let authenticator = Authenticator::new("alice", Secret::Password("secret".into()), entropy.fork());
    Registration::new(profile, authenticator, entropy)
}

fn sent(device: &mut Registration) -> Request {
    match device.poll() {
        Some(Output::Send(request)) => pair::read(std::str::from_utf8(&with_via(request).to_bytes()).unwrap()),
        other => panic!("no request: {other:?}"),
    }
}

fn with_via(mut request: Request) -> Request {
    request.headers.put_front(&Via::new("WS", "x7.invalid", None));
    request
}

fn contact(request: &Request) -> Contact {
    request.headers.read::<Contact>().unwrap()
}

/// The registrar's 200: this device's binding as it asked for it, and one of another device.
fn granted(request: &Request, expires: u32) -> Response {
    let Contact::Addr(mut own) = contact(request) else { panic!() };
    own.params.set("expires", &expires.to_string());
    own.params.set_quoted("pub-gruu", "sip:alice@tandem.test;gr=urn:uuid:1");
    own.params.set_quoted("temp-gruu", "sip:tgruu.7@tandem.test;gr");
    let other = NameAddr::new(uri("sip:alice@y8.invalid"))
        .with_param("+sip.instance", "<urn:uuid:2>")
        .with_param("reg-id", "1")
        .with_param("expires", "9");
    let mut response = pair::answer(request, Status::OK);
    response.headers.put(&Contact::Addr(other));
    response.headers.put(&Contact::Addr(own));
    response.headers.put(&ServiceRoute::new(uri("sip:tandem.test;lr")));
    response.headers.put(&PAssociatedUri::new(uri("sip:alice@tandem.test")));
    response.headers.put(&PAssociatedUri::new(uri("tel:+15550100")));
    response.headers.put(&Require::of(&["outbound"]));
    response.headers.put(&FlowTimer(120));
    response
}

fn registered(device: &mut Registration, now: Time) -> Request {
    device.handle(now, Input::Start);
    let request = sent(device);
    device.handle(now, Input::Response(&granted(&request, 600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));
    request
}

fn lost(device: &mut Registration) -> (Failure, Time) {
    match device.poll() {
        Some(Output::Lost { why, retry_at }) => (why, retry_at),
        other => panic!("not lost: {other:?}"),
    }
}

fn number(request: &Request) -> u32 {
    request.headers.read::<CSeq>().unwrap().number
}

/// R001, R004, R005, R007: a REGISTER names the user's address, the device, its name and what it can do.
#[test]
fn a_register_says_who_and_what() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    assert_eq!((&request.method, request.uri.to_string().as_str()), (&Method::Register, "sip:tandem.test"));
    let (from, to) = (request.headers.read::<From>().unwrap(), request.headers.read::<To>().unwrap());
    assert_eq!((to.uri.to_string().as_str(), &from.uri), ("sip:alice@tandem.test", &to.uri));
    assert!(from.tag().is_some() && to.tag().is_none());
    let contact = contact(&request);
    assert_eq!(contact.instance(), Some("urn:uuid:00000000-0000-1000-8000-000a95a0e128"));
    assert_eq!(contact.expires(), Some(600));
    let params = &contact.addr().unwrap().params;
    assert_eq!(params.value("reg-id"), Some("1"));
    assert_eq!(params.text("+g.tandem.device-name").as_deref(), Some("Alice's laptop"));
    assert_eq!(params.value("+g.3gpp.icsi-ref"), Some("urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"));
    let supported = request.headers.read::<Supported>().unwrap();
    assert!(["path", "outbound", "gruu"].iter().all(|option| supported.has(option)));
}

/// R001: what the registrar grants is learnt: routes, addresses, GRUUs, and every device.
#[test]
fn what_is_granted_is_learnt() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    device.handle(NOW, Input::Response(&pair::answer(&request, Status::TRYING)));
    device.handle(NOW, Input::Response(&granted(&request, 300)));
    let Some(Output::Registered(granted)) = device.poll() else { panic!() };
    assert_eq!((granted.expires, granted.bindings.len(), granted.outbound, granted.flow_timer), (300, 2, true, Some(120)));
    assert_eq!(granted.public_gruu.as_deref(), Some("sip:alice@tandem.test;gr=urn:uuid:1"));
    assert_eq!(granted.temporary_gruu.as_deref(), Some("sip:tgruu.7@tandem.test;gr"));
    assert_eq!((granted.service_route.len(), granted.associated.len()), (1, 2));
    assert_eq!(device.granted(), Some(&granted));
}

/// R002: the binding is refreshed in time, in the same series of requests.
#[test]
fn a_binding_is_refreshed_in_time() {
    let mut device = device();
    let first = registered(&mut device, NOW);
    let refresh = device.next_timeout().unwrap();
    assert!((480..=540).contains(&refresh.since(NOW).as_secs()), "{refresh:?}");
    device.handle(refresh - Duration::from_millis(1), Input::Timeout);
    assert!(device.poll().is_none());
    device.handle(refresh, Input::Timeout);
    let second = sent(&mut device);
    assert_eq!(second.headers.read::<CallId>(), first.headers.read::<CallId>());
    assert_eq!((number(&first), number(&second)), (1, 2));
    device.handle(refresh, Input::Response(&granted(&first, 600)));
    assert!(device.poll().is_none(), "an answer to an older request");
    device.handle(refresh, Input::Response(&granted(&second, 600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));
}

/// R003: de-registering takes this device's binding away, at once or after the request that is on its way.
#[test]
fn a_device_takes_its_own_binding_away() {
    let mut device = device();
    registered(&mut device, NOW);
    device.handle(NOW, Input::Stop);
    let request = sent(&mut device);
    assert_eq!((contact(&request).expires(), request.headers.read::<Expires>()), (Some(0), Some(Expires(0))));
    assert!(contact(&request).instance().is_some());
    device.handle(NOW, Input::Response(&pair::answer(&request, Status::OK)));
    assert!(matches!(device.poll(), Some(Output::Left)));
    assert_eq!((device.granted(), device.next_timeout()), (None, None));

    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    device.handle(NOW, Input::Stop);
    assert!(device.poll().is_none());
    device.handle(NOW, Input::Response(&granted(&request, 600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));
    assert_eq!(contact(&sent(&mut device)).expires(), Some(0));
    device.handle(NOW, Input::Silence);
    assert!(matches!(device.poll(), Some(Output::Left)), "without an answer too");
    device.handle(NOW, Input::Stop);
    assert!(matches!(device.poll(), Some(Output::Left)));
}

/// R006: changed capabilities are registered at once, or right after the request that is on its way.
#[test]
fn changed_features_are_registered() {
    let mut device = device();
    registered(&mut device, NOW);
    device.profile_mut().features.set_quoted("+g.tandem.device-name", "Kitchen");
    device.handle(NOW, Input::Refresh);
    let request = sent(&mut device);
    assert_eq!(contact(&request).addr().unwrap().params.text("+g.tandem.device-name").as_deref(), Some("Kitchen"));
    device.profile_mut().features.set_flag("video");
    device.handle(NOW, Input::Refresh);
    assert!(device.poll().is_none());
    device.handle(NOW, Input::Response(&granted(&request, 600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));
    assert!(contact(&sent(&mut device)).addr().unwrap().params.has("video"));
}

/// R001: the interval that the registrar insists on is taken (423).
#[test]
fn too_brief_an_interval_is_made_longer() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    let mut brief = pair::answer(&request, Status::INTERVAL_TOO_BRIEF);
    brief.headers.put(&MinExpires(1800));
    device.handle(NOW, Input::Response(&brief));
    let request = sent(&mut device);
    assert_eq!(contact(&request).expires(), Some(1800));
    let mut brief = pair::answer(&request, Status::INTERVAL_TOO_BRIEF);
    brief.headers.put(&MinExpires(1800));
    device.handle(NOW, Input::Response(&brief));
    assert_eq!(lost(&mut device).0, Failure::Status(Status::INTERVAL_TOO_BRIEF), "it has been given that already");
}

/// R008: a challenge is answered, and again when the nonce has gone stale; the credentials go with every later REGISTER.
#[test]
fn challenges_are_answered() {
    let ha1 = Ha1::new("alice", "tandem.test", "secret");
    let mut verifier = Verifier::new("tandem.test", [3; 32]);
    let mut device = device();
    let challenge = |verifier: &mut Verifier, now, request: &Request, stale| {
        let mut response = pair::answer(request, Status::UNAUTHORIZED);
        for challenge in verifier.challenges(now, stale) {
            response.headers.put(&WwwAuthenticate(challenge));
        }
        response
    };
    let verdict = |verifier: &mut Verifier, now, request: &Request| {
        let credentials = request.headers.read::<Authorization>().expect("credentials").0;
        verifier.verify(now, &credentials, request, Some(&ha1))
    };
    verifier.challenges(NOW, false);
    let now = NOW + Duration::from_secs(1);
    device.handle(now, Input::Start);
    let request = sent(&mut device);
    assert!(!request.headers.has(&crate::wire::sip::HeaderName::Authorization));
    device.handle(now, Input::Response(&challenge(&mut verifier, now, &request, false)));
    let request = sent(&mut device);
    assert_eq!(verdict(&mut verifier, now, &request), Verdict::Valid);
    device.handle(now, Input::Response(&granted(&request, 3600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));

    let later = device.next_timeout().unwrap();
    device.handle(later, Input::Timeout);
    let request = sent(&mut device);
    assert_eq!(verdict(&mut verifier, later, &request), Verdict::Stale, "the nonce is an hour old");
    device.handle(later, Input::Response(&challenge(&mut verifier, later, &request, true)));
    let request = sent(&mut device);
    assert_eq!(verdict(&mut verifier, later, &request), Verdict::Valid);
    device.handle(later, Input::Response(&granted(&request, 3600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));

    device.handle(later, Input::Refresh);
    let request = sent(&mut device);
    assert_eq!(verdict(&mut verifier, later, &request), Verdict::Valid, "no challenge needed");
    // A wrong password is not tried twice.
    device.authenticator = Authenticator::new("alice", Secret::Password("wrong".into()), Entropy::new([6; 32]));
    device.handle(later, Input::FlowLost);
    device.handle(later, Input::Start);
    let request = sent(&mut device);
    device.handle(later, Input::Response(&challenge(&mut verifier, later, &request, false)));
    let request = sent(&mut device);
    assert_eq!(verdict(&mut verifier, later, &request), Verdict::Invalid);
    device.handle(later, Input::Response(&challenge(&mut verifier, later, &request, false)));
    assert!(matches!(device.poll(), Some(Output::Refused(Failure::Credentials))));
    assert_eq!(device.next_timeout(), None);
}

/// R001: a registrar that is busy is left alone for as long as it says (503 with Retry-After), or for longer each time [RFC5626 §4.5].
#[test]
fn trouble_is_waited_out() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    let mut busy = pair::answer(&request, Status::SERVICE_UNAVAILABLE);
    busy.headers.put(&RetryAfter::new(17));
    device.handle(NOW, Input::Response(&busy));
    assert_eq!(lost(&mut device), (Failure::Status(Status::SERVICE_UNAVAILABLE), NOW + Duration::from_secs(17)));
    let mut now = NOW + Duration::from_secs(17);
    for bound in [120, 240, 480, 960, 1800, 1800] {
        assert_eq!(device.next_timeout(), Some(now));
        device.handle(now, Input::Timeout);
        sent(&mut device);
        device.handle(now, Input::Silence);
        let (why, retry_at) = lost(&mut device);
        let wait = retry_at.since(now).as_secs();
        assert!(why == Failure::Silence && (bound / 2..=bound).contains(&wait), "{bound}: {wait}");
        now = retry_at;
    }
    device.handle(now, Input::Timeout);
    let request = sent(&mut device);
    device.handle(now, Input::Response(&granted(&request, 600)));
    assert!(matches!(device.poll(), Some(Output::Registered(_))));
    device.handle(now, Input::Refresh);
    sent(&mut device);
    device.handle(now, Input::Silence);
    assert!(lost(&mut device).1.since(now).as_secs() <= 60, "a success has made good the failures");
}

/// R001: a refusal that will not pass is not tried again.
#[test]
fn a_refusal_is_final() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    device.handle(NOW, Input::Response(&pair::answer(&request, Status::FORBIDDEN)));
    assert!(matches!(device.poll(), Some(Output::Refused(Failure::Status(Status::FORBIDDEN)))));
    assert_eq!(device.next_timeout(), None);
    device.handle(NOW, Input::Start);
    sent(&mut device);
}

/// R001: where the first hop knows nothing of RFC 5626, the device registers without it.
#[test]
fn a_first_hop_without_outbound_is_put_up_with() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    let request = sent(&mut device);
    device.handle(NOW, Input::Response(&pair::answer(&request, Status::FIRST_HOP_LACKS_OUTBOUND)));
    let request = sent(&mut device);
    assert!(!contact(&request).addr().unwrap().params.has("reg-id"));
    assert!(!request.headers.read::<Supported>().unwrap().has("outbound"));
}

/// R001: on a new flow the device registers anew, whatever became of the request before.
#[test]
fn a_lost_flow_ends_what_was_on_its_way() {
    let mut device = device();
    device.handle(NOW, Input::Start);
    sent(&mut device);
    device.handle(NOW, Input::FlowLost);
    device.handle(NOW, Input::Silence);
    assert!(device.poll().is_none() && device.next_timeout().is_none());
    let request = registered(&mut device, NOW);
    assert_eq!(number(&request), 2);
    device.handle(NOW, Input::FlowLost);
    assert_eq!((device.granted(), device.next_timeout()), (None, None));
    device.handle(NOW, Input::Stop);
    assert!(matches!(device.poll(), Some(Output::Left)));
}

/// What became of the outputs of a device whose requests travel through a pair.
fn forward(device: &mut Registration, pair: &mut Pair, pending: &mut Option<ClientId>) -> Vec<Output> {
    let mut told = Vec::new();
    while let Some(output) = device.poll() {
        match output {
            Output::Send(request) => {
                let (now, reliable) = (pair.now, pair.net.reliable);
                *pending = Some(pair.a.request(now, (), reliable, with_via(request)));
            }
            other @ (Output::Registered(_) | Output::Lost { .. } | Output::Refused(_) | Output::Left) => told.push(other),
        }
    }
    told
}

/// R001, R002, R003, R008: over a network that loses a third of everything, a device registers, refreshes and leaves, with every answer to
/// a challenge used once.
#[test]
fn a_registration_weathers_a_storm() {
    let ha1 = Ha1::new("alice", "tandem.test", "secret");
    for seed in 0..40 {
        let mut pair = Pair::new(Net::STORM, seed);
        pair.now = NOW;
        let mut verifier = Verifier::new("tandem.test", [3; 32]);
        verifier.challenges(Time(1), false);
        let mut device = device();
        let mut pending = None;
        let (mut registered, mut left, mut valid) = (0, false, 0);
        device.handle(NOW, Input::Start);
        let end = NOW + Duration::from_secs(4 * 3600);
        while pair.now < end && !left {
            for told in forward(&mut device, &mut pair, &mut pending) {
                match told {
                    Output::Registered(_) => {
                        registered += 1;
                        if registered == 3 {
                            device.handle(pair.now, Input::Stop);
                            forward(&mut device, &mut pair, &mut pending);
                        }
                    }
                    Output::Left => left = true,
                    Output::Lost { why, .. } => assert_eq!(why, Failure::Silence, "seed {seed}"),
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            let wait = device.next_timeout().unwrap_or(end).min(end).since(pair.now);
            match pair.next(wait) {
                Some((_, End::B, Event::Request { id, request, .. })) => {
                    let now = pair.now;
                    let credentials = request.headers.read::<Authorization>();
                    let verdict = credentials.map(|given| verifier.verify(now, &given.0, &request, Some(&ha1)));
                    let response = match verdict {
                        Some(Verdict::Valid) => {
                            valid += 1;
                            granted(&request, contact(&request).expires().unwrap())
                        }
                        Some(Verdict::Invalid) => panic!("seed {seed}: a wrong answer"),
                        Some(Verdict::Stale) | None => {
                            let challenges = verifier.challenges(now, verdict == Some(Verdict::Stale));
                            let answer = pair::answer(&request, Status::UNAUTHORIZED);
                            challenges.into_iter().fold(answer, |answer, challenge| answer.with(&WwwAuthenticate(challenge)))
                        }
                    };
                    pair.b.respond(now, id, response);
                }
                Some((_, End::A, Event::Response { id, response })) if Some(id) == pending => {
                    device.handle(pair.now, Input::Response(&response));
                }
                Some((_, End::A, Event::Timeout { id })) if Some(id) == pending => device.handle(pair.now, Input::Silence),
                Some(_) => {}
                None => device.handle(pair.now, Input::Timeout),
            }
        }
        assert!(registered >= 3 && left && valid >= 3, "seed {seed}: {registered} {left} {valid}");
    }
}
