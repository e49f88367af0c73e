//! The public door, used as a program uses it, against a forwarder in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::{ResolveError, Resolver, Status};
use crate::env::{BoxFuture, Net, Stream, UdpFlow};
use crate::record::{Class, Name, Rcode, Rtype};
use crate::wire::{Flags, Header, QueryView, Section, Writer};

/// Answers every question for an address with 192.0.2.1, as a recursive server.
struct Forwarder;

#[derive(Default)]
struct Flow(RefCell<VecDeque<Vec<u8>>>);

impl Net for Forwarder {
    fn udp(&self, _server: SocketAddr, _port: u16) -> io::Result<Box<dyn UdpFlow>> {
        Ok(Box::new(Flow::default()))
    }

    fn tcp(&self, _server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

impl UdpFlow for Flow {
    fn send(&self, query: &[u8]) -> io::Result<()> {
        let view = QueryView::check(query).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut writer = Writer::new(Vec::new(), 512);
        let flags = Flags(Flags::QR | Flags::RD | Flags::RA).with_rcode(Rcode::NOERROR.0);
        writer.header(Header { id: view.id(), flags, counts: [0; 4] });
        writer.question_wire(view.question_wire()).expect("room");
        let owner = Name::from_wire(&view.qname_wire().to_ascii_lowercase()).expect("a name");
        writer.record(Section::Answer, &owner, Rtype::A, Class::IN, 300, &[192, 0, 2, 1]).expect("room");
        writer.opt(1232, Rcode::NOERROR, false, &[]).expect("room");
        self.0.borrow_mut().push_back(writer.finish());
        Ok(())
    }

    fn poll_recv(&self, _cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(reply) = self.0.borrow_mut().pop_front() else { return Poll::Pending };
        into[..reply.len()].copy_from_slice(&reply);
        Poll::Ready(Ok(reply.len()))
    }
}

fn resolver() -> Resolver {
    let builder = Resolver::builder().forward(Name::root(), ["192.0.2.53:53".parse().expect("an address")]).dnssec(false);
    builder.net(Box::new(|| Rc::new(Forwarder))).build().expect("a resolver")
}

#[test]
fn a_name_is_resolved_from_a_thread_without_a_runtime() {
    let resolver = resolver();
    let answer = resolver.resolve_blocking("www.example.com", "A").expect("a good question");
    assert_eq!(answer.status(), Status::NoError);
    let records: Vec<String> = answer.records().iter().map(ToString::to_string).collect();
    assert_eq!(records, ["www.example.com. 300 A 192.0.2.1"]);
    assert!(!answer.is_secure() && !answer.is_stale() && answer.errors().is_empty());
}

#[tokio::test]
async fn an_explanation_has_its_events_and_the_same_answer() {
    let resolver = resolver();
    let (answer, events) = resolver.explain("www.example.com", "A").await.expect("a good question");
    assert_eq!(answer.records()[0].data(), "192.0.2.1");
    let json: Vec<serde_json::Value> = events.iter().map(|event| serde_json::from_str(&event.json()).expect("JSON")).collect();
    assert_eq!((json[0]["step"].as_str(), json[0]["version"].as_u64()), (Some("begin"), Some(1)));
    assert!(events.last().and_then(|event| event.text()).is_some_and(|text| text.starts_with("Answer: NOERROR")));
    let again = resolver.clone().resolve("www.example.com.", "A").await.expect("from the cache");
    assert_eq!(again.records().len(), 1);
}

#[tokio::test]
async fn what_is_no_question_is_not_asked() {
    let resolver = resolver();
    assert!(matches!(resolver.resolve("a..b", "A").await, Err(ResolveError::Name(_))));
    assert!(matches!(resolver.resolve("example.com", "QQ").await, Err(ResolveError::RecordType(_))));
    assert!(Resolver::builder().configuration("[server]\nlisten = 5\n").is_err());
}
