//! What the pure node costs per transaction: no sockets, no disk, one thread.
//!
//! `register` refreshes a binding on a connection whose user is signed in; `message` is a MESSAGE in CPIM from one user's device to
//! another's, with the commit, the delivery, both answers and the end of the queue entry.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::device::Device;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::Preferences;
use wasm_core::wire::sip::{
    CSeq, CallId, Contact, Expires, From, HeaderName, Limits, MaxForwards, Message, Method, Request, Response, SipUri, Status, To, Via,
};
use wasm_core::{Entropy, Text, Time};
use ws_gateway::node::{Admission, Directory, FlowId, Hop, Input, Node, NodeConfig, Outlet, Output, Transport};
use ws_gateway::store::{Account, Applied, Outcome, PendingId, UserId, Write};

#[derive(Debug)]
struct Accounts(HashMap<Address, Arc<Account>>);

impl Directory for Accounts {
    fn account(&self, address: &Address) -> Option<Arc<Account>> {
        self.0.get(address).cloned()
    }

    fn user(&self, user: UserId) -> Option<Arc<Account>> {
        self.0.values().find(|account| account.user == user).cloned()
    }

    fn preferences(&self, _: UserId) -> Arc<Preferences> {
        Preferences::usual()
    }

    fn device(&self, _: UserId, _: &InstanceId) -> Option<Arc<Device>> {
        None
    }

    fn admission(&self, _: UserId, _: &InstanceId) -> Admission {
        Admission::Welcome
    }

    fn outlets(&self, _user: UserId) -> Vec<Outlet> {
        Vec::new()
    }
}

struct Bench {
    node: Node<Accounts>,
    entropy: Entropy,
    now: Time,
    cseq: u32,
    pending: i64,
}

fn address(name: &str) -> Address {
    Address::from_parts(name, "tandem.test").unwrap()
}

impl Bench {
    fn new() -> Bench {
        let account = |user: i64, name: &str| {
            let addresses = vec![address(name)];
            Arc::new(Account { user: UserId(user), addresses, display_name: Text::from(name), secrets: Vec::new() })
        };
        let accounts = ["alice", "bob"].iter().zip(1..).map(|(name, user)| (address(name), account(user, name))).collect();
        let config = NodeConfig::new("tandem.test", "192.0.2.1", [1; 32]);
        let mut bench = Bench {
            node: Node::new(config, Accounts(accounts), Entropy::new([2; 32])),
            entropy: Entropy::new([3; 32]),
            now: Time(1),
            cseq: 0,
            pending: 0,
        };
        bench.node.handle(Time(1), Input::Restored { bindings: Vec::new(), waiting: Some(Vec::new()) });
        for user in [1, 2] {
            let remote = SocketAddr::from(([192, 0, 2, 9], 40_000 + user as u16));
            let instance = InstanceId::parse(&Text::from(format!("urn:uuid:{user}"))).unwrap();
            bench.node.handle(
                Time(1),
                Input::Opened { flow: FlowId(user), transport: Transport::Ws, remote, user: Some((UserId(user as i64), instance.clone())) },
            );
        }
        for (flow, name) in [(1, "alice"), (2, "bob")] {
            let register = bench.register(name);
            bench.receive(flow, &register);
        }
        bench
    }

    /// Hands in a message, and does what the node asks for. Returns the last message for each connection.
    fn receive(&mut self, flow: u64, bytes: &Bytes) -> [Option<Bytes>; 2] {
        self.now = Time(self.now.0 + 1);
        let message = Message::parse_shared(bytes, &Limits::default()).unwrap();
        self.node.handle(self.now, Input::Received { hop: Hop::Flow(FlowId(flow)), transport: Transport::Ws, message });
        let mut sent = [None, None];
        while let Some(output) = self.node.poll() {
            match output {
                Output::Send { hop: Hop::Flow(FlowId(flow)), message } => sent[flow as usize - 1] = Some(message),
                Output::Commit { ticket, unit } => {
                    let outcomes = unit.0.iter().map(|write| match write {
                        Write::Store(_) => Outcome::Stored { seq: 1 },
                        Write::Queue(_) => {
                            self.pending += 1;
                            Outcome::Queued(PendingId(self.pending))
                        }
                        _ => Outcome::Done,
                    });
                    let applied = Applied { outcomes: outcomes.collect(), cursors: vec![(UserId(1), 1), (UserId(2), 1)] };
                    self.node.handle(self.now, Input::Stored { ticket, result: Ok(applied) });
                }
                _ => {}
            }
        }
        while self.node.next_timeout().is_some_and(|at| at <= self.now) {
            self.node.handle(self.now, Input::Timeout);
            while self.node.poll().is_some() {}
        }
        sent
    }

    fn finish(&mut self, mut request: Request, name: &str) -> Bytes {
        self.cseq += 1;
        let mut via = Via::new("WS", "x.invalid", None);
        via.set_branch(&format!("{}{}", Via::COOKIE, self.entropy.hex::<6>()));
        request.headers.put_front(&via);
        let mut from = From::new(address(name).to_uri());
        from.set_tag("abc");
        request.headers.put(&from);
        request.headers.put(&CSeq::new(self.cseq, request.method.clone()));
        request.headers.put(&MaxForwards(70));
        request.to_bytes()
    }

    fn register(&mut self, name: &str) -> Bytes {
        let mut request = Request::new(Method::Register, SipUri::of_host("tandem.test"));
        request.headers.put(&To::new(address(name).to_uri()));
        request.headers.push(HeaderName::CallId, format!("registration-of-{name}"));
        let mut contact = Contact::new(SipUri::new(name, "x.invalid").with_param("transport", "ws"));
        if let Contact::Addr(contact) = &mut contact {
            contact.params.set_quoted("+sip.instance", &format!("<urn:uuid:00000000-0000-4000-8000-00000000000{}>", name.len()));
            contact.params.set("reg-id", "1");
            contact.params.set_quoted("+g.3gpp.icsi-ref", "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg");
        }
        request.headers.put(&contact);
        request.headers.put(&Expires(600));
        request.headers.push(HeaderName::Supported, "path, outbound, gruu");
        self.finish(request, name)
    }

    fn message(&mut self) -> Bytes {
        let text = Text::from("a message of about the usual length, as people write them");
        let mut request = Envelope::compose(&mut self.entropy, self.now, address("alice"), address("bob"), text, None).wrap();
        request.headers.put(&CallId(Text::from(self.entropy.hex::<8>())));
        self.finish(request, "alice")
    }

    /// The whole of a message: to the other device, its answer, and the answer to the sender.
    fn exchange(&mut self, message: &Bytes) {
        let [_, to_bob] = self.receive(1, message);
        let delivered = Message::parse_shared(&to_bob.expect("the message"), &Limits::default()).unwrap().request().unwrap();
        let answer = Response::to(&delivered, Status::OK).to_bytes();
        let [to_alice, _] = self.receive(2, &answer);
        assert!(black_box(to_alice).expect("the answer").starts_with(b"SIP/2.0 200"));
    }
}

fn node(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node");
    let bench = std::cell::RefCell::new(Bench::new());
    group.bench_function("register", |bencher| {
        bencher.iter_batched(
            || bench.borrow_mut().register("alice"),
            |register| bench.borrow_mut().receive(1, &register),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("message", |bencher| {
        bencher.iter_batched(|| bench.borrow_mut().message(), |message| bench.borrow_mut().exchange(&message), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, node);
criterion_main!(benches);
