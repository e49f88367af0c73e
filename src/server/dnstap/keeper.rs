//! The thread that sends messages to a dnstap reader.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

use super::{frame_stream, message};
use crate::config::DnstapSettings;
use crate::env::{BootTime, Clock};
use crate::limits::server::{DNSTAP_RETRY_AFTER, DNSTAP_STOP_MAX, DNSTAP_WRITE_BYTES, DNSTAP_WRITE_MAX};
use crate::tap::{Passed, Rule, Tap};

/// How long the thread sleeps where messages come, and where none did.
const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(200);

const VERSION: &str = concat!("cairn ", env!("CARGO_PKG_VERSION"));

/// Sends messages until it is told to end.
pub(in crate::server) struct DnstapKeeper {
    /// `None`: it has been told to end.
    orders: Mutex<Option<Sender<DnstapSettings>>>,
    ended: Mutex<Receiver<()>>,
    tap: Arc<Tap>,
    lost: Arc<AtomicU64>,
}

impl DnstapKeeper {
    pub(in crate::server) fn start(tap: Arc<Tap>, clock: Arc<dyn Clock>, settings: &DnstapSettings) -> Result<DnstapKeeper, String> {
        let (orders, taken) = channel();
        let (at_end, ended) = channel();
        let lost = Arc::new(AtomicU64::new(0));
        let sending = Sending {
            tap: tap.clone(),
            clock,
            lost: lost.clone(),
            readers: Vec::new(),
            settings: DnstapSettings::default(),
            identity: Vec::new(),
        };
        thread::Builder::new()
            .name("cairn-dnstap".to_owned())
            .spawn(move || {
                sending.run(&taken);
                drop(at_end);
            })
            .map_err(|error| format!("no thread for dnstap: {error}"))?;
        let keeper = DnstapKeeper { orders: Mutex::new(Some(orders)), ended: Mutex::new(ended), tap, lost };
        keeper.configure(settings);
        Ok(keeper)
    }

    pub(in crate::server) fn configure(&self, settings: &DnstapSettings) {
        if let Some(orders) = &*self.orders.lock() {
            let _ = orders.send(settings.clone());
        }
    }

    /// Tells the thread to send what there is, and to end.
    pub(in crate::server) fn end(&self) {
        *self.orders.lock() = None;
    }

    /// Waits for that, if the readers are not too slow.
    pub(in crate::server) fn ended(&self) {
        let _ = self.ended.lock().recv_timeout(DNSTAP_STOP_MAX);
    }

    /// Messages that were left out.
    pub(in crate::server) fn left_out(&self) -> u64 {
        self.tap.left_out() + self.lost.load(Ordering::Relaxed)
    }
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A reader, and the stream to it while there is one.
struct Reader {
    place: Place,
    stream: Option<Box<dyn Stream>>,
    /// The next attempt to connect.
    retry_at: Option<BootTime>,
    /// That nobody reads.
    has_told: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

struct Sending {
    tap: Arc<Tap>,
    clock: Arc<dyn Clock>,
    lost: Arc<AtomicU64>,
    readers: Vec<Reader>,
    settings: DnstapSettings,
    identity: Vec<u8>,
}

impl Sending {
    fn run(mut self, orders: &Receiver<DnstapSettings>) {
        let mut pause = IDLE;
        loop {
            match orders.recv_timeout(pause) {
                Ok(settings) => self.configure(settings),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.send();
                    self.readers.iter_mut().for_each(Reader::hang_up);
                    return;
                }
            }
            pause = if self.send() > 0 { BUSY } else { IDLE };
        }
    }

    /// Readers that stay keep their streams.
    fn configure(&mut self, settings: DnstapSettings) {
        if settings == self.settings {
            return;
        }
        self.send();
        let wanted = settings.socket.clone().map(Place::Socket).into_iter().chain(settings.tcp.map(Place::Tcp));
        let mut before = std::mem::take(&mut self.readers);
        for place in wanted {
            let kept = before.iter().position(|reader| reader.place == place).map(|at| before.swap_remove(at));
            self.readers.push(kept.unwrap_or(Reader { place, stream: None, retry_at: None, has_told: false }));
        }
        before.iter_mut().for_each(Reader::hang_up);
        self.tap.set(if self.readers.is_empty() { Rule::Nothing } else { Rule::Each(1) });
        self.identity = settings.identity.clone().unwrap_or_else(host_name).into_bytes();
        self.settings = settings;
    }

    /// Sends what there is; the number of messages.
    fn send(&mut self) -> usize {
        let Sending { tap, clock, lost, readers, identity, .. } = self;
        let now = clock.boot();
        readers.iter_mut().for_each(|reader| reader.connect_if_due(now));
        let (mut frames, mut waiting, mut scratch) = (Vec::new(), 0, Vec::new());
        let mut flush = |frames: &mut Vec<u8>, waiting: &mut u64| {
            for reader in readers.iter_mut() {
                if !reader.write(frames, now) {
                    lost.fetch_add(*waiting, Ordering::Relaxed);
                }
            }
            frames.clear();
            *waiting = 0;
        };
        let count = tap.read(|record| {
            let Some(passed) = Passed::read(record) else { return };
            frame_stream::frame(&mut frames, |frame| message::write(&passed, identity, VERSION.as_bytes(), &mut scratch, frame));
            waiting += 1;
            if frames.len() >= DNSTAP_WRITE_BYTES {
                flush(&mut frames, &mut waiting);
            }
        });
        if waiting > 0 {
            flush(&mut frames, &mut waiting);
        }
        count
    }
}

impl Reader {
    fn connect_if_due(&mut self, now: BootTime) {
        if self.stream.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        let connected = self.place.connect().and_then(|mut stream| frame_stream::begin(&mut stream).map(|()| stream));
        match connected {
            Ok(stream) => {
                info!(event = "dnstap", "messages go to the dnstap reader at {}", self.place);
                (self.stream, self.retry_at, self.has_told) = (Some(stream), None, false);
            }
            Err(error) => self.failed(&error, now),
        }
    }

    /// Whether the reader has the frames.
    fn write(&mut self, frames: &[u8], now: BootTime) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let written = stream.write_all(frames);
        if let Err(error) = &written {
            // Part of a frame may have gone: only a new stream begins with a whole one.
            self.stream = None;
            self.failed(error, now);
        }
        written.is_ok()
    }

    /// One line for the first of a row of failures.
    fn failed(&mut self, error: &io::Error, now: BootTime) {
        if !self.has_told {
            warn!(
                event = "dnstap",
                "the dnstap reader at {} cannot be reached: {error}; until it can, messages are left out there", self.place
            );
        }
        (self.has_told, self.retry_at) = (true, Some(now + DNSTAP_RETRY_AFTER));
    }

    fn hang_up(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = frame_stream::end(&mut stream);
        }
    }
}

impl Place {
    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let at_most = Some(DNSTAP_WRITE_MAX);
        match self {
            Place::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(at_most)?;
                stream.set_read_timeout(at_most)?;
                Ok(Box::new(stream))
            }
            Place::Tcp(addr) => {
                let stream = TcpStream::connect_timeout(addr, DNSTAP_WRITE_MAX)?;
                stream.set_write_timeout(at_most)?;
                stream.set_read_timeout(at_most)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Socket(path) => path.display().fmt(f),
            Place::Tcp(addr) => addr.fmt(f),
        }
    }
}

/// As the kernel has it.
fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim_end().to_owned()).unwrap_or_default()
}
