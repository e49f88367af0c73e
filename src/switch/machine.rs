//! What is done beside files: Cairn is asked, the system's tools are run, a name is resolved, time passes.

use std::fs;
use std::io::{self, Read, Seek};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::env::{BootTime, Clock, RealClock};
use crate::limits::switch::{PROBES_MAX, TOOL_OUTPUT_BYTES_MAX, TOOL_RUN_MAX};
use crate::record::{Name, Question, Rcode, Rtype};
use crate::server::{Health, health};

/// A machine; in tests one that does as it is told.
pub trait Machine {
    /// Whether a server at this address resolves the name; an error says what came instead.
    fn probe(&self, address: SocketAddr, name: &Name) -> Result<(), String>;
    /// Runs a tool of the system, and returns what it printed.
    fn run(&self, words: &[String]) -> Result<String, String>;
    /// Resolves the name as any program does.
    fn look_up(&self, name: &Name, limit: Duration) -> Result<(), String>;
    fn now(&self) -> BootTime;
    fn pause(&self, time: Duration);
}

/// This machine. `is_whole_system`: with another root only files are changed, since tools would act on the system that runs.
pub struct RealMachine {
    pub is_whole_system: bool,
}

/// Between two looks at a process that has not ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Machine for RealMachine {
    fn probe(&self, address: SocketAddr, name: &Name) -> Result<(), String> {
        if !self.is_whole_system {
            return Ok(());
        }
        let mut last = String::new();
        for _ in 0..PROBES_MAX {
            match health(address, &Question::new(name.clone(), Rtype::A)) {
                Health::Answered { rcode: Rcode::NOERROR, .. } => return Ok(()),
                Health::Answered { rcode: Rcode::REFUSED, .. } => {
                    return Err(format!("{address} answers REFUSED: `server.allow` must have this machine"));
                }
                Health::Answered { rcode, .. } => return Err(format!("{address} answers {rcode} for {name}: `--name` tests another name")),
                Health::Fails => last = format!("{address} answers SERVFAIL for {name}: `cairn explain {name}` tells why"),
                Health::Silent(reason) => last = format!("no answer from {address}: {reason}"),
            }
        }
        Err(last)
    }

    fn run(&self, words: &[String]) -> Result<String, String> {
        if !self.is_whole_system {
            return Ok(String::new());
        }
        let Some((program, arguments)) = words.split_first() else { return Ok(String::new()) };
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", path()).env("LC_ALL", "C");
        let told = |error: String| format!("`{}`: {error}", words.join(" "));
        match self.finished(command, TOOL_RUN_MAX) {
            Ok((status, output)) if status.success() => Ok(output),
            Ok((status, output)) => Err(told(format!("{status}: {}", output.trim()))),
            Err(error) => Err(told(error.to_string())),
        }
    }

    fn look_up(&self, name: &Name, limit: Duration) -> Result<(), String> {
        if !self.is_whole_system {
            return Ok(());
        }
        let mut command = Command::new("/proc/self/exe");
        command.args(["system", "look-up", &name.to_string()]);
        match self.finished(command, limit) {
            Ok((status, _)) if status.success() => Ok(()),
            Ok((_, output)) => Err(format!("{name} does not resolve: {}", output.trim())),
            Err(error) => Err(format!("{name} does not resolve: {error}")),
        }
    }

    fn now(&self) -> BootTime {
        RealClock.boot()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl RealMachine {
    /// The end of the process and what it printed. Output goes to a file in memory: a pipe could be held open by what a tool
    /// starts, long after the tool has ended.
    fn finished(&self, mut command: Command, limit: Duration) -> io::Result<(ExitStatus, String)> {
        let output = rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut output = fs::File::from(output);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        let mut child = command.spawn()?;
        let status = self.waited(&mut child, limit)?;
        let mut bytes = Vec::new();
        output.rewind()?;
        output.take(TOOL_OUTPUT_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn waited(&self, child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
        let begun = self.now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.now().since(begun) >= limit {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("has not ended within {} s", limit.as_secs())));
            }
            self.pause(LOOK_AGAIN);
        }
    }
}

/// The tools stand in folders that are not in everybody's path.
fn path() -> String {
    let own = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    format!("{own}:/usr/sbin:/sbin")
}

/// The user of this process: the owner of its folder below /proc.
pub fn own_uid() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|meta| meta.uid())
}

/// Whether this process may change the system.
pub fn is_root() -> bool {
    own_uid() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<String, String> {
        RealMachine { is_whole_system: true }.run(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn tools_end_and_tell() {
        assert_eq!(run(&["echo", "a", "b"]), Ok("a b\n".to_owned()));
        let failed = run(&["sh", "-c", "echo no >&2; exit 3"]).expect_err("exit code 3");
        assert!(failed.ends_with("exit status: 3: no"), "{failed}");
        assert!(run(&["no-such-tool-of-cairn"]).is_err_and(|why| why.contains("No such file")));
        // What it leaves behind keeps its output open.
        assert_eq!(run(&["sh", "-c", "sleep 5 & echo done"]), Ok("done\n".to_owned()));
    }

    #[test]
    fn a_tool_that_hangs_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let ended = RealMachine { is_whole_system: true }.finished(command, Duration::from_millis(50)).expect_err("too slow");
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
