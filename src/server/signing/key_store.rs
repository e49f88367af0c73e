//! The keys of one zone on disk: a folder `keys/ZONE` in the state folder.
//!
//! ```text
//! Kexample.org.+013+12345.private   a private key, in the format that BIND and Knot read
//! Kexample.org.+013+12345.key       its DNSKEY record
//! state.json                        where each key is on its way, and the serial that was served last
//! ```
//!
//! A key is on disk, synced, before anything is signed with it. Keys that are put into the folder by somebody else are found
//! when the server starts or reloads.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::state;
use crate::authority::signing::{
    Algorithm, KeySet, LongestTtl, SigningKey, flags_of_public_key, read_private_key, write_private_key, write_public_key,
};
use crate::limits::server::KEY_FILE_BYTES_MAX;
use crate::record::Name;

const FOLDER: &str = "keys";
const STATE: &str = "state.json";
const FORM: u32 = 1;
/// Flags of a key whose public half is not beside it.
const DEFAULT_FLAGS: u16 = 257;

/// What outlives a restart besides the keys themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// Version of this form.
    form: u32,
    /// The serial of the last version that was put in force.
    pub(super) serial: Option<u32>,
    /// When it was signed, in seconds since 1970.
    #[serde(default)]
    pub(super) signed_at: u64,
    pub(super) longest_ttl: LongestTtl,
    /// The longest TTL with which the parent's DS set was seen.
    pub(super) ds_ttl_s: u32,
    #[serde(flatten)]
    pub(super) keys: KeySet,
    /// The operator wants the zone unsigned: the parent is asked to take the DS set away.
    #[serde(default)]
    pub(super) is_ending: bool,
    /// Since when the parent has none, while that is wanted.
    #[serde(default)]
    pub(super) ds_gone_at: Option<u64>,
    /// The CDS set that the parent was told of last.
    #[serde(default)]
    pub(super) told_cds: Vec<Vec<u8>>,
    /// Tag and algorithm of keys that have gone the whole way; their files may still be there.
    #[serde(default)]
    pub(super) removed: Vec<(u16, u8)>,
}

pub(super) struct KeyStore {
    zone: Name,
    folder: PathBuf,
}

impl KeyStore {
    /// `state_folder`: that of the server.
    pub(super) fn new(state_folder: &Path, zone: &Name, folder_name: &str) -> KeyStore {
        KeyStore { zone: zone.clone(), folder: state_folder.join(FOLDER).join(folder_name) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `None`: this zone was never signed here.
    pub(super) fn saved(&self) -> Result<Option<Saved>, String> {
        let path = self.folder.join(STATE);
        let Some(text) = read(&path)? else { return Ok(None) };
        let told = |why: String| {
            format!("{}: found {why}, expected what Cairn has written there; put back a copy of this file, from a backup", path.display())
        };
        let saved: Saved = serde_json::from_str(&text).map_err(|error| told(error.to_string()))?;
        if saved.form == FORM { Ok(Some(saved)) } else { Err(told(format!("form {}", saved.form))) }
    }

    pub(super) fn save(&self, saved: &Saved) -> Result<(), String> {
        let saved = Saved { form: FORM, ..saved.clone() };
        let text = serde_json::to_vec_pretty(&saved).map_err(|error| error.to_string())?;
        self.write(STATE, &text)
    }

    /// Every private key in the folder, whoever put it there.
    pub(super) fn keys(&self) -> Result<Vec<SigningKey>, String> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| format!("{}: {error}", self.folder.display()))?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", self.folder.display()))?.path();
            if path.extension().is_some_and(|ending| ending == "private" || ending == "pem") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| self.key(path)).collect()
    }

    fn key(&self, path: &Path) -> Result<SigningKey, String> {
        let told = |why: String| format!("{}: {why}", path.display());
        let text = read(path)?.ok_or_else(|| told("it has gone".to_owned()))?;
        let flags = read(&path.with_extension("key"))?.and_then(|text| flags_of_public_key(&text)).unwrap_or(DEFAULT_FLAGS);
        let key = read_private_key(&text, flags).map_err(|error| told(error.to_string()))?;
        if key.flags() & !1 == 256 { Ok(key) } else { Err(told(format!("found the flags {flags} in its .key file, expected 256 or 257"))) }
    }

    /// Makes a key that none of `others` can be mistaken for, and keeps it.
    pub(super) fn make(&self, algorithm: Algorithm, flags: u16, others: &[u16]) -> Result<SigningKey, String> {
        loop {
            let key = SigningKey::generate(algorithm, flags).map_err(|error| error.to_string())?;
            if others.contains(&key.tag) {
                continue;
            }
            let name = format!("K{}+{:03}+{:05}", plain(&self.zone), algorithm.number(), key.tag);
            let private = write_private_key(&key).map_err(|error| error.to_string())?;
            self.write(&format!("{name}.key"), write_public_key(&key, &self.zone).as_bytes())?;
            self.write(&format!("{name}.private"), private.as_bytes())?;
            return Ok(key);
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.folder.join(name);
        let written = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).and_then(|()| {
            state::replace(&path, bytes)?;
            File::open(&self.folder)?.sync_all()
        });
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The zone's name in a file name: what is no letter, digit, hyphen, underscore or dot stands as an underscore.
fn plain(zone: &Name) -> String {
    let is_plain = |octet: char| octet.is_ascii_alphanumeric() || matches!(octet, '-' | '_' | '.');
    zone.to_string().chars().take(180).map(|octet| if is_plain(octet) { octet } else { '_' }).collect()
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(error.to_string())),
        Ok(meta) if !meta.is_file() || meta.len() > KEY_FILE_BYTES_MAX => Err(told("this is no file of a key".to_owned())),
        Ok(_) => fs::read_to_string(path).map(Some).map_err(|error| told(error.to_string())),
    }
}
