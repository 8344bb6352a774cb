//! What the bodies of messages cost: CPIM, notifications, and a whole message from its content to the MESSAGE and back.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::wire::cpim::Cpim;
use wasm_core::wire::imdn::{Delivery, Notification, Report};
use wasm_core::{Entropy, Text, Time};

const CPIM: &[u8] = b"From: \"Alice\" <sip:alice@tandem.test>\r\nTo: <sip:bob@tandem.test>\r\nDateTime: 2024-02-29T12:34:56.789Z\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: f81d4fae-7dec-41d0-a765-00a0c91e6bf6\r\n\
    imdn.Disposition-Notification: positive-delivery, negative-delivery, display\r\n\r\n\
    Content-Type: text/plain;charset=UTF-8\r\n\r\nShall we meet at the station, or shall I come by your place?";

fn bodies(criterion: &mut Criterion) {
    let bytes = Bytes::from_static(CPIM);
    let cpim = Cpim::parse(&bytes).expect("the sample is good");
    criterion.bench_function("cpim/parse", |bench| bench.iter(|| Cpim::parse(black_box(&bytes))));
    criterion.bench_function("cpim/print", |bench| bench.iter(|| black_box(&cpim).encode()));

    let notification = Notification {
        date: Some(Time(1_709_210_096_789)),
        recipient: Some(Text::from("sip:bob@tandem.test")),
        ..Notification::new(Text::from("f81d4fae-7dec-41d0-a765-00a0c91e6bf6"), Report::Delivery(Delivery::Delivered))
    };
    let document = notification.encode();
    criterion.bench_function("imdn/parse", |bench| bench.iter(|| Notification::parse(black_box(&document))));
    criterion.bench_function("imdn/print", |bench| bench.iter(|| black_box(&notification).encode()));

    let address = |text| Address::parse(text).expect("the sample is good");
    let (alice, bob) = (address("sip:alice@tandem.test"), address("sip:bob@tandem.test"));
    let envelope = Envelope::compose(&mut Entropy::new([0; 32]), Time(1_709_210_096_789), alice, bob, Text::from("Shall we meet?"), None);
    let request = envelope.wrap();
    criterion.bench_function("envelope/unwrap", |bench| bench.iter(|| Envelope::unwrap(black_box(&request))));
    criterion.bench_function("envelope/wrap", |bench| bench.iter(|| black_box(&envelope).wrap()));
}

criterion_group!(benches, bodies);
criterion_main!(benches);
