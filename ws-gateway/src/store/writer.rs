//! The writer: one thread that turns whatever waits into one durable transaction.
//!
//! While a transaction is being forced to disk the next units gather, so the batches grow with the load and a lone unit waits for
//! nobody, unless nobody waits for it ([`Unit::can_wait`]): most of what a small transaction costs is the transaction, and in a busy
//! store the next one is never far. When nothing comes for that moment, the index of words is brought up. The queue is bounded: what does not fit is refused at once, so that the sender hears of it rather
//! than waiting.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Applied, Store, StoreError, Unit};

/// How many messages are indexed at a time: a job that comes meanwhile waits for these.
const INDEXED: usize = 256;

/// How much may wait, how much is done at once, in units, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What may wait; what is submitted in one piece is let in or refused in one piece.
    pub queue: usize,
    /// What goes into one transaction, give or take what was submitted in one piece.
    pub batch: usize,
    /// How long units for which nobody waits may wait for others.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // About as long as forcing a transaction to disk takes: what a crash finds undone grows no more than twofold.
        Limits { queue: 16_384, batch: 2_048, patience: Duration::from_millis(5) }
    }
}

type Reply = Box<dyn FnOnce(Vec<Result<Applied, StoreError>>) + Send>;

struct Job {
    units: Vec<Unit>,
    reply: Reply,
}

/// A handle on the writer thread; clones share it. When the last one goes, what was submitted is still written.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

struct Shared {
    jobs: Mutex<Option<Sender<Job>>>,
    /// How many units wait, and how many may.
    waiting: Arc<AtomicUsize>,
    queue: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. It is the only one that ought to write to `store` from this process.
    pub fn start(store: Arc<dyn Store>, limits: Limits) -> std::io::Result<Writer> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let queue = Queue { jobs: receiver, waiting: Arc::clone(&waiting), limits };
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || run(&*store, &queue))?;
        let (jobs, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Writer(Arc::new(Shared { jobs, waiting, queue: limits.queue.max(1), thread })))
    }

    /// Has a unit written; `reply` is called on the writer's thread once it is durable or has failed. It must not block.
    pub fn submit(&self, unit: Unit, reply: impl FnOnce(Result<Applied, StoreError>) + Send + 'static) {
        self.submit_all(vec![unit], |results| {
            if let Some(result) = results.into_iter().next() {
                reply(result);
            }
        });
    }

    /// Has units written, in their order, and answers them together, in their order: the thread is woken once for all of them.
    pub fn submit_all(&self, units: Vec<Unit>, reply: impl FnOnce(Vec<Result<Applied, StoreError>>) + Send + 'static) {
        let count = units.len();
        let job = Job { units, reply: Box::new(reply) };
        let jobs = lock(&self.0.jobs);
        let (job, error) = match &*jobs {
            None => (job, StoreError::Closed),
            Some(_) if self.0.waiting.load(Ordering::Relaxed) >= self.0.queue => (job, StoreError::Busy("too much waits to be written")),
            Some(sender) => {
                self.0.waiting.fetch_add(count, Ordering::Relaxed);
                match sender.send(job) {
                    Ok(()) => return,
                    Err(refused) => (refused.0, StoreError::Closed),
                }
            }
        };
        drop(jobs);
        (job.reply)(vec![Err(error); count]);
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

/// The thread's end of the queue.
struct Queue {
    jobs: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    limits: Limits,
}

/// What goes into one transaction.
#[derive(Default)]
struct Gathered {
    units: Vec<Unit>,
    /// Who is to be answered, and for how many of them.
    replies: Vec<(usize, Reply)>,
}

impl Queue {
    /// Everything for the next transaction; None when nothing will come any more.
    fn gather(&self, store: &dyn Store) -> Option<Gathered> {
        let mut gathered = Gathered::default();
        let mut patient = self.take(&mut gathered, self.next(store)?);
        let deadline = Instant::now() + self.limits.patience;
        while gathered.units.len() < self.limits.batch {
            // Without patience only what is there already is taken.
            let span = if patient { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let Ok(job) = self.jobs.recv_timeout(span) else { break };
            patient &= self.take(&mut gathered, job);
        }
        Some(gathered)
    }

    /// The next job. While there is none, the index of words is brought up, step by step; None when no job will come any more.
    fn next(&self, store: &dyn Store) -> Option<Job> {
        loop {
            match self.jobs.recv_timeout(self.limits.patience) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let step = catch_unwind(AssertUnwindSafe(|| store.catch_up(INDEXED)));
            match step.unwrap_or_else(|_| Err(StoreError::Internal("the indexing was abandoned".into()))) {
                Ok(true) => {}
                Ok(false) => return self.jobs.recv().ok(),
                Err(error) => {
                    tracing::warn!(%error, "the index of words cannot be brought up");
                    return self.jobs.recv().ok();
                }
            }
        }
    }

    /// Takes in a job; says whether it can wait.
    fn take(&self, gathered: &mut Gathered, job: Job) -> bool {
        self.waiting.fetch_sub(job.units.len(), Ordering::Relaxed);
        let patient = job.units.iter().all(Unit::can_wait);
        gathered.replies.push((job.units.len(), job.reply));
        gathered.units.extend(job.units);
        patient
    }
}

/// The thread's life: until every sender is gone and the queue is empty.
fn run(store: &dyn Store, queue: &Queue) {
    let batches = metrics::histogram!("tandem_store_batch_units");
    while let Some(Gathered { units, replies }) = queue.gather(store) {
        batches.record(units.len() as f64);
        let results = catch_unwind(AssertUnwindSafe(|| store.commit(units)));
        let mut results = results.unwrap_or_default().into_iter();
        for (count, reply) in replies {
            // A back end that answers too little has a fault, and then nothing may be taken for written.
            let missing = || Err(StoreError::Internal("the transaction was abandoned".into()));
            reply((0..count).map(|_| results.next().unwrap_or_else(missing)).collect());
        }
    }
}

#[cfg(test)]
mod tests;
