//! The thread that reads what workers tell of (`tap`): one for the query log, one for dnstap. It looks for records at short intervals,
//! because workers wake nobody, and takes new settings between two looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::tap::Tap;

/// How long the thread sleeps where records come, and where none did.
const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(200);

/// What a thread does with the records.
pub(super) trait Reading: Send + 'static {
    type Settings: Clone + Send + 'static;

    /// In force for the records that come from now on.
    fn configure(&mut self, settings: Self::Settings);

    /// Hands on the records that there are, and says how many there were.
    fn read(&mut self) -> usize;

    /// No more records come.
    fn end(&mut self) {}
}

/// Where the records come from.
#[derive(Clone)]
pub(super) struct Records {
    pub(super) tap: Arc<Tap>,
    /// Records that were read and could not be handed on.
    lost: Arc<AtomicU64>,
}

impl Records {
    pub(super) fn of(tap: Arc<Tap>) -> Records {
        Records { tap, lost: Arc::default() }
    }

    /// So many records could not be handed on.
    pub(super) fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Records that nobody got: without room in a ring, or lost by the reader.
    pub(super) fn left_out(&self) -> u64 {
        self.tap.left_out() + self.lost.load(Ordering::Relaxed)
    }
}

/// A thread that reads until it is told to end.
pub(super) struct TapReader<S> {
    /// `None`: it has been told to end.
    orders: Mutex<Option<Sender<S>>>,
    ended: Mutex<Receiver<()>>,
    records: Records,
}

impl<S: Clone + Send + 'static> TapReader<S> {
    /// `name` is the thread's, `what` is for the message where there can be none.
    pub(super) fn start(
        name: &str,
        what: &str,
        records: Records,
        reading: impl Reading<Settings = S>,
        settings: &S,
    ) -> Result<TapReader<S>, String> {
        let (orders, taken) = channel();
        let (at_end, ended) = channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                run(reading, &taken);
                drop(at_end);
            })
            .map_err(|error| format!("no thread for {what}: {error}"))?;
        let reader = TapReader { orders: Mutex::new(Some(orders)), ended: Mutex::new(ended), records };
        reader.configure(settings);
        Ok(reader)
    }

    /// At a reload, also where nothing has changed: the reader looks again at what it has open.
    pub(super) fn configure(&self, settings: &S) {
        if let Some(orders) = &*self.orders.lock() {
            let _ = orders.send(settings.clone());
        }
    }

    /// Tells the thread to hand on what there is, and to end.
    pub(super) fn end(&self) {
        *self.orders.lock() = None;
    }

    /// Waits until it has ended, at most this long: a disk or a peer may be slow.
    pub(super) fn ended_within(&self, at_most: Duration) {
        let _ = self.ended.lock().recv_timeout(at_most);
    }

    /// Records that nobody got.
    pub(super) fn left_out(&self) -> u64 {
        self.records.left_out()
    }
}

fn run<R: Reading>(mut reading: R, orders: &Receiver<R::Settings>) {
    let mut pause = IDLE;
    loop {
        match orders.recv_timeout(pause) {
            Ok(settings) => reading.configure(settings),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                reading.read();
                reading.end();
                return;
            }
        }
        pause = if reading.read() > 0 { BUSY } else { IDLE };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;

    use super::*;
    use crate::tap::Rule;

    /// Tells what is asked of it.
    struct Told(SyncSender<String>);

    impl Reading for Told {
        type Settings = &'static str;

        fn configure(&mut self, settings: &'static str) {
            self.0.send(format!("configure {settings}")).expect("the test listens");
        }

        fn read(&mut self) -> usize {
            0
        }

        fn end(&mut self) {
            self.0.send("end".to_owned()).expect("the test listens");
        }
    }

    #[test]
    fn settings_come_in_order_and_the_end_last() {
        let (tell, told) = std::sync::mpsc::sync_channel(9);
        let records = Records::of(Tap::new(1 << 10));
        let reader = TapReader::start("cairn-test", "a test", records.clone(), Told(tell), &"first").expect("a thread");
        reader.configure(&"second");
        reader.end();
        reader.configure(&"too late");
        reader.ended_within(Duration::from_secs(60));
        assert_eq!(told.iter().collect::<Vec<_>>(), ["configure first", "configure second", "end"]);
        records.tap.set(Rule::Each(1));
        records.lose(3);
        assert_eq!(reader.left_out(), 3);
    }

    /// A reader that stands still holds up a stop no longer than it may.
    #[test]
    fn a_reader_that_stands_still_is_left_behind() {
        let (tell, told) = std::sync::mpsc::sync_channel(0);
        let reader = TapReader::start("cairn-test", "a test", Records::of(Tap::new(1 << 10)), Told(tell), &"first").expect("a thread");
        reader.end();
        reader.ended_within(Duration::from_millis(1));
        assert_eq!(told.iter().collect::<Vec<_>>(), ["configure first", "end"], "it was not ended");
    }
}
