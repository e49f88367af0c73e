//! The control socket: how `cairn explain`, `cairn cache` and `cairn stats` talk to the running server.
//!
//! A Unix socket that only its owner may open (folder 0700, socket 0600). A command is one JSON object on one line; the answer
//! is any number of JSON lines, and ends when the server closes the connection. The first server keeps the socket; a second one
//! on the same machine runs without.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::command::{Command, Opened, Order, Reply};
use super::engine::Engine;
use super::life::Life;
use super::load::{StartOptions, configuration_as_far_as_it_goes};
use super::passed_file;
use super::state;
use super::system::{account_name, belongs_to_us};
use crate::answer::Explain;
use crate::limits::server::{
    CONTROL_CONNECTIONS_MAX, CONTROL_LINES_MAX, CONTROL_RELOAD_WAIT_MAX, CONTROL_REQUEST_BYTES_MAX, CONTROL_WAIT_MAX, LIST_PAUSE_MAX,
};
use crate::record::{Name, Question, Rtype};

/// A command in its wire form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Explain {
        name: String,
        rtype: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<IpAddr>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<SocketAddr>,
        #[serde(default = "set", skip_serializing_if = "is_set")]
        recursion_desired: bool,
        #[serde(default)]
        checking_disabled: bool,
    },
    Flush {
        name: String,
        subtree: bool,
    },
    Dump,
    Save {
        file: PathBuf,
    },
    Load {
        file: PathBuf,
    },
    Stats,
    Status,
    Settings,
    Reload,
    Trust,
    NegativeAdd {
        name: String,
        seconds: Option<u64>,
    },
    NegativeList,
    NegativeRemove {
        name: String,
    },
    ZoneRetransfer {
        name: String,
    },
    ZoneNotify {
        name: String,
    },
    ZoneSignStatus {
        name: String,
    },
    ZoneSignRoll {
        name: String,
        what: Option<String>,
    },
    ListStatus,
    ListUpdate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default)]
        accept: bool,
    },
    ListPause {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<String>,
        seconds: u64,
    },
    ListResume {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<String>,
    },
    ListWhich {
        name: String,
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        rtype: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<IpAddr>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<SocketAddr>,
    },
}

fn set() -> bool {
    true
}

fn is_set(flag: &bool) -> bool {
    *flag
}

/// Holds the socket; dropping it removes the socket file.
pub(super) struct Serving {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// What the life of the server does itself, and no engine.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) life: Arc<Life>,
    pub(super) order: mpsc::Sender<Order>,
}

/// A control socket that listens, before there is anybody who answers.
pub(super) struct Bound {
    path: PathBuf,
    listener: StdListener,
}

impl Bound {
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// What the user of the server gets: the folder, so that it can remove the socket at the end; but of a folder with other
    /// files in it, such as `/run`, the socket alone.
    pub(super) fn given(&self) -> &Path {
        let is_other = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| Some(&*entry.file_name()) != self.path.file_name());
        let is_shared = fs::read_dir(self.folder()).is_ok_and(|mut entries| entries.any(is_other));
        if is_shared { &self.path } else { self.folder() }
    }
}

/// Answers what comes in. Inside a runtime.
pub(super) fn serve(bound: Bound, engine: Arc<dyn Engine>, control: Control) -> Option<Serving> {
    let Bound { path, listener } = bound;
    match UnixListener::from_std(listener) {
        Ok(listener) => Some(Serving { task: tokio::spawn(accept(listener, engine, control)), path }),
        Err(error) => {
            warn!(%error, "no control socket at {}", path.display());
            None
        }
    }
}

/// Listens at `path`; `user` is `server.user`. A server that cannot have a control socket serves all the same.
pub(super) fn bind(path: PathBuf, user: Option<&str>) -> Option<Bound> {
    match listen(&path, user) {
        Ok(Some(listener)) => Some(Bound { path, listener }),
        Ok(None) => {
            warn!("no control socket, so no `cairn status`, `cairn reload` for this server: another Cairn has {}", path.display());
            None
        }
        Err(error) => {
            warn!(
                "no control socket, so no `cairn status`, `cairn reload` for this server: {} cannot be made: {error}; `control-socket` \
                 below [server] names another place",
                path.display()
            );
            None
        }
    }
}

/// Where a server puts its socket.
pub(super) fn place(configured: Option<&Path>) -> PathBuf {
    configured.map(Path::to_owned).or_else(|| default_places().next()).unwrap_or_else(|| PathBuf::from("control.sock"))
}

/// Where the running server may be reached: at the socket that is named; else at that of the configuration file that is
/// named, or of the default one; else at the default places.
pub fn places(named: Option<&Path>, config: Option<&Path>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.to_owned()];
    }
    let options = StartOptions { config: config.map(Path::to_owned), ..StartOptions::default() };
    let (configuration, _) = configuration_as_far_as_it_goes(&options);
    match configuration.settings.server.control_socket {
        Some(path) if config.is_some() => vec![path],
        path => path.into_iter().chain(default_places()).collect(),
    }
}

/// Asks the server at the first place that has one; each line of the answer goes to `each`. False when no server is there.
pub fn ask(places: &[PathBuf], command: &Command, mut each: impl FnMut(Value)) -> io::Result<bool> {
    ask_each(places, command, &mut each)
}

fn ask_each(places: &[PathBuf], command: &Command, each: &mut dyn FnMut(Value)) -> io::Result<bool> {
    let Some(mut stream) = places.iter().find_map(|path| UnixStream::connect(path).ok()) else { return Ok(false) };
    stream.set_read_timeout(Some(patience(command)))?;
    let line = match command {
        Command::Explain(Explain { question, client, at, recursion_desired, checking_disabled }) => Line::Explain {
            name: question.name.to_string(),
            rtype: question.rtype.to_string(),
            client: *client,
            at: *at,
            recursion_desired: *recursion_desired,
            checking_disabled: *checking_disabled,
        },
        Command::Flush { name, subtree } => Line::Flush { name: name.to_string(), subtree: *subtree },
        Command::Dump => Line::Dump,
        Command::Save { file, .. } => Line::Save { file: file.clone() },
        Command::Load { file, .. } => Line::Load { file: file.clone() },
        Command::Stats => Line::Stats,
        Command::Status => Line::Status,
        Command::Settings => Line::Settings,
        Command::Reload => Line::Reload,
        Command::Trust => Line::Trust,
        Command::NegativeAdd { name, seconds } => Line::NegativeAdd { name: name.to_string(), seconds: *seconds },
        Command::NegativeList => Line::NegativeList,
        Command::NegativeRemove { name } => Line::NegativeRemove { name: name.to_string() },
        Command::ZoneRetransfer { name } => Line::ZoneRetransfer { name: name.to_string() },
        Command::ZoneNotify { name } => Line::ZoneNotify { name: name.to_string() },
        Command::ZoneSignStatus { name } => Line::ZoneSignStatus { name: name.to_string() },
        Command::ZoneSignRoll { name, what } => Line::ZoneSignRoll { name: name.to_string(), what: what.clone() },
        Command::ListStatus => Line::ListStatus,
        Command::ListUpdate { name, accept } => Line::ListUpdate { name: name.clone(), accept: *accept },
        Command::ListPause { view, length } => Line::ListPause { view: view.clone(), seconds: length.as_secs() },
        Command::ListResume { view } => Line::ListResume { view: view.clone() },
        Command::ListWhich { name, rtype, client, at } => {
            Line::ListWhich { name: name.to_string(), rtype: rtype.map(|rtype| rtype.to_string()), client: *client, at: *at }
        }
    };
    let line = format!("{}\n", serde_json::to_string(&line)?);
    let (file, outcome) = match command {
        Command::Save { file, .. } => (file, save_to(file, &mut stream, &line, each)),
        Command::Load { file, .. } => {
            let loaded = passed_file::open(file).and_then(|opened| passed_file::send(&mut stream, line.as_bytes(), &opened));
            (file, loaded.and_then(|()| all_lines(&mut stream, each).map(|_| ())))
        }
        _ => {
            stream.write_all(line.as_bytes())?;
            all_lines(&mut stream, each)?;
            return Ok(true);
        }
    };
    if let Err(error) = outcome {
        each(json!({ "error": format!("{}: {error}", file.display()) }));
    }
    Ok(true)
}

/// The file is there, whole, when the server has written all of it, and otherwise it is as it was.
fn save_to(file: &Path, stream: &mut UnixStream, line: &str, each: &mut dyn FnMut(Value)) -> io::Result<()> {
    let mut is_refused = false;
    let outcome = state::replace_with(file, |opened| {
        passed_file::send(stream, line.as_bytes(), &*opened)?;
        is_refused = !all_lines(stream, each)?;
        if is_refused { Err(io::Error::other("the server did not write it")) } else { Ok(()) }
    });
    // Why has been told already.
    outcome.or_else(|error| if is_refused { Ok(()) } else { Err(error) })
}

/// False when one of them tells of an error.
fn all_lines(stream: &mut UnixStream, each: &mut dyn FnMut(Value)) -> io::Result<bool> {
    let mut good = true;
    for line in BufReader::new(stream).lines() {
        let value: Value = serde_json::from_str(&line?)?;
        good &= value.get("error").is_none();
        each(value);
    }
    Ok(good)
}

/// Why no server could be reached: what was found at each path.
pub fn why_no_server(places: &[PathBuf]) -> String {
    let found = places.iter().map(|path| {
        let why = match UnixStream::connect(path).map_err(|error| error.kind()) {
            Ok(_) => "is in use".to_owned(),
            Err(io::ErrorKind::PermissionDenied) => out_of_reach(path),
            Err(io::ErrorKind::ConnectionRefused) => "was left behind by a server that has ended".to_owned(),
            Err(_) => "is not there".to_owned(),
        };
        format!("{} {why}", path.display())
    });
    found.collect::<Vec<_>>().join(", ")
}

/// Whose the socket is, as far as this user may see, and how to ask all the same.
fn out_of_reach(socket: &Path) -> String {
    let seen = socket.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
    let Some((seen, metadata)) = seen else { return "may not be used by this user; ask as root, with `sudo`".to_owned() };
    let owner = account_name(metadata.uid());
    let (who, way) = match metadata.uid() {
        0 => ("root".to_owned(), "with `sudo`".to_owned()),
        _ => (format!("{owner} and root"), format!("with `sudo` or `sudo -u {owner}`")),
    };
    format!("may be used by {who} only ({} has mode {:o}): ask {way}", seen.display(), metadata.mode() & 0o777)
}

/// A reload reads every zone before it tells anything, and a transfer of a large zone takes long too.
fn patience(command: &Command) -> Duration {
    let is_long = matches!(
        command,
        Command::Reload
            | Command::ListUpdate { .. }
            | Command::ListWhich { .. }
            | Command::ZoneRetransfer { .. }
            | Command::ZoneSignRoll { .. }
    );
    if is_long { CONTROL_RELOAD_WAIT_MAX } else { CONTROL_WAIT_MAX }
}

/// The user's own run-time folder, then the system's.
fn default_places() -> impl Iterator<Item = PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    own.into_iter().chain([PathBuf::from("/run")]).map(|folder| folder.join("cairn/control.sock"))
}

/// `None` if a live server has the path. A socket that a dead server left behind is replaced.
fn listen(path: &Path, user: Option<&str>) -> io::Result<Option<StdListener>> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        belongs_to_us(folder, user)?;
    }
    if UnixStream::connect(path).is_ok() {
        return Ok(None);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Before it has a name: root makes it in a folder of the server's user, who could put something else in place of the name.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(CONTROL_CONNECTIONS_MAX as i32)?;
    Ok(Some(OwnedFd::from(socket).into()))
}

async fn accept(listener: UnixListener, engine: Arc<dyn Engine>, control: Control) {
    let permits = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (engine, control) = (engine.clone(), control.clone());
                tokio::spawn(async move {
                    // A client may leave at any time; that is no error.
                    let _ = converse(stream, &*engine, &control).await;
                    drop(permit);
                });
            }
            // For instance, no descriptor is left: an immediate retry would only waste processor time.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(stream: tokio::net::UnixStream, engine: &dyn Engine, control: &Control) -> io::Result<()> {
    let (line, opened) = timeout(CONTROL_WAIT_MAX, request(&stream)).await??;
    let (_reader, mut writer) = stream.into_split();
    let (sender, mut lines) = mpsc::channel(CONTROL_LINES_MAX);
    let reply = Reply(sender);
    let parsed = parse(&line, opened);
    let patience = parsed.as_ref().map_or(CONTROL_WAIT_MAX, patience);
    match parsed {
        Ok(Command::Status) => {
            reply.line(control.life.status(engine.status()));
            drop(reply);
        }
        Ok(Command::Settings) => {
            control.life.settings().into_iter().for_each(|line| {
                reply.line(line);
            });
            drop(reply);
        }
        Ok(Command::Reload) => {
            // Fails only where the server is on its way out: the reply then ends without a word.
            let _ = control.order.send(Order::Reload(Some(reply))).await;
        }
        Ok(command) => engine.command(command, reply),
        Err(what) => {
            reply.error(what);
            drop(reply);
        }
    }
    while let Some(value) = timeout(patience, lines.recv()).await? {
        let text = format!("{value}\n");
        timeout(CONTROL_WAIT_MAX, writer.write_all(text.as_bytes())).await??;
    }
    Ok(())
}

/// One line, and the file that came beside it.
async fn request(stream: &tokio::net::UnixStream) -> io::Result<(String, Option<Opened>)> {
    let (mut bytes, mut opened) = (Vec::new(), None);
    while !bytes.contains(&b'\n') && bytes.len() < CONTROL_REQUEST_BYTES_MAX {
        stream.readable().await?;
        let mut part = [0; 4096];
        match stream.try_io(Interest::READABLE, || passed_file::receive(stream, &mut part)) {
            Ok((0, _)) => break,
            Ok((count, passed)) => {
                bytes.extend_from_slice(&part[..count]);
                if let Some(passed) = passed {
                    opened = Some(Opened(Arc::new(passed_file::regular(File::from(passed))?)));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok((String::from_utf8_lossy(line).into_owned(), opened))
}

fn parse(line: &str, opened: Option<Opened>) -> Result<Command, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("not a valid command: {error}"))?;
    let name_of = |text: &str| Name::parse(text).map_err(|error| format!("\"{text}\" is not a domain name: {error}"));
    let rtype_of = |text: &str| text.parse::<Rtype>().map_err(|_| format!("\"{text}\" is not a record type"));
    Ok(match line {
        Line::Explain { name, rtype, client, at, recursion_desired, checking_disabled } => {
            let question = Question::new(name_of(&name)?, rtype_of(&rtype)?);
            Command::Explain(Explain { question, client, at, recursion_desired, checking_disabled })
        }
        Line::Flush { name, subtree } => Command::Flush { name: name_of(&name)?, subtree },
        Line::Dump => Command::Dump,
        Line::Save { file } => Command::Save { file, opened },
        Line::Load { file } => Command::Load { file, opened },
        Line::Stats => Command::Stats,
        Line::Status => Command::Status,
        Line::Settings => Command::Settings,
        Line::Reload => Command::Reload,
        Line::Trust => Command::Trust,
        Line::NegativeAdd { name, seconds } => Command::NegativeAdd { name: name_of(&name)?, seconds },
        Line::NegativeList => Command::NegativeList,
        Line::NegativeRemove { name } => Command::NegativeRemove { name: name_of(&name)? },
        Line::ZoneRetransfer { name } => Command::ZoneRetransfer { name: name_of(&name)? },
        Line::ZoneNotify { name } => Command::ZoneNotify { name: name_of(&name)? },
        Line::ZoneSignStatus { name } => Command::ZoneSignStatus { name: name_of(&name)? },
        Line::ZoneSignRoll { name, what } => Command::ZoneSignRoll { name: name_of(&name)?, what },
        Line::ListStatus => Command::ListStatus,
        Line::ListUpdate { name, accept } => Command::ListUpdate { name, accept },
        Line::ListPause { view, seconds } => {
            let length = Duration::from_secs(seconds);
            if length.is_zero() || length > LIST_PAUSE_MAX {
                return Err(format!("a pause lasts from 1 s to {} days", LIST_PAUSE_MAX.as_secs() / 86_400));
            }
            Command::ListPause { view, length }
        }
        Line::ListResume { view } => Command::ListResume { view },
        Line::ListWhich { name, rtype, client, at } => {
            let rtype = rtype.map(|rtype| rtype_of(&rtype)).transpose()?;
            Command::ListWhich { name: name_of(&name)?, rtype, client, at }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::engine::testing::Idle;
    use super::super::load::Sources;
    use super::super::scratch::Scratch;
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    /// A server that reloads nothing, and says so.
    fn control() -> Control {
        let scratch = Scratch::new();
        let config = Some(scratch.write("cairn.toml", ""));
        let sources = Sources::read(&StartOptions { config, ..StartOptions::default() }).expect("all is right");
        let (order, mut orders) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(Order::Reload(Some(reply))) = orders.recv().await {
                reply.line(json!({ "good": false }));
            }
        });
        Control { life: Arc::new(Life::new(&sources, &["127.0.0.1:53".parse().expect("an address")], "user cairn".to_owned())), order }
    }

    /// Runs `asking` on a thread of its own beside a server at `path`.
    fn beside_a_server<T: Send + 'static>(path: PathBuf, asking: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let bound = bind(path.clone(), None).expect("the place is free");
            let _serving = serve(bound, Arc::new(Idle::default()), control()).expect("inside a runtime");
            tokio::task::spawn_blocking(move || asking(path)).await.expect("no panic")
        })
    }

    fn all_lines_of(path: &Path, command: &Command) -> Vec<Value> {
        let mut lines = Vec::new();
        assert!(ask(&[path.to_owned()], command, |line| lines.push(line)).expect("answered"));
        lines
    }

    #[test]
    fn a_folder_with_files_of_others_is_not_given_away() {
        let scratch = Scratch::new();
        let folder = scratch.path().join("run");
        let bound = bind(folder.join("control.sock"), None).expect("the place is free");
        assert_eq!(bound.given(), folder);
        fs::write(folder.join("other.pid"), "").expect("a file");
        assert_eq!(bound.given(), folder.join("control.sock"));
    }

    #[test]
    fn commands_go_over_and_lines_come_back() {
        let scratch = Scratch::new();
        let path = scratch.path().join("run/control.sock");
        beside_a_server(path.clone(), |path| {
            let name = Name::parse("a\\.b.example.").expect("a name");
            for command in [
                Command::Stats,
                Command::Dump,
                Command::Flush { name: name.clone(), subtree: true },
                Command::Trust,
                Command::NegativeAdd { name: name.clone(), seconds: Some(60) },
                Command::NegativeList,
                Command::NegativeRemove { name: name.clone() },
                Command::Explain(Explain::new(Question::new(name.clone(), Rtype(731)), None)),
                Command::ListWhich { name: name.clone(), rtype: None, client: None, at: None },
                Command::ListWhich {
                    name: name.clone(),
                    rtype: Some(Rtype(731)),
                    client: Some("192.0.2.9".parse().expect("an address")),
                    at: Some("192.0.2.53:853".parse().expect("an address")),
                },
                Command::Explain(Explain {
                    recursion_desired: false,
                    checking_disabled: true,
                    at: Some("[2001:db8::53]:853".parse().expect("an address")),
                    ..Explain::new(Question::new(name, Rtype::A), Some("192.0.2.9".parse().expect("an address")))
                }),
            ] {
                // The idle engine tells what it heard, twice.
                let heard = json!({ "heard": format!("{command:?}") });
                assert_eq!(all_lines_of(&path, &command), [heard.clone(), heard]);
            }
            assert_eq!(all_lines_of(&path, &Command::Reload), [json!({ "good": false })]);
            let status = &all_lines_of(&path, &Command::Status)[0];
            assert_eq!((&status["listening-on"], &status["last-reload"]), (&json!(["127.0.0.1:53"]), &Value::Null));
            assert_eq!(status["privileges"], "user cairn");
            assert!(all_lines_of(&path, &Command::Settings).contains(&json!({ "key": "recursion.dnssec", "in-force": "true" })));
            let mode = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let folder = fs::metadata(path.parent().expect("below a folder")).expect("it is there").permissions().mode();
            assert_eq!(folder & 0o777, 0o700);
        });
        assert!(!path.exists(), "the socket is taken away at the end");
        assert!(!ask(&[path], &Command::Stats, |_| ()).expect("no server is no error"));
    }

    /// The server is given the files open, and the one that is written is put in its place when all is well.
    #[test]
    fn files_are_opened_by_who_asks() {
        let scratch = Scratch::new();
        let file = scratch.write("copy", "before");
        beside_a_server(scratch.path().join("run/control.sock"), move |path| {
            let load = Command::Load { file: file.clone(), opened: None };
            assert_eq!(all_lines_of(&path, &load)[0], json!({ "heard": format!("Load {{ file: {file:?}, opened: Some(Opened) }}") }));
            assert_eq!(fs::read_to_string(&file).expect("it is there"), "before");
            let save = Command::Save { file: file.clone(), opened: None };
            assert_eq!(all_lines_of(&path, &save)[0], json!({ "heard": format!("Save {{ file: {file:?}, opened: Some(Opened) }}") }));
            assert_eq!(fs::read_to_string(&file).expect("it is there"), "", "the idle engine writes nothing");
            for command in [
                Command::Load { file: file.with_file_name("none"), opened: None },
                Command::Save { file: file.join("below a file"), opened: None },
            ] {
                let told = all_lines_of(&path, &command);
                assert!(told.len() == 1 && told[0]["error"].is_string(), "{told:?}");
            }
        });
    }

    #[test]
    fn a_live_server_keeps_the_socket_and_a_dead_one_does_not() {
        let scratch = Scratch::new();
        let path = scratch.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("the place is free"));
        let other = path.clone();
        beside_a_server(path, move |path| {
            assert!(bind(path.clone(), None).is_none(), "it is taken");
            assert_eq!(all_lines_of(&path, &Command::Stats).len(), 2, "and still works");
        });
        assert!(!other.exists());
    }

    #[test]
    fn what_is_no_command_is_answered_with_an_error() {
        for (line, part) in [
            ("", "not a valid command"),
            ("{}", "not a valid command"),
            (r#"{"command":"dance"}"#, "unknown variant `dance`"),
            (r#"{"command":"flush","name":"a..b","subtree":false}"#, "\"a..b\" is not a domain name"),
            (r#"{"command":"explain","name":"a","rtype":"QQ"}"#, "\"QQ\" is not a record type"),
        ] {
            let what = parse(line, None).expect_err(line);
            assert!(what.contains(part), "{line}: {what}");
        }
        let scratch = Scratch::new();
        beside_a_server(scratch.path().join("control.sock"), |path| {
            let mut stream = UnixStream::connect(path).expect("it listens");
            writeln!(stream, "hello").expect("it reads");
            let answer = io::read_to_string(stream).expect("it answers and closes");
            assert!(answer.starts_with("{\"error\":\"not a valid command"), "{answer}");
        });
    }
}
