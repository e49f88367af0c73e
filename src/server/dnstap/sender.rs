//! Sends messages to the readers of dnstap: those that clients and servers have exchanged with this one, as workers have told of them.
//!
//! A reader that refuses, is silent or reads too slowly is left and tried again, each time later than the last (`back_off`): the thread
//! is not to stand still for it more than a small part of the time.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tracing::{info, warn};

use super::super::tap_reader::{Reading, Records, TapReader};
use super::back_off::BackOff;
use super::{frame_stream, message};
use crate::config::DnstapSettings;
use crate::env::{BootTime, Clock};
use crate::limits::server::{DNSTAP_WRITE_BYTES, DNSTAP_WRITE_MAX};
use crate::tap::{Passed, Rule, Tap};

const VERSION: &str = concat!("cairn ", env!("CARGO_PKG_VERSION"));

/// Starts the thread that sends them.
pub(in crate::server) fn start(
    tap: Arc<Tap>,
    clock: Arc<dyn Clock>,
    settings: &DnstapSettings,
) -> Result<TapReader<DnstapSettings>, String> {
    let records = Records::of(tap);
    TapReader::start("cairn-dnstap", "dnstap", records.clone(), Sending::new(records, clock), settings)
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A reader, and the stream to it while there is one.
struct Reader {
    place: Place,
    stream: Option<Box<dyn Stream>>,
    back_off: BackOff,
    /// That nobody reads.
    has_told: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

struct Sending {
    records: Records,
    clock: Arc<dyn Clock>,
    readers: Vec<Reader>,
    /// What this server is called there.
    identity: Vec<u8>,
}

impl Sending {
    fn new(records: Records, clock: Arc<dyn Clock>) -> Sending {
        Sending { records, clock, readers: Vec::new(), identity: Vec::new() }
    }
}

impl Reading for Sending {
    type Settings = DnstapSettings;

    /// Readers that stay keep their streams; those without one are tried at once.
    fn configure(&mut self, settings: DnstapSettings) {
        self.read();
        let wanted = settings.socket.map(Place::Socket).into_iter().chain(settings.tcp.map(Place::Tcp));
        let mut before = std::mem::take(&mut self.readers);
        for place in wanted {
            let kept = before.iter().position(|reader| reader.place == place).map(|at| before.swap_remove(at));
            let mut reader = kept.unwrap_or(Reader { place, stream: None, back_off: BackOff::default(), has_told: false });
            reader.back_off.forget();
            self.readers.push(reader);
        }
        before.iter_mut().for_each(Reader::hang_up);
        self.records.tap.set(if self.readers.is_empty() { Rule::Nothing } else { Rule::Each(1) });
        self.identity = settings.identity.unwrap_or_else(host_name).into_bytes();
    }

    fn read(&mut self) -> usize {
        let Sending { records, clock, readers, identity, .. } = self;
        let now = || clock.boot();
        readers.iter_mut().for_each(|reader| reader.connect_if_due(now));
        let (mut frames, mut waiting, mut scratch) = (Vec::new(), 0, Vec::new());
        let mut flush = |frames: &mut Vec<u8>, waiting: &mut u64| {
            for reader in readers.iter_mut() {
                if !reader.write(frames, now) {
                    records.lose(*waiting);
                }
            }
            frames.clear();
            *waiting = 0;
        };
        let count = records.tap.read(|record| {
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

    fn end(&mut self) {
        self.readers.iter_mut().for_each(Reader::hang_up);
    }
}

impl Reader {
    fn connect_if_due(&mut self, now: impl Fn() -> BootTime) {
        if self.stream.is_some() || !self.back_off.is_due(now()) {
            return;
        }
        let connected = self.place.connect().and_then(|mut stream| frame_stream::begin(&mut stream).map(|()| stream));
        match connected {
            Ok(stream) => {
                info!(event = "dnstap", "messages go to the dnstap reader at {}", self.place);
                (self.stream, self.has_told) = (Some(stream), false);
                self.back_off.stands(now());
            }
            Err(error) => self.failed(&error, now()),
        }
    }

    /// Whether the reader has the frames.
    fn write(&mut self, frames: &[u8], now: impl Fn() -> BootTime) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let written = write_within(stream, frames, DNSTAP_WRITE_MAX, &now);
        if let Err(error) = &written {
            // Part of a frame may have gone: only a new stream begins with a whole one.
            self.stream = None;
            self.failed(error, now());
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
        self.has_told = true;
        self.back_off.failed(now);
    }

    fn hang_up(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = frame_stream::end(&mut stream);
        }
    }
}

/// A reader that takes an octet now and then must not hold the thread, so the time is for all of them. The stream ends each call in time.
fn write_within(stream: &mut impl Write, mut octets: &[u8], at_most: Duration, now: &impl Fn() -> BootTime) -> io::Result<()> {
    let begun = now();
    while !octets.is_empty() {
        if now().since(begun) > at_most {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.write(octets) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => octets = octets.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Place {
    /// No call on the stream lasts longer than `DNSTAP_WRITE_MAX`.
    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let at_most = Some(DNSTAP_WRITE_MAX);
        match self {
            Place::Socket(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                // Where the reader accepts nobody, its queue is full, and the kernel would wait for it.
                socket.set_nonblocking(true)?;
                socket.connect(&SockAddr::unix(path)?)?;
                socket.set_nonblocking(false)?;
                let stream = UnixStream::from(OwnedFd::from(socket));
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::super::scratch::Scratch;
    use super::*;
    use crate::env::WallTime;

    #[derive(Default)]
    struct SetClock(AtomicU64);

    impl Clock for SetClock {
        fn boot(&self) -> BootTime {
            BootTime(self.0.load(Ordering::Relaxed))
        }

        fn wall(&self) -> WallTime {
            WallTime(0)
        }
    }

    /// Takes an octet in four seconds.
    struct Dripping<'a>(&'a SetClock);

    impl Write for Dripping<'_> {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.0.fetch_add(4_000, Ordering::Relaxed);
            Ok(octets.len().min(1))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_drips_is_left() {
        let clock = SetClock::default();
        let written =
            |octets| write_within(&mut Dripping(&clock), octets, DNSTAP_WRITE_MAX, &|| clock.boot()).map_err(|error| error.kind());
        assert_eq!((written(b"ab"), written(b"")), (Ok(()), Ok(())));
        assert_eq!(written(b"abcdefgh"), Err(io::ErrorKind::TimedOut));
    }

    /// A reader that accepts nobody: connecting to it would wait for ever once its queue is full.
    #[test]
    fn a_reader_that_accepts_nobody_holds_nobody() {
        let scratch = Scratch::new();
        let path = scratch.path().join("dnstap.sock");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        listener.bind(&SockAddr::unix(&path).expect("a short path")).expect("a folder of our own");
        listener.listen(0).expect("a bound socket");
        let place = Place::Socket(path.clone());
        let first = place.connect().expect("the queue has room for one");
        let refused = place.connect().map(drop).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::WouldBlock));
        drop((first, listener));

        let clock = Arc::new(SetClock::default());
        let mut sending = Sending::new(Records::of(Tap::new(1 << 10)), clock.clone());
        sending.configure(DnstapSettings { socket: Some(path), ..DnstapSettings::default() });
        let mut attempts = Vec::new();
        for second in 0..200 {
            clock.0.store(second * 1_000, Ordering::Relaxed);
            let is_due = sending.readers[0].back_off.is_due(clock.boot());
            sending.read();
            if is_due {
                attempts.push(second);
            }
        }
        assert_eq!(attempts, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    }
}
