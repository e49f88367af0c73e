//! The control socket: how `cairn explain`, `cairn cache` and `cairn stats` talk to the running server.
//!
//! A Unix socket that its owner alone may open (folder 0700, socket 0600). One JSON object on one line asks; the
//! answer is any number of JSON lines, and ends when the server closes. The server that is there first keeps the
//! socket; a second one on the same machine does without.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::command::{Command, Order, Reply};
use super::engine::Engine;
use super::life::Life;
use super::load::{StartOptions, configuration_as_far_as_it_goes};
use super::system::belongs_to_us;
use crate::answer::Explain;
use crate::limits::server::{
    CONTROL_CONNECTIONS_MAX, CONTROL_LINES_MAX, CONTROL_RELOAD_WAIT_MAX, CONTROL_REQUEST_BYTES_MAX, CONTROL_WAIT_MAX,
};
use crate::record::{Name, Question};

/// A command as it stands on the line.
#[derive(Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Explain {
        name: String,
        rtype: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<IpAddr>,
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
}

fn set() -> bool {
    true
}

fn is_set(flag: &bool) -> bool {
    *flag
}

/// Holds the socket; dropping it takes the socket away.
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

/// Listens at `path`. A server that cannot have a control socket serves all the same.
pub(super) fn serve(path: PathBuf, engine: Arc<dyn Engine>, control: Control) -> Option<Serving> {
    match listen(&path) {
        Ok(Some(listener)) => Some(Serving { task: tokio::spawn(accept(listener, engine, control)), path }),
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
    let Some(mut stream) = places.iter().find_map(|path| UnixStream::connect(path).ok()) else { return Ok(false) };
    stream.set_read_timeout(Some(patience(command)))?;
    let line = match command {
        Command::Explain(Explain { question, client, recursion_desired, checking_disabled }) => Line::Explain {
            name: question.name.to_string(),
            rtype: question.rtype.to_string(),
            client: *client,
            recursion_desired: *recursion_desired,
            checking_disabled: *checking_disabled,
        },
        Command::Flush { name, subtree } => Line::Flush { name: name.to_string(), subtree: *subtree },
        Command::Dump => Line::Dump,
        Command::Save { file } => Line::Save { file: file.clone() },
        Command::Load { file } => Line::Load { file: file.clone() },
        Command::Stats => Line::Stats,
        Command::Status => Line::Status,
        Command::Settings => Line::Settings,
        Command::Reload => Line::Reload,
        Command::Trust => Line::Trust,
        Command::NegativeAdd { name, seconds } => Line::NegativeAdd { name: name.to_string(), seconds: *seconds },
        Command::NegativeList => Line::NegativeList,
        Command::NegativeRemove { name } => Line::NegativeRemove { name: name.to_string() },
    };
    writeln!(stream, "{}", serde_json::to_string(&line)?)?;
    for line in BufReader::new(stream).lines() {
        each(serde_json::from_str(&line?)?);
    }
    Ok(true)
}

/// Reason no server could be asked: what was found at each place.
pub fn why_no_server(places: &[PathBuf]) -> String {
    let found = places.iter().map(|path| {
        let why = match UnixStream::connect(path).map_err(|error| error.kind()) {
            Ok(_) => "in use",
            Err(io::ErrorKind::PermissionDenied) => "another user's: ask as that user or as root",
            Err(io::ErrorKind::ConnectionRefused) => "left behind by a server that has ended",
            Err(_) => "not there",
        };
        format!("{} is {why}", path.display())
    });
    found.collect::<Vec<_>>().join(", ")
}

/// A reload reads every zone before it tells anything.
fn patience(command: &Command) -> Duration {
    if *command == Command::Reload { CONTROL_RELOAD_WAIT_MAX } else { CONTROL_WAIT_MAX }
}

/// The user's own run-time folder, then the system's.
fn default_places() -> impl Iterator<Item = PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    own.into_iter().chain([PathBuf::from("/run")]).map(|folder| folder.join("cairn/control.sock"))
}

/// `None` when a live server has it. What a dead one left behind is replaced.
fn listen(path: &Path) -> io::Result<Option<UnixListener>> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        belongs_to_us(folder)?;
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
    socket.bind(&SockAddr::unix(path)?)?;
    // Before it listens nobody can connect: there is no moment in which others may.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(CONTROL_CONNECTIONS_MAX as i32)?;
    UnixListener::from_std(OwnedFd::from(socket).into()).map(Some)
}

async fn accept(listener: UnixListener, engine: Arc<dyn Engine>, control: Control) {
    let permits = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (engine, control) = (engine.clone(), control.clone());
                tokio::spawn(async move {
                    // The one who asked may leave at any time, which is no news.
                    let _ = converse(stream, &*engine, &control).await;
                    drop(permit);
                });
            }
            // Out of descriptors, for instance: trying again at once would only burn the processor.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(stream: tokio::net::UnixStream, engine: &dyn Engine, control: &Control) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    timeout(CONTROL_WAIT_MAX, tokio::io::BufReader::new(reader.take(CONTROL_REQUEST_BYTES_MAX)).read_line(&mut line)).await??;
    let (sender, mut lines) = mpsc::channel(CONTROL_LINES_MAX);
    let reply = Reply(sender);
    let parsed = parse(&line);
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

fn parse(line: &str) -> Result<Command, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("this is no command: {error}"))?;
    let name_of = |text: &str| Name::parse(text).map_err(|error| format!("\"{text}\" is not a domain name: {error}"));
    Ok(match line {
        Line::Explain { name, rtype, client, recursion_desired, checking_disabled } => {
            let rtype = rtype.parse().map_err(|_| format!("\"{rtype}\" is not a record type"))?;
            Command::Explain(Explain { question: Question::new(name_of(&name)?, rtype), client, recursion_desired, checking_disabled })
        }
        Line::Flush { name, subtree } => Command::Flush { name: name_of(&name)?, subtree },
        Line::Dump => Command::Dump,
        Line::Save { file } => Command::Save { file },
        Line::Load { file } => Command::Load { file },
        Line::Stats => Command::Stats,
        Line::Status => Command::Status,
        Line::Settings => Command::Settings,
        Line::Reload => Command::Reload,
        Line::Trust => Command::Trust,
        Line::NegativeAdd { name, seconds } => Command::NegativeAdd { name: name_of(&name)?, seconds },
        Line::NegativeList => Command::NegativeList,
        Line::NegativeRemove { name } => Command::NegativeRemove { name: name_of(&name)? },
    })
}

#[cfg(test)]
mod tests {
    use super::super::engine::testing::Idle;
    use super::super::load::Sources;
    use super::super::scratch::Scratch;
    use super::*;
    use crate::record::Rtype;
    use serde_json::json;

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
        Control { life: Arc::new(Life::new(&sources, &["127.0.0.1:53".parse().expect("an address")])), order }
    }

    /// Runs `asking` on a thread of its own beside a server at `path`.
    fn beside_a_server<T: Send + 'static>(path: PathBuf, asking: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let _serving = serve(path.clone(), Arc::new(Idle::default()), control()).expect("the place is free");
            tokio::task::spawn_blocking(move || asking(path)).await.expect("no panic")
        })
    }

    fn all_lines(path: &Path, command: &Command) -> Vec<Value> {
        let mut lines = Vec::new();
        assert!(ask(&[path.to_owned()], command, |line| lines.push(line)).expect("answered"));
        lines
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
                Command::Save { file: "/tmp/a b".into() },
                Command::Load { file: "/tmp/a b".into() },
                Command::Flush { name: name.clone(), subtree: true },
                Command::Trust,
                Command::NegativeAdd { name: name.clone(), seconds: Some(60) },
                Command::NegativeList,
                Command::NegativeRemove { name: name.clone() },
                Command::Explain(Explain::new(Question::new(name.clone(), Rtype(731)), None)),
                Command::Explain(Explain {
                    recursion_desired: false,
                    checking_disabled: true,
                    ..Explain::new(Question::new(name, Rtype::A), Some("192.0.2.9".parse().expect("an address")))
                }),
            ] {
                // The idle engine tells what it heard, twice.
                let heard = json!({ "heard": format!("{command:?}") });
                assert_eq!(all_lines(&path, &command), [heard.clone(), heard]);
            }
            assert_eq!(all_lines(&path, &Command::Reload), [json!({ "good": false })]);
            let status = &all_lines(&path, &Command::Status)[0];
            assert_eq!((&status["listening-on"], &status["last-reload"]), (&json!(["127.0.0.1:53"]), &Value::Null));
            assert!(all_lines(&path, &Command::Settings).contains(&json!({ "key": "recursion.dnssec", "in-force": "true" })));
            let mode = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let folder = fs::metadata(path.parent().expect("below a folder")).expect("it is there").permissions().mode();
            assert_eq!(folder & 0o777, 0o700);
        });
        assert!(!path.exists(), "the socket is taken away at the end");
        assert!(!ask(&[path], &Command::Stats, |_| ()).expect("no server is no error"));
    }

    #[test]
    fn a_live_server_keeps_the_socket_and_a_dead_one_does_not() {
        let scratch = Scratch::new();
        let path = scratch.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("the place is free"));
        let other = path.clone();
        beside_a_server(path, move |path| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let _in_runtime = runtime.enter();
            assert!(serve(path.clone(), Arc::new(Idle::default()), control()).is_none(), "it is taken");
            assert_eq!(all_lines(&path, &Command::Stats).len(), 2, "and still works");
        });
        assert!(!other.exists());
    }

    #[test]
    fn what_is_no_command_is_answered_with_an_error() {
        for (line, part) in [
            ("", "this is no command"),
            ("{}", "this is no command"),
            (r#"{"command":"dance"}"#, "unknown variant `dance`"),
            (r#"{"command":"flush","name":"a..b","subtree":false}"#, "\"a..b\" is not a domain name"),
            (r#"{"command":"explain","name":"a","rtype":"QQ"}"#, "\"QQ\" is not a record type"),
        ] {
            let what = parse(line).expect_err(line);
            assert!(what.contains(part), "{line}: {what}");
        }
        let scratch = Scratch::new();
        beside_a_server(scratch.path().join("control.sock"), |path| {
            let mut stream = UnixStream::connect(path).expect("it listens");
            writeln!(stream, "hello").expect("it reads");
            let answer = io::read_to_string(stream).expect("it answers and closes");
            assert!(answer.starts_with("{\"error\":\"this is no command"), "{answer}");
        });
    }
}
