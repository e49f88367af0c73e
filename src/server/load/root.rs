//! Where resolution and trust start: root hints (RFC 9609) and trust anchors (RFC 4033 5).
//!
//! Both are built in, from `zones/root.hints` and `zones/root.anchors`, and each can be replaced by a file: for a private root,
//! or for islands of security below the root.

use std::net::IpAddr;
use std::path::Path;

use super::configuration::read_bytes;
use crate::config::Problem;
use crate::record::{Name, RrSet, Rtype};
use crate::validate::Anchor;
use crate::zone::parse_records;

const BUILT_IN_HINTS: &str = include_str!("../../../zones/root.hints");
const BUILT_IN_ANCHORS: &str = include_str!("../../../zones/root.anchors");
/// The name of the built-in files in messages.
const BUILT_IN: &str = "built in";

/// Name servers of the root by name and address; several addresses of one name follow each other.
pub(crate) fn root_hints(file: Option<&Path>) -> Result<Vec<(Name, IpAddr)>, Vec<Problem>> {
    let (file_name, sets) = sets_of(file, BUILT_IN_HINTS)?;
    let problem = |what: &str| vec![Problem::of_file(file_name.clone(), what)];
    let root = Name::root();
    let servers: Vec<Name> = sets
        .iter()
        .filter(|set| set.name == root && set.rtype == Rtype::NS)
        .flat_map(|set| set.data.iter())
        .filter_map(|rdata| Name::from_wire(rdata).ok())
        .collect();
    if servers.is_empty() {
        return Err(problem("found no NS record of the root, expected the names of its servers"));
    }
    let hints: Vec<(Name, IpAddr)> = servers
        .iter()
        .flat_map(|server| {
            sets.iter().filter(move |set| set.name == *server).flat_map(|set| set.addresses().map(|address| (set.name.clone(), address)))
        })
        .collect();
    if hints.is_empty() {
        return Err(problem("found no A or AAAA record of a server of the root, expected at least one"));
    }
    Ok(hints)
}

/// At least one anchor.
pub(crate) fn trust_anchors(file: Option<&Path>) -> Result<Vec<Anchor>, Vec<Problem>> {
    let (file_name, sets) = sets_of(file, BUILT_IN_ANCHORS)?;
    let (mut anchors, mut problems) = (Vec::new(), Vec::new());
    for set in &sets {
        for rdata in set.data.iter() {
            match Anchor::from_record(set.name.clone(), set.rtype, rdata) {
                Some(anchor) => anchors.push(anchor),
                None => {
                    let what = format!("found a record of type {} for {}, expected DS or DNSKEY records", set.rtype, set.name);
                    problems.push(Problem::of_file(file_name.clone(), what));
                }
            }
        }
    }
    if anchors.is_empty() && problems.is_empty() {
        problems.push(Problem::of_file(file_name, "found no record, expected DS or DNSKEY records"));
    }
    if problems.is_empty() { Ok(anchors) } else { Err(problems) }
}

fn sets_of(file: Option<&Path>, built_in: &str) -> Result<(String, Vec<RrSet>), Vec<Problem>> {
    let file_name = file.map_or_else(|| BUILT_IN.to_owned(), |path| path.display().to_string());
    let text = match file {
        Some(path) => read_bytes(path).map_err(|problem| vec![problem])?,
        None => built_in.as_bytes().to_vec(),
    };
    let (sets, _warnings) =
        parse_records(&file_name, &text).map_err(|problems| problems.into_iter().map(Problem::from).collect::<Vec<_>>())?;
    Ok((file_name, sets))
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn built_in_hints_name_thirteen_servers() {
        let hints = root_hints(None).expect("the built-in file is right");
        let names: std::collections::BTreeSet<&Name> = hints.iter().map(|(name, _)| name).collect();
        assert_eq!((names.len(), hints.len()), (13, 26));
        let k = Name::parse("k.root-servers.net.").expect("a name");
        assert!(hints.contains(&(k, "193.0.14.129".parse().expect("an address"))));
    }

    #[test]
    fn built_in_anchors_are_both_keys_of_the_root() {
        let anchors = trust_anchors(None).expect("the built-in file is right");
        let tags: Vec<(String, u16)> = anchors.iter().map(|anchor| (anchor.name.to_string(), anchor.key_tag())).collect();
        assert_eq!(tags, [(".".to_owned(), 20326), (".".to_owned(), 38696)]);
    }

    #[test]
    fn files_replace_them() {
        let scratch = Scratch::new();
        let hints = scratch.write("hints", ". NS ns.test.\nns.test. 60 IN A 127.0.0.2\nother.test. A 127.0.0.3\n");
        assert_eq!(root_hints(Some(&hints)), Ok(vec![(Name::parse("ns.test").expect("a name"), "127.0.0.2".parse().expect("an address"))]));
        let digest = "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
        let anchors = scratch.write("anchors", &format!("island.test. IN DS 7 8 2 {digest} ; one\n"));
        let anchors = trust_anchors(Some(&anchors)).expect("a DS record");
        assert_eq!((anchors.len(), anchors[0].name.to_string()), (1, "island.test.".to_owned()));
    }

    #[test]
    fn bad_files_are_told() {
        let scratch = Scratch::new();
        let (hints, anchors) = (|path: &Path| root_hints(Some(path)).err(), |path: &Path| trust_anchors(Some(path)).err());
        type Read<'r> = &'r dyn Fn(&Path) -> Option<Vec<Problem>>;
        let rows: [(Read<'_>, &str, &str); 6] = [
            (&hints, "", "found no NS record of the root"),
            (&hints, ". NS a.test.\nb.test. A 127.0.0.1\n", "found no A or AAAA record of a server of the root"),
            (&hints, ". NS a.test.\na.test. A 127.0.0\n", ":2"),
            (&anchors, "; nothing\n", "found no record"),
            (&anchors, ". NS a.test.\n", "found a record of type NS for ., expected DS or DNSKEY"),
            (&anchors, ". DS 1 8 2 zz\n", ":1"),
        ];
        for (read, text, part) in rows {
            let problems = read(&scratch.write("file", text)).expect(text);
            assert!(problems[0].to_string().contains(part), "{text}: {problems:?}");
        }
        let missing = hints(&scratch.path().join("missing")).expect("missing");
        assert!(missing[0].to_string().ends_with("missing: there is no such file or folder"), "{missing:?}");
    }
}
