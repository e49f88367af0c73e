//! Makes Cairn the system's resolver: asks it, writes the manifest, switches, resolves a name as any program does, and puts
//! everything back if that fails.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::machine::Machine;
use super::manifest::{Manifest, Stage};
use super::owner::{Facts, Owner};
use super::plan::{Change, Plan, plan};
use super::report::Report;
use super::status::{leads_here, links_for_all_names};
use super::uninstall::take_back;
use super::view::View;
use crate::limits::switch::{NAME_LOOK_UP_MAX, NAME_TEST_MAX};
use crate::record::Name;

/// What is asked for.
pub struct Request {
    /// Where Cairn may be asked, best first.
    pub candidates: Vec<SocketAddr>,
    /// The name that must resolve before and after the switch.
    pub name: Name,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Between two tries to resolve the name.
const TRY_AGAIN: Duration = Duration::from_millis(300);

/// How long a name must go on resolving after a tool was run.
const SETTLE: Duration = Duration::from_secs(2);

const OVERWRITTEN: &str = "another program writes the files again and again";

/// `tell` is given each step as it begins.
pub fn install(view: &View, machine: &dyn Machine, request: &Request, tell: &mut dyn FnMut(&str)) -> Report {
    let refused = |error: io::Error| Report::default().refused(format!("nothing was changed: {error}"));
    let known = match Manifest::read(view) {
        Ok(Some(manifest)) if manifest.stage == Stage::Switching && !request.dry_run => {
            tell("an install was interrupted before its end: it is undone first");
            let taken = take_back(view, machine, &manifest);
            if !taken.problems.is_empty() {
                return Report::of_manifest(&manifest).refused(taken.problems.join("; "));
            }
            if let Err(error) = Manifest::remove(view) {
                return refused(error);
            }
            None
        }
        Ok(known) => known,
        Err(error) => return refused(error),
    };
    let facts = match Facts::gather(view) {
        Ok(facts) => facts,
        Err(error) => return refused(error),
    };
    let (address, answers) = first_that_answers(machine, request, tell);
    let Some(address) = address else {
        return Report::default().refused("nothing was changed: Cairn listens on no address; `--address` names one");
    };
    let plan = match plan(&facts, address) {
        Ok(plan) => plan,
        Err(why) => {
            let owner = facts.owner();
            let report = Report { owner: Some((owner.key(), owner.to_string())), address: Some(address), ..Report::default() };
            return report.refused(format!("nothing was changed: {}", answers.err().unwrap_or(why)));
        }
    };
    let report = Report::of_plan(&plan);
    if let Err(why) = answers {
        return report.refused(format!("nothing was changed: {why}"));
    }
    if request.dry_run {
        return report.ended("would-change", true, "nothing was changed: this was a dry run");
    }
    let is_again = known.is_some();
    if is_again && plan.changes.is_empty() {
        tell(&format!("everything is in place; resolving {} as any program does", request.name));
        // Nothing is switched, so nobody has to get used to it.
        let plan = Plan { tools: Vec::new(), ..plan };
        return match proved(view, machine, &plan, &request.name) {
            Ok(()) => Report { tools: Vec::new(), ..report }.ended("already-installed", true, "Cairn is the system's resolver already"),
            Err(why) => {
                report.ended("fails", false, format!("{why}; nothing was changed, `cairn system uninstall` undoes the earlier install"))
            }
        };
    }
    report.lines().iter().for_each(|line| tell(line));
    let mut manifest = known.unwrap_or_else(|| Manifest::new(&plan));
    manifest.add(&plan, view);
    if let Err(error) = manifest.write(view) {
        return report.refused(format!("nothing was changed, because the manifest cannot be written: {error}"));
    }
    let switched = switch(view, machine, &plan, &manifest, tell).and_then(|()| {
        tell(&format!("resolving {} as any program does, for up to {} s", request.name, NAME_TEST_MAX.as_secs()));
        proved(view, machine, &plan, &request.name)
    });
    if let Err(why) = switched {
        return rolled_back(view, machine, &manifest, report, &why);
    }
    manifest.stage = Stage::Installed;
    if let Err(error) = manifest.write(view) {
        return rolled_back(view, machine, &manifest, report, &format!("the manifest cannot be written: {error}"));
    }
    let notes = more_notes(machine, &plan, &facts);
    notes.iter().for_each(|note| tell(&format!("note: {note}")));
    let mut report = report;
    report.notes.extend(notes);
    report.ended("installed", true, format!("Cairn at {address} is the system's resolver; `cairn system uninstall` undoes this"))
}

/// The first address at which the name resolves; else the best one, and why not there.
fn first_that_answers(machine: &dyn Machine, request: &Request, tell: &mut dyn FnMut(&str)) -> (Option<SocketAddr>, Result<(), String>) {
    let mut why = Ok(());
    for address in &request.candidates {
        tell(&format!("asking Cairn at {address} for {}", request.name));
        match machine.probe(*address, &request.name) {
            Ok(()) => return (Some(*address), Ok(())),
            Err(reason) => why = why.and(Err(reason)),
        }
    }
    (request.candidates.first().copied(), why)
}

fn switch(view: &View, machine: &dyn Machine, plan: &Plan, manifest: &Manifest, tell: &mut dyn FnMut(&str)) -> Result<(), String> {
    for folder in &manifest.folders {
        view.make_folder(folder, 0o755).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    for change in &plan.changes {
        make(view, change).map_err(|error| format!("{}: {}", change.path.display(), why(&error)))?;
    }
    for tool in &plan.tools {
        match machine.run(&tool.words) {
            Err(why) if tool.must => return Err(why),
            Err(why) => tell(&format!("note: {why}")),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// One change, if what it was planned for is still there.
pub fn make(view: &View, change: &Change) -> io::Result<()> {
    if view.node(&change.path)? != change.before {
        return Err(io::Error::other("somebody else has changed it in this moment"));
    }
    view.put(&change.path, &change.after, change.in_place)
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{error} (made immutable? `lsattr` tells, and `chattr -i` ends that)"),
        _ => error.to_string(),
    }
}

/// The system's path leads to Cairn, and the name resolves on it. Where a tool was run, that must still be so a while later: an
/// owner may write the file once more before it knows its new configuration, as dhcpcd does at `--rebind`.
fn proved(view: &View, machine: &dyn Machine, plan: &Plan, name: &Name) -> Result<(), String> {
    let begun = machine.now();
    let mut must_settle = !plan.tools.is_empty();
    loop {
        let left = NAME_TEST_MAX.saturating_sub(machine.now().since(begun));
        let tried = made_again(view, plan).and_then(|was_overwritten| {
            must_settle |= was_overwritten;
            leads_here(view, matches!(plan.owner, Owner::Resolved { .. }), plan.address)?;
            machine.look_up(name, left.min(NAME_LOOK_UP_MAX))
        });
        match tried {
            Ok(()) if !must_settle => return Ok(()),
            Ok(()) if machine.now().since(begun) >= NAME_TEST_MAX + SETTLE => return Err(OVERWRITTEN.to_owned()),
            Ok(()) => {
                must_settle = false;
                machine.pause(SETTLE);
            }
            Err(why) if machine.now().since(begun) + TRY_AGAIN >= NAME_TEST_MAX => return Err(why),
            Err(_) => machine.pause(TRY_AGAIN),
        }
    }
}

/// Puts the changes there once more that somebody has overwritten, and says whether there were any.
fn made_again(view: &View, plan: &Plan) -> Result<bool, String> {
    let mut was_overwritten = false;
    for change in &plan.changes {
        let told = |error: io::Error| format!("{}: {}", change.path.display(), why(&error));
        if !view.node(&change.path).map_err(told)?.is_same(&change.after) {
            view.put(&change.path, &change.after, change.in_place).map_err(told)?;
            was_overwritten = true;
        }
    }
    Ok(was_overwritten)
}

fn rolled_back(view: &View, machine: &dyn Machine, manifest: &Manifest, report: Report, why: &str) -> Report {
    let taken = take_back(view, machine, manifest);
    let mut report = report;
    report.notes.extend(taken.notes);
    let mut problems = taken.problems;
    if problems.is_empty() {
        problems.extend(Manifest::remove(view).err().map(|error| error.to_string()));
    }
    match problems.is_empty() {
        true => report.ended("rolled-back", false, format!("everything is as it was before, because {why}")),
        false => {
            let problems = problems.join("; ");
            report.ended(
                "incomplete",
                false,
                format!("{why}; and not everything could be put back ({problems}): run `cairn system uninstall`"),
            )
        }
    }
}

/// What only shows after the switch.
fn more_notes(machine: &dyn Machine, plan: &Plan, facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(plan.owner, Owner::Resolved { .. }) {
        let domains = machine.run(&["resolvectl".to_owned(), "domain".to_owned()]).unwrap_or_default();
        let links = links_for_all_names(&domains);
        if !links.is_empty() {
            let way_out = match facts.network_manager_runs {
                true => "`nmcli connection modify NAME ipv4.ignore-auto-dns yes ipv6.ignore-auto-dns yes` ends that for a connection",
                false => "`UseDNS=no` in the .network file of the link ends that",
            };
            notes.push(format!("the servers of {} are asked beside Cairn, because the link is for all names: {way_out}", links.join(", ")));
        }
    }
    notes
}
