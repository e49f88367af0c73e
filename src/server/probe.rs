//! What a confined server can still do, tried from inside: for tests of the sandbox, which see more from here than from outside.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process;
use std::thread;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::confine::confine;
use super::load::{Sources, StartOptions};
use super::logs;
use super::run::RunError;
use super::state;
use super::system;

/// Something that the sandbox ends the process for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    StartProgram,
    PacketSocket,
}

/// Confines this process as a server would be, and reports what one of its threads may do.
pub fn probe(options: &StartOptions, violation: Option<Violation>) -> Result<Value, RunError> {
    let sources = Sources::read(options).map_err(RunError::Files)?;
    logs::start(&sources.settings.log);
    let state = state::folder(&sources.settings.server).ok();
    let folders: Vec<&Path> = state.as_deref().into_iter().collect();
    let serve_as = system::serve_as(sources.settings.server.user.as_deref()).map_err(RunError::Privileges)?;
    confine(&serve_as, &sources, &folders, &folders).map_err(RunError::Privileges)?;
    // Workers are threads that are started after this.
    let inside = thread::spawn(move || {
        let report = report(&sources, state.as_deref());
        if let Some(violation) = violation {
            violate(violation);
        }
        report
    });
    inside.join().map_err(|_| RunError::WorkerEnded(0))
}

fn report(sources: &Sources, state: Option<&Path>) -> Value {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let rows = status.lines().filter_map(|line| line.split_once(':')).filter(|(key, _)| {
        ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"].contains(key)
    });
    let status: serde_json::Map<String, Value> = rows.map(|(key, value)| (key.to_owned(), json!(value.trim()))).collect();
    let config = sources.config_file.as_deref();
    json!({
        "status": status,
        "reads /etc/passwd": fs::read("/etc/passwd").is_ok(),
        "reads configuration": config.is_some_and(|file| fs::read(file).is_ok()),
        "writes beside configuration": config.is_some_and(|file| can_write(file.parent().unwrap_or(Path::new(".")))),
        "writes state": state.is_some_and(can_write),
        "writes zones": sources.zone_folder.as_deref().is_some_and(can_write),
        "binds a high port": UdpSocket::bind("127.0.0.1:0").is_ok(),
    })
}

fn can_write(folder: &Path) -> bool {
    let file = folder.join(format!(".cairn-probe-{}", process::id()));
    let written = fs::write(&file, "").is_ok();
    written && fs::remove_file(&file).is_ok()
}

fn violate(violation: Violation) {
    // Neither returns while the sandbox is in force.
    match violation {
        Violation::StartProgram => drop(process::Command::new("/bin/true").status()),
        Violation::PacketSocket => drop(Socket::new(Domain::PACKET, Type::RAW, None)),
    }
}
