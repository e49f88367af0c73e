//! Puts back what `install.rs` changed, as far as it is still ours.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::machine::Machine;
use super::manifest::{Made, Manifest};
use super::report::{ChangeLine, Report};
use super::undo::{Undo, undo};
use super::view::{Node, View};

/// Undoes an install; `dry_run` only says what would be done.
pub fn uninstall(view: &View, machine: &dyn Machine, dry_run: bool) -> Report {
    let manifest = match Manifest::read(view) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Report::default().ended("nothing-to-undo", true, "Cairn was not made the system's resolver: nothing to undo"),
        Err(error) => return Report::default().refused(format!("nothing was changed: {error}")),
    };
    if dry_run {
        let mut report = Report::of_manifest(&manifest);
        report.changes = manifest.made.iter().rev().filter_map(|made| would(view, made)).collect();
        return report.ended("would-change", true, "nothing was changed: this was a dry run");
    }
    let taken = take_back(view, machine, &manifest);
    let report = Report { changes: taken.changes, notes: taken.notes, ..Report::of_manifest(&manifest) };
    if !taken.problems.is_empty() {
        let problems = taken.problems.join("; ");
        return report.ended("incomplete", false, format!("not everything could be put back, so run this again: {problems}"));
    }
    if let Err(error) = Manifest::remove(view) {
        return report.ended("incomplete", false, format!("everything was put back, but the manifest stays: {error}"));
    }
    report.ended("uninstalled", true, "the system resolves names as it did before Cairn")
}

/// What was put back, and what was not.
#[derive(Default)]
pub struct Taken {
    pub changes: Vec<ChangeLine>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Files that could not be written: the manifest must stay.
    pub problems: Vec<String>,
}

/// The last change first, then the tools. Everything is tried, whatever fails.
pub fn take_back(view: &View, machine: &dyn Machine, manifest: &Manifest) -> Taken {
    let mut taken = Taken::default();
    for made in manifest.made.iter().rev() {
        match take_back_one(view, made) {
            Ok(Some(line)) => taken.changes.push(line),
            Ok(None) => {}
            Err(error) => taken.problems.push(format!("{}: {error}", made.path.display())),
        }
    }
    for folder in manifest.folders.iter().rev() {
        if let Err(error) = view.remove_empty_folder(folder) {
            taken.problems.push(format!("{}: {error}", folder.display()));
        }
    }
    for tool in &manifest.tools {
        // The files are right again, and count at the latest after the next start of the system.
        if let Err(why) = machine.run(&tool.words) {
            taken.notes.push(why);
        }
    }
    taken
}

fn take_back_one(view: &View, made: &Made) -> io::Result<Option<ChangeLine>> {
    view.clean_beside(&made.path)?;
    let decision = undo(made, &view.node(&made.path)?);
    match &decision {
        Undo::Nothing | Undo::Leave => {}
        Undo::Restore(node) | Undo::Edit(node) => view.put(&made.path, node, made.in_place)?,
        Undo::RestoreAndKeep { restore, edited } => {
            view.put(&kept(&made.path), edited, false)?;
            view.put(&made.path, restore, false)?;
        }
    }
    Ok(line(made, &decision))
}

fn would(view: &View, made: &Made) -> Option<ChangeLine> {
    let now = view.node(&made.path).ok()?;
    line(made, &undo(made, &now))
}

fn line(made: &Made, decision: &Undo) -> Option<ChangeLine> {
    let what = match decision {
        Undo::Nothing => return None,
        Undo::Restore(Node::Absent) => "remove",
        Undo::Restore(_) => "put back",
        Undo::Edit(_) => "take our lines out of",
        Undo::RestoreAndKeep { .. } => "keep as .cairn-kept, and put back",
        Undo::Leave => "leave as others made it",
    };
    Some(ChangeLine { path: made.path.display().to_string(), what, text: None })
}

fn kept(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".cairn-kept");
    name.into()
}
