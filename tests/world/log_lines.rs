//! What an operator reads in the log: a name that fails or is filtered gets one line a minute from all workers together.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::sim::engine::is_cairn;
use super::sim::{Lame, World};

/// Collects the log of the thread that it is installed for.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines_with(&self, text: &str) -> usize {
        let log = self.0.lock().expect("no writer panics");
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count()
    }
}

#[test]
fn a_name_gets_one_line_a_minute_from_all_workers_together() {
    if !is_cairn() {
        return;
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut world = World::new(70)
            .workers(4)
            .zone("example.")
            .record("home.example. A 192.168.1.1")
            .server("ns1.example.")
            .zone("broken.example.")
            .server("ns1.broken.example.")
            .lame(Lame::Refuses);
        let round = |world: &mut World| {
            for _ in 0..40 {
                world.ask_all(&["home.example. A", "www.broken.example. A"]);
            }
        };
        round(&mut world);
        assert_eq!((log.lines_with("home.example."), log.lines_with("www.broken.example. A fails")), (1, 1));
        world.pass(61);
        round(&mut world);
        assert_eq!((log.lines_with("home.example."), log.lines_with("www.broken.example. A fails")), (2, 2));
    });
}

/// A SERVFAIL of the root key sentinel (RFC 8509) has its reason in the log too.
#[test]
fn the_root_key_sentinel_says_why_it_fails() {
    if !is_cairn() {
        return;
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        let owner = "root-key-sentinel-is-ta-00001.example.";
        let mut world = World::new(71).anchored().zone("example.").signed().record(&format!("{owner} A 192.0.2.1"));
        world.ask(&format!("{owner} A"));
        assert_eq!(log.lines_with("fails: "), 1);
        assert_eq!(log.lines_with("root key sentinel"), 1);
    });
}
