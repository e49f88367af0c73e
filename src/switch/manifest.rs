//! The memory between install and uninstall: each changed path with what was there before, written before anything changes.
//!
//! It lies in a folder of root, and not in the state folder: that one belongs to the server's user, and what is written here is
//! carried out with the rights of root.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::lines::without;
use super::machine::own_uid;
use super::plan::{Change, Plan, Tool};
use super::view::{Node, View};

/// Packages remove this folder at a purge.
pub const FOLDER: &str = "/var/lib/cairn-system";
const FILE: &str = "/var/lib/cairn-system/manifest.json";
const VERSION: u32 = 1;

/// How far an install has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing, some or all of the changes have been made, and no name has been tested yet.
    Switching,
    Installed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub stage: Stage,
    pub address: SocketAddr,
    pub owner: String,
    /// Folders that were made, each below those before it.
    pub folders: Vec<PathBuf>,
    pub made: Vec<Made>,
    pub tools: Vec<Tool>,
}

/// One change that was made, or was about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub path: PathBuf,
    pub before: Node,
    pub after: Digest,
    pub ours: Vec<String>,
    pub replaced: Vec<String>,
    pub in_place: bool,
}

/// What a path was given, without the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    Absent,
    File { sha256: String },
    Link { target: PathBuf },
}

impl Digest {
    pub fn of(node: &Node) -> Digest {
        match node {
            Node::Absent | Node::Other => Digest::Absent,
            Node::File { bytes, .. } => Digest::File { sha256: sha256(bytes) },
            Node::Link { target } => Digest::Link { target: target.clone() },
        }
    }

    /// Whether that is what is there now.
    pub fn is(&self, now: &Node) -> bool {
        *now != Node::Other && Digest::of(now) == *self
    }
}

impl Manifest {
    pub fn new(plan: &Plan) -> Manifest {
        Manifest {
            stage: Stage::Switching,
            address: plan.address,
            owner: plan.owner.key().to_owned(),
            folders: Vec::new(),
            made: Vec::new(),
            tools: Vec::new(),
        }
    }

    /// Takes the changes of a plan in. Where a path was changed before and our lines are still in it, what was there before that
    /// stays what an undo brings back; where others have written the file since, it is theirs.
    pub fn add(&mut self, plan: &Plan, view: &View) {
        (self.stage, self.address, self.owner) = (Stage::Switching, plan.address, plan.owner.key().to_owned());
        for change in &plan.changes {
            let known = self.made.iter().position(|made| made.path == change.path).map(|at| self.made.remove(at));
            self.made.push(merged(known, change));
            let folders =
                view.missing_folders(&change.path).into_iter().filter(|folder| !self.folders.contains(folder)).collect::<Vec<_>>();
            self.folders.extend(folders);
        }
        let new: Vec<Tool> = plan.tools.iter().filter(|tool| !self.tools.contains(tool)).cloned().collect();
        self.tools.extend(new);
    }

    /// `None` if there is none. An error if it cannot be believed.
    pub fn read(view: &View) -> io::Result<Option<Manifest>> {
        let (folder, file) = (Path::new(FOLDER), Path::new(FILE));
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{FILE}: {error}"));
        let Node::File { bytes, .. } = view.node(file).map_err(told)? else { return Ok(None) };
        for path in [folder, file] {
            let (uid, mode) = view.rights(path)?;
            if !is_believed(uid, mode) {
                let why = "others than root may write to it, so what it says is not carried out";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {why}", path.display())));
            }
        }
        let written: Written = serde_json::from_slice(&bytes).map_err(|error| told(io::Error::other(error)))?;
        written.read().map(Some).map_err(|why| told(io::Error::other(why)))
    }

    pub fn write(&self, view: &View) -> io::Result<()> {
        for folder in view.missing_folders(Path::new(FILE)) {
            view.make_folder(&folder, if folder == Path::new(FOLDER) { 0o700 } else { 0o755 })?;
        }
        let text = serde_json::to_string_pretty(&Written::of(self)).map_err(io::Error::other)?;
        view.put(Path::new(FILE), &Node::File { bytes: text.into_bytes(), mode: 0o600, uid: 0, gid: 0 }, false)
    }

    pub fn remove(view: &View) -> io::Result<()> {
        view.clean_beside(Path::new(FILE))?;
        view.put(Path::new(FILE), &Node::Absent, false)?;
        view.remove_empty_folder(Path::new(FOLDER))
    }
}

fn merged(known: Option<Made>, change: &Change) -> Made {
    let made = Made {
        path: change.path.clone(),
        before: change.before.clone(),
        after: Digest::of(&change.after),
        ours: change.ours.clone(),
        replaced: change.replaced.clone(),
        in_place: change.in_place,
    };
    match known {
        Some(known) if known.after.is(&change.before) => Made { before: known.before, replaced: known.replaced, ..made },
        // Edited beside our lines: what the edit would have been without us.
        Some(known) if has_ours(&change.before, &known.ours) => match (&known.before, change.before.text()) {
            (Node::File { .. }, Some(text)) => {
                Made { before: change.before.with_text(without(text, &known.ours, &known.replaced)), replaced: known.replaced, ..made }
            }
            _ => Made { before: known.before, replaced: known.replaced, ..made },
        },
        Some(_) | None => made,
    }
}

fn has_ours(node: &Node, ours: &[String]) -> bool {
    node.text().is_some_and(|text| without(text, ours, &[]) != text)
}

/// Of root, or of whoever runs this (tests), and written by nobody else.
fn is_believed(uid: u32, mode: u32) -> bool {
    const BY_OTHERS: u32 = 0o022;
    mode & BY_OTHERS == 0 && (uid == 0 || Some(uid) == own_uid())
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The manifest as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    version: u32,
    stage: Stage,
    address: SocketAddr,
    owner: String,
    folders: Vec<PathBuf>,
    changes: Vec<WrittenChange>,
    tools: Vec<Tool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenChange {
    path: PathBuf,
    before: WrittenNode,
    after: Digest,
    ours: Vec<String>,
    replaced: Vec<String>,
    in_place: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum WrittenNode {
    Absent,
    File { mode: u32, uid: u32, gid: u32, sha256: String, content: Content },
    Link { target: PathBuf },
}

/// Text can be read by whoever has to put a file back by hand.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Text(String),
    Octets(Vec<u8>),
}

impl Written {
    fn of(manifest: &Manifest) -> Written {
        let change = |made: &Made| WrittenChange {
            path: made.path.clone(),
            before: WrittenNode::of(&made.before),
            after: made.after.clone(),
            ours: made.ours.clone(),
            replaced: made.replaced.clone(),
            in_place: made.in_place,
        };
        Written {
            version: VERSION,
            stage: manifest.stage,
            address: manifest.address,
            owner: manifest.owner.clone(),
            folders: manifest.folders.clone(),
            changes: manifest.made.iter().map(change).collect(),
            tools: manifest.tools.clone(),
        }
    }

    fn read(self) -> Result<Manifest, String> {
        if self.version != VERSION {
            return Err(format!("it has version {}, and this program knows {VERSION}: undo with the program that made it", self.version));
        }
        let made = |change: WrittenChange| {
            let before = change.before.read().ok_or_else(|| format!("what was at {} is damaged", change.path.display()))?;
            let WrittenChange { path, after, ours, replaced, in_place, .. } = change;
            Ok::<_, String>(Made { path, before, after, ours, replaced, in_place })
        };
        Ok(Manifest {
            stage: self.stage,
            address: self.address,
            owner: self.owner,
            folders: self.folders,
            made: self.changes.into_iter().map(made).collect::<Result<_, _>>()?,
            tools: self.tools,
        })
    }
}

impl WrittenNode {
    fn of(node: &Node) -> WrittenNode {
        match node {
            Node::Absent | Node::Other => WrittenNode::Absent,
            Node::Link { target } => WrittenNode::Link { target: target.clone() },
            Node::File { bytes, mode, uid, gid } => {
                let content = match std::str::from_utf8(bytes) {
                    Ok(text) => Content::Text(text.to_owned()),
                    Err(_) => Content::Octets(bytes.clone()),
                };
                WrittenNode::File { mode: *mode, uid: *uid, gid: *gid, sha256: sha256(bytes), content }
            }
        }
    }

    /// `None` if the content is not what its hash says.
    fn read(self) -> Option<Node> {
        match self {
            WrittenNode::Absent => Some(Node::Absent),
            WrittenNode::Link { target } => Some(Node::Link { target }),
            WrittenNode::File { mode, uid, gid, sha256: expected, content } => {
                let bytes = match content {
                    Content::Text(text) => text.into_bytes(),
                    Content::Octets(octets) => octets,
                };
                (sha256(&bytes) == expected).then_some(Node::File { bytes, mode, uid, gid })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::owner::Owner;

    fn manifest() -> Manifest {
        let address: SocketAddr = "127.0.0.1:53".parse().expect("an address");
        let plan = Plan { owner: Owner::Plain, address, changes: Vec::new(), tools: Vec::new(), notes: Vec::new() };
        let made = |before: Node| Made {
            path: "/etc/x".into(),
            before,
            after: Digest::of(&Node::new_file("after")),
            ours: vec!["a".to_owned()],
            replaced: Vec::new(),
            in_place: false,
        };
        let file = |bytes: &[u8]| Node::File { bytes: bytes.to_vec(), mode: 0o640, uid: 1, gid: 2 };
        let link = Node::Link { target: "../a".into() };
        Manifest { made: [Node::Absent, file(b"text\n"), file(b"\xff\x00"), link].map(made).to_vec(), ..Manifest::new(&plan) }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = serde_json::to_string(&Written::of(&manifest())).expect("JSON");
        let read = |text: &str| serde_json::from_str::<Written>(text).map_err(|error| error.to_string()).and_then(Written::read);
        assert_eq!(read(&text), Ok(manifest()));
        assert!(read(&text.replace("text\\n", "other")).expect_err("the hash differs").contains("/etc/x is damaged"));
        assert!(read(&text.replace("\"version\":1", "\"version\":2")).expect_err("from the future").contains("version 2"));
    }

    #[test]
    fn a_manifest_of_others_is_not_believed() {
        for (uid, mode, expected) in
            [(0, 0o100_600, true), (0, 0o40_700, true), (0, 0o100_620, false), (0, 0o100_602, false), (u32::MAX, 0o100_600, false)]
        {
            assert_eq!(is_believed(uid, mode), expected, "{uid} {mode:o}");
        }
    }
}
