//! Explanations that visitors ask for. Each is a walk of its own on a thread of its own, so that there are only a few at a time.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::answer::Explain;
use crate::limits::server::{WEB_EXPLANATION_LINES_QUEUED, WEB_EXPLANATIONS_MAX};
use crate::record::Question;
use crate::server::command::{Command, Reply};
use crate::server::engine::Engine;

pub(super) struct Explanations(Arc<Semaphore>);

impl Default for Explanations {
    fn default() -> Explanations {
        Explanations(Arc::new(Semaphore::new(WEB_EXPLANATIONS_MAX)))
    }
}

impl Explanations {
    /// The lines that `cairn explain --json` prints. `None`: too many are under way.
    pub(super) async fn of(&self, engine: &dyn Engine, question: Question) -> Option<Vec<Value>> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let (reply, mut lines) = mpsc::channel(WEB_EXPLANATION_LINES_QUEUED);
        engine.command(Command::Explain(Explain::new(question, None)), Reply(reply));
        let (done, all) = oneshot::channel();
        // The walk goes on when its visitor has left, and keeps its place until it ends.
        tokio::task::spawn_local(async move {
            let _permit = permit;
            let mut all = Vec::new();
            while let Some(line) = lines.recv().await {
                all.push(line);
            }
            let _ = done.send(all);
        });
        all.await.ok()
    }
}
