//! What MSRP costs over real sockets, both ends and the system's share counted: one thread, so that time is CPU time.
//!
//! Bulk goes from a client to the gateway's task over a WebSocket; "by a plain WebSocket" sends the same bytes in frames of the same size
//! through the same framing, and looks at none of them. Messages go from the gateway to a client, each confirmed.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use wasm_core::msrp::setup::Reach;
use wasm_core::msrp::{Input, Offer, Options, Outgoing, Output, Session, Setup};
use wasm_core::wire::msrp::Transport as Carrier;
use wasm_core::wire::sdp::{Kind, Media, Sdp};
use wasm_core::{Entropy, Text};
use ws_gateway::config::Limits;
use ws_gateway::edge::Arrival;
use ws_gateway::edge::clock::Clock;
use ws_gateway::edge::msrp::{self, Wires};
use ws_gateway::edge::tls::Socket;
use ws_gateway::edge::websocket::frame::{Decoder, Incoming};
use ws_gateway::msrp::{Carriage, Places};
use ws_gateway::node::{MsrpCommand, MsrpEvent, SessionId};
use ws_gateway::store::UserId;

const BULK: usize = 4 * 1024 * 1024;
const CHUNK: usize = 16 * 1024;
const MESSAGES: u64 = 200;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().expect("an address")), listener.accept());
    let (near, far) = (near.expect("a connection"), far.expect("a connection").0);
    near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).expect("options");
    (near, far)
}

/// A masked frame, as a client sends it.
fn masked(payload: &[u8], out: &mut BytesMut) {
    match payload.len() {
        length @ 0..=125 => out.extend_from_slice(&[0x82, 0x80 | length as u8]),
        length @ 126..=0xffff => out.extend_from_slice(&[0x82, 0xfe, (length >> 8) as u8, length as u8]),
        length => {
            out.extend_from_slice(&[0x82, 0xff]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// A gateway's frame without its head, once it is whole.
fn unframed(bytes: &mut BytesMut) -> Option<Bytes> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, usize::from(short)),
    };
    if bytes.len() < head + length {
        return None;
    }
    Some(bytes.split_to(head + length).split_off(head).freeze())
}

/// A session over a WebSocket, with its client, and the bench in the place of the node.
struct Stage {
    wires: Wires,
    arrivals: mpsc::Receiver<Arrival>,
    id: SessionId,
    client: Session,
    socket: TcpStream,
    clock: Clock,
    read: BytesMut,
    _stopping: watch::Sender<bool>,
}

impl Stage {
    async fn new() -> Stage {
        let (sender, arrivals) = mpsc::channel(64);
        let (stopping, stops) = watch::channel(false);
        let (clock, limits) = (Clock::start(), Limits { message_bytes: BULK, ..Limits::default() });
        let wires = Wires::new(&limits, Entropy::new([1; 32]), clock, stops, None, sender);
        let (ours, theirs) = agree();
        let id = SessionId::of(&ours.local);
        let local = ours.local.clone();
        msrp::command(&wires, MsrpCommand::Open { session: id.clone(), user: UserId(1), local, setup: Some(Box::new(ours)), near: None });
        let (socket, far) = pair().await;
        let carriage = Carriage { carrier: Carrier::WebSocket, secure: false };
        tokio::spawn({
            let wires = wires.clone();
            async move { msrp::accepted(wires, Socket::Plain(far), &[], carriage, None).await }
        });
        let mut client = Session::new(clock.now(), &theirs, Arc::new(Options::default()), Entropy::new([3; 32]));
        client.handle(clock.now(), Input::Connected);
        Stage { wires, arrivals, id, client, socket, clock, read: BytesMut::new(), _stopping: stopping }
    }

    /// Lets both ends work until the node has been told so many things of a kind.
    async fn until(&mut self, wanted: fn(&MsrpEvent) -> bool, mut count: u64) {
        let mut out = BytesMut::new();
        let mut buffer = vec![0; 64 * 1024];
        while count > 0 {
            let now = self.clock.now();
            while out.len() < 64 * 1024
                && let Some(frame) = self.client.transmit(now)
            {
                masked(&frame, &mut out);
            }
            while let Some(output) = self.client.poll() {
                if let Output::Message { body, .. } = &output {
                    self.client.handle(now, Input::Drained(black_box(body).len()));
                }
            }
            let (mut reader, mut writer) = self.socket.split();
            tokio::select! {
                biased;
                event = self.arrivals.recv() => if let Some(Arrival::Msrp(event)) = event {
                    assert!(!matches!(event, MsrpEvent::Closed { .. } | MsrpEvent::Sent { result: Err(_), .. }), "{event:?}");
                    count -= u64::from(wanted(&event));
                },
                written = writer.write_buf(&mut out), if !out.is_empty() => drop(written.expect("the gateway reads")),
                read = reader.read(&mut buffer) => {
                    self.read.extend_from_slice(&buffer[..read.expect("the gateway writes")]);
                    while let Some(frame) = unframed(&mut self.read) {
                        self.client.handle(now, Input::Received(frame));
                    }
                }
            }
        }
    }
}

fn agree() -> (Setup, Setup) {
    let (options, mut entropy) = (Options::default(), Entropy::new([2; 32]));
    let sdp = |media: Media| {
        let mut sdp = Sdp::new(1, 1, [127, 0, 0, 1].into());
        sdp.session.medias.push(media);
        sdp
    };
    let client = Offer::new(false, "127.0.0.1", 9, Carrier::WebSocket, Reach::Outwards, &mut entropy);
    let offered = sdp(client.media(&options));
    let section = offered.find(Kind::Message).expect("a medium");
    let end = Places::at("127.0.0.1").answering(section, &mut entropy).expect("a place");
    let (answer, ours) = end.answer(section, &options).expect("an answer");
    (ours, client.accept(sdp(answer).find(Kind::Message).expect("a medium")).expect("an agreement"))
}

fn bulk(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let body = Bytes::from((0..BULK).map(|index| (index * 31 % 251) as u8).collect::<Vec<u8>>());
    let mut group = criterion.benchmark_group("msrp over sockets, bulk");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(BULK as u64));
    let mut stage = runtime.block_on(Stage::new());
    group.bench_function("16 KB chunks", |bencher| {
        bencher.iter(|| {
            let id = stage.client.id();
            stage.client.handle(stage.clock.now(), Input::Send(Outgoing::new(id, "message/cpim", body.clone())));
            runtime.block_on(stage.until(|event| matches!(event, MsrpEvent::Received { .. }), 1));
        });
    });
    let (near, far) = runtime.block_on(pair());
    let (_, mut near) = near.into_split();
    let (taken, mut takes) = mpsc::unbounded_channel();
    runtime.spawn(async move {
        let (mut far, mut decoder, mut buffer) = (far, Decoder::new(1 << 20), vec![0; 64 * 1024]);
        while let Ok(read @ 1..) = far.read(&mut buffer).await {
            decoder.push(&buffer[..read]);
            while let Ok(Some(Incoming::Message(bytes))) = decoder.next() {
                let _ = taken.send(black_box(bytes).len());
            }
        }
    });
    group.bench_function("16 KB chunks by a plain WebSocket", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let mut left = BULK;
                let send = async {
                    let mut out = BytesMut::new();
                    for four in body.chunks(4 * CHUNK) {
                        four.chunks(CHUNK).for_each(|piece| masked(piece, &mut out));
                        near.write_all_buf(&mut out).await.expect("it is read");
                    }
                };
                let take = async {
                    while left > 0 {
                        left -= takes.recv().await.expect("it goes on");
                    }
                };
                tokio::join!(send, take);
            });
        });
    });
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut stage = runtime.block_on(Stage::new());
    let body = Bytes::from(vec![b'x'; 600]);
    let mut group = criterion.benchmark_group("msrp over sockets, messages");
    group.sample_size(20);
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("600 bytes, confirmed", |bencher| {
        bencher.iter(|| {
            for number in 0..MESSAGES {
                let (session, content_type) = (stage.id.clone(), Text::from("message/cpim"));
                msrp::command(&stage.wires, MsrpCommand::Send { session, number, content_type, body: body.clone(), report: false });
            }
            runtime.block_on(stage.until(|event| matches!(event, MsrpEvent::Sent { .. }), MESSAGES));
        });
    });
    group.finish();
}

criterion_group!(benches, bulk, messages);
criterion_main!(benches);
