//! Runs the master-file reader over a directory of zone files and compares its verdicts with those of other
//! tools, or prints one zone as sorted records.
//!
//! ```text
//! cargo run --example zone_verdicts -- DIRECTORY              INDEX.tsv there: file, commit, origin, three verdicts
//! cargo run --example zone_verdicts -- print ORIGIN FILE
//! ```

use std::path::Path;

use cairn::record::{Name, rdata_to_text};
use cairn::zone::{Problem, Zone, load_zone};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["print", origin, file] => print(origin, Path::new(file)),
        [directory] => compare(Path::new(directory)),
        _ => Err("usage: zone_verdicts DIRECTORY | print ORIGIN FILE".into()),
    }
}

fn load(origin: &str, file: &Path) -> Result<(Zone, Vec<Problem>), Vec<Problem>> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let origin = Name::parse(origin).unwrap_or_else(|_| Name::root());
    load_zone(&origin, &file.display().to_string(), &mut |path| {
        let path = if Path::new(path) == file { file.to_path_buf() } else { folder.join(path) };
        std::fs::read(path)
    })
}

fn print(origin: &str, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    match load(origin, file) {
        Ok((zone, warnings)) => {
            let mut lines: Vec<String> = zone.sets().flat_map(|(owner, set)| records(owner, set)).collect();
            lines.sort_unstable();
            lines.iter().for_each(|line| println!("{line}"));
            warnings.iter().for_each(|warning| eprintln!("{warning}"));
            eprintln!("{zone:?}");
            Ok(())
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            Err("the zone was refused".into())
        }
    }
}

fn records(owner: &[u8], set: cairn::zone::SetRef<'_>) -> Vec<String> {
    let owner = Name::from_wire(owner).unwrap_or_else(|_| Name::root());
    let line = |rtype, rdata: &[u8]| format!("{owner} {} IN {rtype} {}", set.ttl, rdata_to_text(rtype, rdata));
    let sigs = set.sigs().map(|rdata| line(cairn::record::Rtype::RRSIG, rdata));
    set.rdatas().map(|rdata| line(set.rtype, rdata)).chain(sigs).collect()
}

fn compare(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (mut same, mut against, mut divided) = (0, 0, 0);
    for row in std::fs::read_to_string(directory.join("INDEX.tsv"))?.lines().filter(|row| !row.starts_with('#')) {
        let [file, _, origin, verdicts @ ..] = &row.split('\t').collect::<Vec<_>>()[..] else { continue };
        let verdicts = &verdicts[..3.min(verdicts.len())];
        let loaded = load(origin, &directory.join(file));
        let own = if loaded.is_ok() { "ok" } else { "bad" };
        let kind = match verdicts.iter().filter(|verdict| **verdict == own).count() {
            3 => {
                same += 1;
                continue;
            }
            0 => {
                against += 1;
                "AGAINST ALL"
            }
            _ => {
                divided += 1;
                "divided"
            }
        };
        let first =
            loaded.err().and_then(|problems| problems.iter().find(|p| p.severity == cairn::zone::Severity::Error).map(|p| p.to_string()));
        println!(
            "{kind}: {own} {verdicts:?} {file}: {}",
            first.as_deref().map_or("", |text| text.trim_start_matches(&*directory.to_string_lossy()))
        );
    }
    println!("{same} as all others, {divided} where they are divided, {against} against all");
    Ok(())
}
