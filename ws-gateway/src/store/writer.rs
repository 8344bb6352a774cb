//! The writer: one thread that turns whatever waits into one durable transaction.
//!
//! While a transaction is being forced to disk the next units gather, so the batches grow with the load and a lone unit waits for
//! nobody. The queue is bounded: what does not fit is refused at once, so that the sender hears of it rather than waiting.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Applied, Store, StoreError, Unit};

/// How much may wait and how much is done at once, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What may wait.
    pub queue: usize,
    /// What goes into one transaction.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { queue: 16_384, batch: 2_048 }
    }
}

type Reply = Box<dyn FnOnce(Result<Applied, StoreError>) + Send>;

struct Job {
    unit: Unit,
    reply: Reply,
}

/// A handle on the writer thread; clones share it. When the last one goes, what was submitted is still written.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

struct Shared {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. It is the only one that ought to write to `store` from this process.
    pub fn start(store: Arc<dyn Store>, limits: Limits) -> std::io::Result<Writer> {
        let (sender, receiver) = sync_channel(limits.queue.max(1));
        let batch = limits.batch.max(1);
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || run(&*store, &receiver, batch))?;
        Ok(Writer(Arc::new(Shared { jobs: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })))
    }

    /// Has a unit written; `reply` is called on the writer's thread once it is durable or has failed. It must not block.
    pub fn submit(&self, unit: Unit, reply: impl FnOnce(Result<Applied, StoreError>) + Send + 'static) {
        let job = Job { unit, reply: Box::new(reply) };
        let Some(sender) = lock(&self.0.jobs).clone() else {
            return (job.reply)(Err(StoreError::Closed));
        };
        match sender.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => (job.reply)(Err(StoreError::Busy("too much waits to be written"))),
            Err(TrySendError::Disconnected(job)) => (job.reply)(Err(StoreError::Closed)),
        }
    }

    /// Writes what waits and ends the thread. What is submitted later is answered with [`StoreError::Closed`].
    pub fn close(&self) {
        drop(lock(&self.0.jobs).take());
        if let Some(thread) = lock(&self.0.thread).take() {
            // The thread catches the panics of its batches; there is nothing left to do about one of its own.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's life: until every sender is gone and the queue is empty.
fn run(store: &dyn Store, jobs: &Receiver<Job>, batch: usize) {
    while let Ok(first) = jobs.recv() {
        let mut units = vec![first.unit];
        let mut replies = vec![first.reply];
        while units.len() < batch {
            let Ok(job) = jobs.try_recv() else { break };
            units.push(job.unit);
            replies.push(job.reply);
        }
        metrics::histogram!("tandem_store_batch_units").record(units.len() as f64);
        let results = catch_unwind(AssertUnwindSafe(|| store.commit(units)));
        let mut results = results.unwrap_or_default().into_iter();
        for reply in replies {
            // A back end that answers too little has a fault, and then nothing may be taken for written.
            reply(results.next().unwrap_or_else(|| Err(StoreError::Internal("the transaction was abandoned".into()))));
        }
    }
}

#[cfg(test)]
mod tests;
