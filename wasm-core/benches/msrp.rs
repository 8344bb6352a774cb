//! What an MSRP message costs, and what MSRP adds to a plain WebSocket that carries the same bytes.
//!
//! Both sides of a session count: sending, reading, giving to the consumer, answering. The bulk figures mask and unmask each frame as a
//! browser and a gateway do; "by a plain WebSocket" does that alone with the same bytes in frames of the same size.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wasm_core::msrp::setup::Reach;
use wasm_core::msrp::{Input, Offer, Options, Outgoing, Output, Session};
use wasm_core::wire::msrp::{Decoder, Frame, Limits, Transport};
use wasm_core::wire::sdp::{Kind, Media, Sdp};
use wasm_core::{Entropy, Time};

const NOW: Time = Time(0);
const BULK: usize = 4 * 1024 * 1024;

fn pair(options: Options) -> [Session; 2] {
    let mut entropy = Entropy::new([1; 32]);
    let mut end = |host, reach| Offer::new(true, host, 2855, Transport::WebSocket, reach, &mut entropy);
    let (a, b) = (end("a.invalid", Reach::Outwards), end("192.0.2.2", Reach::Inwards));
    let sdp = |media: Media| {
        let mut sdp = Sdp::new(1, 1, [192, 0, 2, 1].into());
        sdp.session.medias.push(media);
        sdp
    };
    let offered = sdp(a.media(&options));
    let (answer, passive) = b.answer(offered.find(Kind::Message).expect("a medium"), &options).expect("an answer");
    let answered = sdp(answer);
    let active = a.accept(answered.find(Kind::Message).expect("a medium")).expect("an agreement");
    let options = Arc::new(options);
    let mut sessions = [active, passive].map(|setup| Session::new(NOW, &setup, Arc::clone(&options), entropy.fork()));
    sessions.iter_mut().for_each(|session| session.handle(NOW, Input::Connected));
    run(&mut sessions, &mut |frame| frame);
    sessions
}

/// Carries frames until both ends are quiet; the consumer takes all that it is given.
fn run(sessions: &mut [Session; 2], carry: &mut impl FnMut(Bytes) -> Bytes) {
    loop {
        let mut quiet = true;
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(frame) = sessions[from].transmit(NOW) {
                quiet = false;
                sessions[to].handle(NOW, Input::Received(carry(frame)));
                while let Some(output) = sessions[to].poll() {
                    if let Output::Message { body: bytes, .. } | Output::Piece { bytes, .. } = &output {
                        sessions[to].handle(NOW, Input::Drained(black_box(bytes).len()));
                    }
                }
            }
            while let Some(output) = sessions[from].poll() {
                assert!(!matches!(output, Output::Failed(..) | Output::Closed(_)), "{output:?}");
            }
        }
        if quiet {
            return;
        }
    }
}

/// One way of a WebSocket: masked into a buffer of its own as a browser does, unmasked in place as a server does.
fn websocket(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 14);
    frame.extend_from_slice(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    frame.extend_from_slice(payload);
    let mut payload = black_box(frame).split_off(14);
    for _ in ["masked", "unmasked"] {
        let (words, rest) = payload.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ 0x0102_0304_0102_0304).to_ne_bytes();
        }
        rest.iter_mut().for_each(|byte| *byte ^= 7);
        black_box(&mut payload);
    }
    payload.freeze()
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("msrp message, both sides");
    group.throughput(Throughput::Elements(1));
    for size in [600, 20_000] {
        let mut sessions = pair(Options::default());
        let body = Bytes::from(vec![b'x'; size]);
        group.bench_function(format!("{size} bytes"), |bencher| {
            bencher.iter(|| {
                let id = sessions[0].id();
                sessions[0].handle(NOW, Input::Send(Outgoing::new(id, "message/cpim", body.clone())));
                run(&mut sessions, &mut |frame| frame);
            });
        });
    }
    group.finish();
}

fn bulk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("msrp bulk");
    group.throughput(Throughput::Bytes(BULK as u64));
    let body = Bytes::from((0..BULK).map(|index| (index * 31 % 251) as u8).collect::<Vec<u8>>());
    for chunk in [2048, 16 * 1024, 64 * 1024] {
        let name = format!("{} KB chunks", chunk / 1024);
        group.bench_function(name.as_str(), |bencher| {
            let mut sessions = pair(Options { chunk, ..Options::default() });
            bencher.iter(|| {
                let id = sessions[0].id();
                sessions[0].handle(NOW, Input::Send(Outgoing::new(id, "message/cpim", body.clone())));
                run(&mut sessions, &mut |frame| websocket(&frame));
            });
        });
        group.bench_function(format!("{name} by a plain WebSocket"), |bencher| {
            bencher.iter(|| body.chunks(chunk).for_each(|piece| drop(black_box(websocket(piece)))));
        });
    }
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let mut sessions = pair(Options::default());
    let id = sessions[0].id();
    sessions[0].handle(NOW, Input::Send(Outgoing::new(id, "message/cpim", vec![b'x'; 600])));
    let bytes = sessions[0].transmit(NOW).expect("a frame");
    let limits = Limits::default();
    let frame = Frame::parse(&bytes, &limits).expect("a sound frame");
    let mut group = criterion.benchmark_group("msrp frame");
    group.bench_function("parse", |bencher| bencher.iter(|| Frame::parse(black_box(&bytes), &limits)));
    group.bench_function("print", |bencher| bencher.iter(|| black_box(&frame).encode()));
    let piece = Bytes::from(vec![b'y'; 64 * 1024]);
    group.throughput(Throughput::Bytes(piece.len() as u64));
    group.bench_function("body", |bencher| {
        let mut decoder = Decoder::new(limits);
        decoder.push(bytes.slice(..bytes.len() - 30));
        while let Ok(Some(_)) = decoder.next() {}
        bencher.iter(|| {
            decoder.push(piece.clone());
            decoder.next()
        });
    });
    group.finish();
}

criterion_group!(benches, messages, bulk, codec);
criterion_main!(benches);
