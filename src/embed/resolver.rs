//! The resolver's handle, and the thread behind it.
//!
//! One thread with a runtime of its own resolves. The handle works from any thread, and in any runtime.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use super::answer::{Answer, Event};
use crate::answer::{Explain, Explained, Service, Worker};
use crate::env::{Net, Random};
use crate::explain;
use crate::limits::clients::EMBEDDED_QUESTIONS_MAX;
use crate::record::{Name, NameError, Question, Rtype};

/// Makes the network, on the thread that uses it.
pub(super) type MakeNet = Box<dyn FnOnce() -> Rc<dyn Net> + Send>;

/// A caching, validating, recursive resolver. Cheap to clone: clones share one cache and one thread.
#[derive(Clone)]
pub struct Resolver {
    requests: mpsc::Sender<Request>,
}

/// Why a question was not resolved at all.
#[derive(Debug)]
pub enum ResolveError {
    /// This is not a domain name.
    Name(String),
    /// There is no such record type.
    RecordType(String),
    /// The resolver's thread has ended.
    Ended,
}

struct Request {
    query: Explain,
    is_explained: bool,
    reply: oneshot::Sender<Explained>,
}

impl Resolver {
    /// Resolves a name. `record_type` is a type such as `"A"`, `"MX"` or `"TYPE731"`.
    pub async fn resolve(&self, name: &str, record_type: &str) -> Result<Answer, ResolveError> {
        Ok(Answer::new(&self.ask(name, record_type, false).await?.outcome))
    }

    /// Resolves a name and returns every decision and step on the way.
    pub async fn explain(&self, name: &str, record_type: &str) -> Result<(Answer, Vec<Event>), ResolveError> {
        let explained = self.ask(name, record_type, true).await?;
        let events = explain::lines(&explained).into_iter().map(Event::new).collect();
        Ok((Answer::new(&explained.outcome), events))
    }

    /// As [`resolve`](Resolver::resolve), for a thread without an asynchronous runtime.
    pub fn resolve_blocking(&self, name: &str, record_type: &str) -> Result<Answer, ResolveError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|_| ResolveError::Ended)?;
        runtime.block_on(self.resolve(name, record_type))
    }

    async fn ask(&self, name: &str, record_type: &str, is_explained: bool) -> Result<Explained, ResolveError> {
        let name = Name::parse(name).map_err(|error: NameError| ResolveError::Name(format!("\"{name}\": {error}")))?;
        let rtype: Rtype = record_type.parse().map_err(|_| ResolveError::RecordType(record_type.to_owned()))?;
        let (reply, coming) = oneshot::channel();
        let request = Request { query: Explain::new(Question::new(name, rtype), None), is_explained, reply };
        self.requests.send(request).await.map_err(|_| ResolveError::Ended)?;
        coming.await.map_err(|_| ResolveError::Ended)
    }

    pub(super) fn start(service: Arc<Service>, net: MakeNet, random: Random) -> io::Result<Resolver> {
        let (requests, coming) = mpsc::channel(EMBEDDED_QUESTIONS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("cairn-resolver".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(Worker::new(service, net(), random), coming));
        })?;
        Ok(Resolver { requests })
    }
}

/// Serves until the last handle is dropped.
async fn serve(worker: Rc<Worker>, mut coming: mpsc::Receiver<Request>) {
    while let Some(Request { query, is_explained, reply }) = coming.recv().await {
        let worker = worker.clone();
        spawn_local(async move {
            let explained = if is_explained { worker.explain(&query).await } else { worker.resolve(&query).await };
            // The program may no longer wait.
            let _ = reply.send(explained);
        });
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Name(what) => write!(f, "not a domain name: {what}"),
            ResolveError::RecordType(text) => write!(f, "\"{text}\" is not a record type"),
            ResolveError::Ended => f.write_str("the resolver has ended"),
        }
    }
}

impl std::error::Error for ResolveError {}
