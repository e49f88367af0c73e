//! Everything that a server starts from, read and checked: settings, zones, root hints, trust anchors.

use std::path::PathBuf;

use super::files::{StartOptions, ZoneFile, configuration, zone_files};
use crate::config::{Problem, Settings};

#[derive(Debug)]
pub struct Sources {
    pub settings: Settings,
    /// `None`: built-in defaults.
    pub config_file: Option<PathBuf>,
    pub zones: Vec<LoadedZone>,
    /// For the person at the terminal.
    pub notes: Vec<String>,
}

#[derive(Debug)]
pub struct LoadedZone {
    pub file: ZoneFile,
}

impl Sources {
    /// Reads all files; the problems of all of them are told together.
    pub fn read(options: &StartOptions) -> Result<Sources, Vec<Problem>> {
        let configuration = configuration(options)?;
        let found = zone_files(&configuration, options)?;
        let zones = found.files.into_iter().map(|file| LoadedZone { file }).collect();
        Ok(Sources { settings: configuration.settings, config_file: configuration.file, zones, notes: found.notes })
    }
}
