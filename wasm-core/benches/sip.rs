//! What it costs to read and to print SIP messages, with rsip on the same bytes for the ratio.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wasm_core::wire::sip::{
    CSeq, CallId, Contact, ContentType, Framer, From, Limits, MaxForwards, Message, RecordRoute, Request, Route, Supported, To, Via,
};

/// A pager message of 600 bytes, plain enough for rsip to read it.
fn small() -> Vec<u8> {
    let head = "MESSAGE sip:bob@tandem.test SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK8f1c2d3e4b5a69788f1c;rport\r\n\
        Max-Forwards: 70\r\n\
        From: \"Alice\" <sip:alice@tandem.test>;tag=9f8e7d6c5b4a\r\n\
        To: <sip:bob@tandem.test>\r\n\
        Call-ID: 2f7d1c9e-55aa-4a1c-9a2e-0d6f3b7c8e91\r\n\
        CSeq: 17 MESSAGE\r\n\
        User-Agent: Tandem/0.1\r\n\
        Conversation-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6\r\n\
        Contribution-ID: 0d6f3b7c-55aa-4a1c-9a2e-2f7d1c9e8e91\r\n\
        Content-Type: text/plain\r\n";
    sized(head, 600)
}

/// An INVITE of 2 KB with the headers of a rich client behind three proxies.
fn large() -> Vec<u8> {
    let head = "INVITE sip:bob@192.0.2.99:49152;transport=tcp;ob SIP/2.0\r\n\
        Via: SIP/2.0/TCP edge1.tandem.test:5060;branch=z9hG4bK8f1c2d3e4b5a69788f1c;i=7\r\n\
        Via: SIP/2.0/TCP core.tandem.test:5060;branch=z9hG4bKaa1c2d3e4b5a69788f1c\r\n\
        Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks;rport=51234;received=203.0.113.9\r\n\
        Record-Route: <sip:edge1.tandem.test;transport=tcp;lr;ftag=9f8e7d6c>\r\n\
        Record-Route: <sip:core.tandem.test;transport=tcp;lr>\r\n\
        Route: <sip:edge2.tandem.test;transport=tcp;lr>\r\n\
        Max-Forwards: 67\r\n\
        From: \"Alice Example\" <sip:alice@tandem.test>;tag=9f8e7d6c5b4a\r\n\
        To: <sip:bob@tandem.test>\r\n\
        Call-ID: 2f7d1c9e-55aa-4a1c-9a2e-0d6f3b7c8e91\r\n\
        CSeq: 102 INVITE\r\n\
        Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws;ob>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"\
        ;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session\"\r\n\
        Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session\";require;explicit\r\n\
        P-Asserted-Identity: <sip:alice@tandem.test>, <tel:+15550100>\r\n\
        P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session\r\n\
        Conversation-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6\r\n\
        Contribution-ID: 0d6f3b7c-55aa-4a1c-9a2e-2f7d1c9e8e91\r\n\
        Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, NOTIFY, REFER\r\n\
        Supported: timer, outbound, path, gruu, replaces, 100rel\r\n\
        Session-Expires: 1800;refresher=uac\r\n\
        User-Agent: Tandem/0.1\r\n\
        Content-Type: application/sdp\r\n";
    sized(head, 2048)
}

/// The head with a body that fills it up to a size.
fn sized(head: &str, size: usize) -> Vec<u8> {
    let mut body = size - head.len() - "Content-Length: \r\n\r\n".len();
    body -= body.to_string().len();
    format!("{head}Content-Length: {body}\r\n\r\n{}", "x".repeat(body)).into_bytes()
}

fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes, &Limits::default()).expect("the bench's own message is sound")
}

/// What a proxy reads of every request.
fn typed(request: &Request) -> impl Sized + use<> {
    let headers = &request.headers;
    (
        headers.read::<Via>(),
        headers.read::<From>(),
        headers.read::<To>(),
        headers.read::<CSeq>(),
        headers.read::<CallId>(),
        headers.read::<MaxForwards>(),
        headers.read::<Route>(),
    )
}

/// What an end reads of an INVITE beside that.
fn typed_more(request: &Request) -> impl Sized + use<> {
    let headers = &request.headers;
    (
        headers.list::<Via>(),
        headers.read::<Contact>(),
        headers.list::<RecordRoute>(),
        headers.read::<ContentType>(),
        headers.read::<Supported>(),
    )
}

fn bench(criterion: &mut Criterion) {
    for (name, bytes) in [("message-600", small()), ("invite-2048", large())] {
        let message = parse(&bytes);
        let request = message.clone().request().expect("it is a request");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(&bytes))));
        group.bench_function("parse and read", |bencher| {
            bencher.iter(|| {
                let request = parse(black_box(&bytes)).request().expect("it is a request");
                (typed(&request), typed_more(&request), request)
            })
        });
        group.bench_function("read", |bencher| bencher.iter(|| typed(black_box(&request))));
        group.bench_function("read more", |bencher| bencher.iter(|| typed_more(black_box(&request))));
        group.bench_function("print", |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                black_box(&message).encode(&mut out);
            })
        });
        group.bench_function("frame", |bencher| {
            let mut framer = Framer::new(Limits::default());
            bencher.iter(|| {
                framer.push(black_box(&bytes));
                framer.next()
            })
        });
        group.bench_function("clone", |bencher| bencher.iter(|| black_box(&message).clone()));
        group.bench_function("parse by rsip", |bencher| bencher.iter(|| rsip::SipMessage::try_from(black_box(bytes.as_slice())).is_ok()));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
