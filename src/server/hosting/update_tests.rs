//! Updates on a disk that fails: what was acknowledged is there after a crash, and nothing is there by halves.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc;

use super::disk::{Disk, OpenFile};
use super::fake::{TestClock, name};
use super::journaled::Journaled;
use super::order::Order;
use super::updater::{Updater, decide};
use super::versions::Versions;
use crate::answer::{Parts, Service};
use crate::authority::changed_entry;
use crate::config::Settings;
use crate::env::Random;
use crate::limits::Limits;
use crate::record::{Class, Question, Rcode, Rtype};
use crate::wire::{Flags, Header, Opcode, Section, Writer};
use crate::zone::{Zone, Zones, have_same_data, load_zone};

/// What goes wrong with the next calls, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Write,
    /// A part of the octets is written.
    ShortWrite,
    /// It is unknown what has reached the disk.
    Sync,
    Cut,
    Replace,
    Open,
}

#[derive(Clone, Default)]
struct FakeDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// As programs see the files, and as they are after a crash.
    seen: HashMap<PathBuf, Vec<u8>>,
    durable: HashMap<PathBuf, Vec<u8>>,
    faults: Vec<Fault>,
}

impl State {
    /// Whether this call fails. A fault waits until its call comes.
    fn fails(&mut self, with: Fault) -> bool {
        let is_next = self.faults.first() == Some(&with);
        if is_next || self.faults.first() == Some(&Fault::None) && matches!(with, Fault::Write) {
            self.faults.remove(0);
        }
        is_next
    }
}

fn failed() -> io::Error {
    io::Error::other("planted")
}

impl FakeDisk {
    fn crash(&self) {
        let mut state = self.0.lock().expect("no panic");
        state.seen = state.durable.clone();
        state.faults.clear();
    }
}

impl Disk for FakeDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().expect("no panic").seen.get(path).cloned())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().expect("no panic");
        if state.fails(Fault::Replace) {
            return Err(failed());
        }
        state.seen.insert(path.to_owned(), bytes.to_vec());
        state.durable.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        if self.0.lock().expect("no panic").fails(Fault::Open) {
            return Err(failed());
        }
        Ok(Box::new(FakeFile(self.clone(), path.to_owned())))
    }
}

struct FakeFile(FakeDisk, PathBuf);

impl OpenFile for FakeFile {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.0.lock().expect("no panic");
        let (fails, short) = (state.fails(Fault::Write), state.fails(Fault::ShortWrite));
        let len = if fails {
            0
        } else if short {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        let file = state.seen.entry(self.1.clone()).or_default();
        file.resize((at as usize).max(file.len()), 0);
        file.truncate(at as usize);
        file.extend_from_slice(&bytes[..len]);
        if fails || short { Err(failed()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.0.lock().expect("no panic");
        let fails = state.fails(Fault::Sync);
        let mut content = state.seen.get(&self.1).cloned().unwrap_or_default();
        if fails {
            let before = state.durable.get(&self.1).map_or(0, Vec::len);
            content.truncate(before + content.len().saturating_sub(before) * 2 / 3);
        }
        state.durable.insert(self.1.clone(), content);
        if fails { Err(failed()) } else { Ok(()) }
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.0.0.lock().expect("no panic");
        if state.fails(Fault::Cut) {
            return Err(failed());
        }
        let file = state.seen.entry(self.1.clone()).or_default();
        file.truncate(len as usize);
        let content = file.clone();
        state.durable.insert(self.1.clone(), content);
        Ok(())
    }
}

fn zone(serial: u32, more: &str) -> Arc<Zone> {
    let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
    Arc::new(
        load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0,
    )
}

fn load(disk: &FakeDisk) -> (Journaled, Arc<Zone>) {
    let path = PathBuf::from("/journals/example");
    Journaled::load(Arc::new(disk.clone()), path, zone(1, ""), Path::new("/zones/example"), true).expect("it is read")
}

#[derive(Clone, Debug)]
enum Step {
    Update,
    Fault(Fault),
    Crash,
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    let faults = [Fault::None, Fault::Write, Fault::ShortWrite, Fault::Sync, Fault::Cut, Fault::Replace, Fault::Open];
    prop_oneof![
        5 => Just(Step::Update),
        4 => proptest::sample::select(faults.to_vec()).prop_map(Step::Fault),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_is_acknowledged_outlives_a_crash(steps in proptest::collection::vec(any_step(), 1..40)) {
        let disk = FakeDisk::default();
        let (mut journaled, mut now) = load(&disk);
        // Versions that were not acknowledged since.
        let mut perhaps: Vec<Arc<Zone>> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Update => {
                    let next = zone(now.serial() + 1, &format!("u{number} A 192.0.2.1\nv TXT {number}\n"));
                    match journaled.note_updates(&[changed_entry(&now, &next)], &next) {
                        Ok(()) => (now, perhaps) = (next, Vec::new()),
                        Err(_) => perhaps.push(next),
                    }
                }
                Step::Fault(fault) => disk.0.lock().expect("no panic").faults.push(*fault),
                Step::Crash | Step::Restart => {
                    if matches!(step, Step::Crash) { disk.crash() } else { disk.0.lock().expect("no panic").faults.clear() }
                    let (again, loaded) = load(&disk);
                    let is_known = |known: &Arc<Zone>| known.serial() == loaded.serial() && have_same_data(known, &loaded);
                    prop_assert!(is_known(&now) || perhaps.iter().any(is_known), "{step:?} {loaded:?} and not {now:?}");
                    (journaled, now, perhaps) = (again, loaded, Vec::new());
                }
            }
        }
    }
}

const CONFIG: &str = "[[key]]\nname = 'k'\nsecret = 'AAAA'\n[[zone]]\nname = 'example'\nfile = 'x'\nupdate = ['key k']\n";

struct Setting {
    service: Arc<Service>,
    updater: Updater,
    orders: mpsc::UnboundedReceiver<Order>,
    written: std::sync::mpsc::Receiver<crate::record::Name>,
    disk: FakeDisk,
}

fn setting() -> Setting {
    let settings = Settings::from_toml(CONFIG, "cairn.toml").expect("valid");
    let disk = FakeDisk::default();
    let versions = Arc::new(Versions::new(Arc::new(disk.clone()), Some(PathBuf::from("/state")), None));
    let data = versions.change().next_of_file(zone(1, ""), Path::new("/zones/example"), settings.zones.first());
    let zones = Arc::new(Zones::new([data], 1));
    let parts = Parts { settings, hints: Vec::new(), anchors: Arc::default(), zones, own_addresses: Vec::new() };
    let service = Service::new(parts, Limits::default(), Arc::new(TestClock::new()), &Random::from_seed(1));
    let ((orders, received), (changed, written)) = (mpsc::unbounded_channel(), std::sync::mpsc::channel());
    let updater = Updater { service: service.clone(), versions, orders, changed };
    Setting { service, updater, orders: received, written, disk }
}

/// Adds an address for each of these names; `!name` only if it is not in use.
fn sent(setting: &Setting, names: &[&str]) -> Vec<Rcode> {
    let message = |owner: &str| {
        let mut writer = Writer::new(Vec::new(), 512);
        writer.header(Header { id: 1, flags: Flags(u16::from(Opcode::UPDATE.0) << 11), counts: [0; 4] });
        writer.question(&Question::new(name("example."), Rtype::SOA)).expect("room");
        let new = name(&format!("{}.example.", owner.trim_start_matches('!')));
        if owner.starts_with('!') {
            writer.record(Section::Answer, &new, Rtype::ANY, Class::NONE, 0, &[]).expect("room");
        }
        writer.record(Section::Authority, &new, Rtype::A, Class::IN, 60, &[192, 0, 2, 1]).expect("room");
        writer.finish()
    };
    let client = "192.0.2.7:4000".parse().expect("an address");
    let mut outcomes: Vec<_> =
        names.iter().map(|owner| setting.service.updates.add(name("example."), message(owner), client, None).expect("room")).collect();
    setting.updater.carry_out(setting.service.updates.take(Duration::ZERO));
    outcomes.iter_mut().map(|outcome| outcome.try_recv().expect("answered")).collect()
}

#[test]
fn records_of_signing_are_refused_where_this_server_signs() {
    let setting = setting();
    let zone = zone(1, "");
    for (rtype, is_refused) in [(Rtype::DNSKEY, true), (Rtype::CDS, true), (Rtype::CDNSKEY, true), (Rtype::DS, false), (Rtype::TLSA, false)]
    {
        let mut writer = Writer::new(Vec::new(), 512);
        writer.header(Header { id: 1, flags: Flags(u16::from(Opcode::UPDATE.0) << 11), counts: [0; 4] });
        writer.question(&Question::new(name("example."), Rtype::SOA)).expect("room");
        writer.record(Section::Authority, &name("a.example."), rtype, Class::IN, 60, &[1, 1, 3, 8, 1]).expect("room");
        let client = "192.0.2.7:4000".parse().expect("an address");
        let _outcome = setting.service.updates.add(name("example."), writer.finish(), client, None).expect("room");
        let update = setting.service.updates.take(Duration::ZERO).remove(0);
        assert!(decide(&update, &zone, false).is_ok_and(|zone| zone.is_some()), "{rtype}");
        let refused = decide(&update, &zone, true).err().map(|refusal| refusal.rcode);
        assert_eq!(refused, is_refused.then_some(Rcode::REFUSED), "{rtype}");
    }
}

fn serial(setting: &Setting) -> u32 {
    setting.service.snapshot().zones.get(name("example.").as_wire()).expect("served").serial()
}

#[test]
fn updates_of_one_turn_are_written_together() {
    let mut setting = setting();
    assert_eq!(
        sent(&setting, &["a", "!b", "!a", "a", "c"]),
        [Rcode::NOERROR, Rcode::NOERROR, Rcode::YXDOMAIN, Rcode::NOERROR, Rcode::NOERROR]
    );
    assert_eq!(serial(&setting), 4);
    assert!(matches!(setting.orders.try_recv(), Ok(Order::Changed)) && setting.orders.try_recv().is_err());
    assert_eq!(setting.written.try_iter().count(), 1);
    assert_eq!(sent(&setting, &["a"]), [Rcode::NOERROR]);
    assert_eq!((serial(&setting), setting.written.try_iter().count()), (4, 0), "nothing has changed");
    setting.disk.crash();
    let versions = Versions::new(Arc::new(setting.disk.clone()), Some(PathBuf::from("/state")), None);
    let settings = Settings::from_toml(CONFIG, "cairn.toml").expect("valid");
    let mut changing = versions.change();
    let loaded = changing.next_of_file(zone(1, ""), Path::new("/zones/example"), settings.zones.first());
    assert_eq!((loaded.serial(), loaded.record_count()), (4, 6));
    let served = setting.service.snapshot();
    assert!(have_same_data(&loaded, served.zones.get(name("example.").as_wire()).expect("served")));
    let history = changing.take_histories(|_| true);
    assert_eq!(history.get(name("example.").as_wire()).and_then(|history| history.since(1)).map(<[_]>::len), Some(3));
}

#[test]
fn what_the_disk_does_not_take_is_not_in_force() {
    let setting = setting();
    assert_eq!(sent(&setting, &["a"]), [Rcode::NOERROR]);
    for fault in [Fault::Write, Fault::ShortWrite, Fault::Sync] {
        setting.disk.0.lock().expect("no panic").faults.push(fault);
        // The second was decided on top of the first, which did not come into force.
        assert_eq!(sent(&setting, &["!b", "!b", "a"]), [Rcode::SERVFAIL; 3], "{fault:?}");
        assert_eq!(serial(&setting), 2, "{fault:?}");
    }
    assert_eq!(sent(&setting, &["!b", "!b"]), [Rcode::NOERROR, Rcode::YXDOMAIN]);
    assert_eq!(serial(&setting), 3);
}

#[test]
fn whoever_waits_no_longer_changes_nothing() {
    let setting = setting();
    let outcome = setting.service.updates.add(name("example."), vec![0; 12], "192.0.2.7:4000".parse().expect("an address"), None);
    drop(outcome);
    setting.updater.carry_out(setting.service.updates.take(Duration::ZERO));
    assert_eq!(serial(&setting), 1);
    setting.service.updates.close();
    assert!(setting.service.updates.add(name("example."), Vec::new(), "192.0.2.7:4000".parse().expect("an address"), None).is_none());
}
