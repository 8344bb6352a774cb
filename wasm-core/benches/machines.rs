//! What a MESSAGE costs in the transaction layer, and what a digest costs.
//!
//! A transaction is both sides of it: the request is sent by one layer, parsed, received by another, answered, parsed and received.
//! Virtual time advances by 100 us per transaction, so that the tables hold what they hold at 10,000 per second: over UDP 320,000
//! server transactions that wait for Timer J.

use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wasm_core::sip::digest::{Authenticator, Ha1, Secret, Verdict, Verifier};
use wasm_core::sip::transaction::{Event, Layer, Out, Timers};
use wasm_core::wire::sip::{Authorization, Limits, Message, Request, Response, Status, To, WwwAuthenticate};
use wasm_core::{Entropy, Time};

fn message() -> Request {
    let text = "MESSAGE sip:bob@tandem.test SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;rport\r\n\
        Max-Forwards: 70\r\n\
        From: \"Alice\" <sip:alice@tandem.test>;tag=9fxced76sl\r\n\
        To: <sip:bob@tandem.test>\r\n\
        Call-ID: 3848276298220188511@192.0.2.1\r\n\
        CSeq: 1 MESSAGE\r\n\
        P-Asserted-Identity: <sip:alice@tandem.test>\r\n\
        P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg\r\n\
        Conversation-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6\r\n\
        Contribution-ID: abcdef00-7dec-11d0-a765-00a0c91e6bf6\r\n\
        Content-Type: message/cpim\r\n\
        Content-Length: 0\r\n\r\n";
    let parsed = Message::parse(text.as_bytes(), &Limits::default()).expect("a sound message");
    let mut request = parsed.request().expect("a request");
    request.body = Bytes::from(vec![b'x'; 600]);
    request
}

struct Pair {
    now: Time,
    step: Duration,
    since: u32,
    reliable: bool,
    limits: Limits,
    client: Layer<u32>,
    server: Layer<u32>,
    message: Request,
}

impl Pair {
    fn new(reliable: bool) -> Pair {
        let layer = |seed| Layer::new(Entropy::new([seed; 32]), Timers::default());
        let step = Duration::from_millis(1);
        Pair { now: Time(0), step, since: 0, reliable, limits: Limits::default(), client: layer(1), server: layer(2), message: message() }
    }

    fn sent(layer: &mut Layer<u32>) -> Bytes {
        match layer.poll() {
            Some(Out::Send { message, .. }) => message,
            other => panic!("nothing sent: {other:?}"),
        }
    }

    fn transact(&mut self) {
        self.since += 1;
        if self.since == 10 {
            self.since = 0;
            self.now += self.step;
            for layer in [&mut self.client, &mut self.server] {
                if layer.next_timeout().is_some_and(|due| due <= self.now) {
                    layer.timeout(self.now);
                }
            }
        }
        let (now, reliable) = (self.now, self.reliable);
        self.client.request(now, 1, reliable, self.message.clone());
        let wire = Self::sent(&mut self.client);
        let request = Message::parse(&wire, &self.limits).expect("a sound request");
        self.server.receive(now, 2, reliable, request);
        let Some(Out::Event(Event::Request { id, request, .. })) = self.server.poll() else { panic!("no request") };
        let mut response = Response::to(&request, Status::OK);
        let mut to = response.headers.read::<To>().expect("a To");
        to.set_tag("314159");
        response.headers.put(&to);
        self.server.respond(now, id, response);
        let wire = Self::sent(&mut self.server);
        let response = Message::parse(&wire, &self.limits).expect("a sound response");
        self.client.receive(now, 1, reliable, response);
        let Some(Out::Event(Event::Response { .. })) = self.client.poll() else { panic!("no response") };
    }
}

fn transactions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("MESSAGE transaction, both sides");
    group.throughput(Throughput::Elements(1));
    for (name, reliable, steady) in [("reliable", true, 1_000), ("unreliable, 320,000 in the table", false, 340_000)] {
        let mut pair = Pair::new(reliable);
        for _ in 0..steady {
            pair.transact();
        }
        group.bench_function(name, |bencher| bencher.iter(|| pair.transact()));
    }
    group.finish();
}

/// The parts around the layer, to be taken off the figures above.
fn codec(criterion: &mut Criterion) {
    let message = message();
    let wire = message.to_bytes();
    let limits = Limits::default();
    criterion.bench_function("parse and print a MESSAGE", |bencher| {
        bencher.iter(|| Message::parse(&wire, &limits).expect("a sound message").to_bytes());
    });
}

fn digest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    let secret = Ha1::new("alice", "tandem.test", "secret");
    let now = Time(1);
    for (index, name) in ["SHA-256", "MD5"].into_iter().enumerate() {
        let mut verifier = Verifier::new("tandem.test", [1; 32]);
        let challenge = verifier.challenges(now, false)[index].clone();
        let mut authenticator = Authenticator::new("alice", Secret::Password("secret".into()), Entropy::new([1; 32]));
        let mut request = message();
        let response = Response::new(Status::UNAUTHORIZED).with(&WwwAuthenticate(challenge));
        authenticator.challenged(&request, &response).expect("a challenge that can be answered");
        authenticator.authorize(&mut request);
        let credentials = request.headers.read::<Authorization>().expect("credentials").0;
        assert_eq!(verifier.verify(now, &credentials, &request, Some(&secret)), Verdict::Valid);
        // From the second time on the count has been used, which costs the same.
        group.bench_function(format!("verify, {name}"), |bencher| {
            bencher.iter(|| verifier.verify(now, &credentials, &request, Some(&secret)));
        });
    }
    let mut verifier = Verifier::new("tandem.test", [1; 32]);
    group.bench_function("challenge", |bencher| bencher.iter(|| verifier.challenges(now, false)));
    group.finish();
}

criterion_group!(benches, transactions, codec, digest);
criterion_main!(benches);
