//! The table against a model that keeps all rules and looks at each.

use proptest::prelude::*;

use super::{Builder, Detail, Kind, ListId, ListSet, ListVerdict, Lists, Reach, Rewrite, Rule, Types};
use crate::record::{Name, Rcode, Rtype};

#[derive(Clone, Debug)]
struct Said {
    list: u8,
    name: Name,
    kind: Kind,
    reach: Reach,
    cancels: bool,
    types: Option<Types>,
    rewrite: Option<Rewrite>,
}

impl Said {
    fn rule(&self) -> Rule<'_> {
        let detail = Detail { types: self.types.clone(), rewrite: self.rewrite.clone(), ..Detail::default() };
        let detail = (detail != Detail::default()).then(|| Box::new(detail));
        Rule { name: self.name.as_wire(), reach: self.reach, kind: self.kind, cancels: self.cancels, detail }
    }

    fn cancels(&self, other: &Said) -> bool {
        let what = |said: &Said| (said.name.clone(), said.kind, said.reach, said.types.clone(), said.rewrite.clone());
        self.cancels && what(self) == what(other)
    }
}

/// Rules of lists that are not in force neither say nor cancel anything.
fn model(all: &[Said], name: &Name, rtype: Rtype, in_force: ListSet) -> ListVerdict {
    let all: Vec<&Said> = all.iter().filter(|said| !ListSet::of(ListId(said.list)).and(in_force).is_empty()).collect();
    let reaches = |said: &&&Said| match said.reach {
        Reach::Name => *name == said.name,
        Reach::NameAndBelow => name.is_within(&said.name),
        Reach::Below => name.is_below(&said.name),
    };
    let is_of_type = |said: &&&Said| match &said.types {
        None => true,
        Some(_) if rtype == Rtype::ANY => matches!(said.kind, Kind::Block | Kind::ImportantBlock),
        Some(Types::Only(types)) => types.contains(&rtype),
        Some(Types::AllBut(types)) => !types.contains(&rtype),
    };
    let counts = |said: &&&Said| !said.cancels && !all.iter().any(|other| other.cancels(said));
    let said: Vec<&Said> = all.iter().filter(counts).filter(reaches).filter(is_of_type).copied().collect();
    let first = |kind: Kind| said.iter().filter(|said| said.kind == kind && said.rewrite.is_none()).map(|said| ListId(said.list)).min();
    let rewritten = |kind: Kind| {
        let mut rules: Vec<&&Said> = said.iter().filter(|said| said.kind == kind && said.rewrite.is_some()).collect();
        rules.sort_by_key(|said| (std::cmp::Reverse(said.name.as_wire().len()), said.list));
        let first = rules.first()?;
        let mut addresses = Vec::new();
        for rule in rules.iter().filter(|rule| (rule.list, &rule.name) == (first.list, &first.name)) {
            addresses.extend(match &rule.rewrite {
                Some(Rewrite::Addresses(more)) => more.iter().copied().filter(|address| !addresses.contains(address)).collect(),
                _ => Vec::new(),
            });
        }
        let rewrite = match first.rewrite.clone()? {
            Rewrite::Addresses(_) => Rewrite::Addresses(addresses),
            other => other,
        };
        Some(ListVerdict::Rewritten(ListId(first.list), rewrite))
    };
    let order = [
        first(Kind::Allow).map(ListVerdict::Allowed),
        first(Kind::ImportantException).map(ListVerdict::Allowed),
        rewritten(Kind::ImportantBlock),
        first(Kind::ImportantBlock).map(ListVerdict::Blocked),
        first(Kind::Exception).map(ListVerdict::Allowed),
        rewritten(Kind::Block),
        first(Kind::Block).map(ListVerdict::Blocked),
    ];
    order.into_iter().flatten().next().unwrap_or(ListVerdict::Pass)
}

fn lists_of_bits(bits: u8) -> ListSet {
    (0..8).filter(|bit| bits >> bit & 1 == 1).fold(ListSet::default(), |set, bit| set.or(ListSet::of(ListId(bit))))
}

fn built(old: &Lists, all: &[Said], kept: Vec<Option<ListId>>) -> Lists {
    let names = (0..kept.len()).map(|at| at.to_string()).collect();
    // In one round, and in several.
    let expected = if all.len().is_multiple_of(2) { 0 } else { usize::MAX };
    let mut builder = Builder::new(names, [1, 2], old, kept.clone()).expecting(expected);
    while builder.next_round() {
        for said in all.iter().filter(|said| kept[usize::from(said.list)].is_none()) {
            builder.add(ListId(said.list), &said.rule());
        }
    }
    builder.finish().expect("few names")
}

fn said() -> impl Strategy<Value = Said> {
    let kind = prop::sample::select(vec![Kind::Block, Kind::ImportantBlock, Kind::Exception, Kind::ImportantException, Kind::Allow]);
    let reach = prop::sample::select(vec![Reach::Name, Reach::NameAndBelow, Reach::Below]);
    let types = prop::sample::select(vec![None, None, None, Some(Types::Only(vec![Rtype::A])), Some(Types::AllBut(vec![Rtype::A]))]);
    let address = |last: u8| Some(Rewrite::Addresses(vec![[192, 0, 2, last].into()]));
    let alias = Some(Rewrite::Alias(Name::parse("to.example").expect("a name")));
    let rewrite = prop::sample::select(vec![None, None, None, Some(Rewrite::Rcode(Rcode::NXDOMAIN)), address(1), address(2), alias]);
    let all = (0..3u8, "([ab]\\.){0,3}[cd]", kind, reach, prop::bool::weighted(0.2), types, rewrite);
    all.prop_map(|(list, name, kind, reach, cancels, types, rewrite)| {
        // Only what blocks can give another answer.
        let rewrite = rewrite.filter(|_| matches!(kind, Kind::Block | Kind::ImportantBlock));
        Said { list, name: Name::parse(&name).expect("a name"), kind, reach, cancels, types, rewrite }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_table_says_what_the_rules_say(
        all in prop::collection::vec(said(), 0..40),
        more in prop::collection::vec(said(), 0..20),
        names in prop::collection::vec("([ab]\\.){0,10}[cde]", 1..20),
    ) {
        let first = built(&Lists::default(), &all, vec![None; 3]);
        // The second list is read anew; the others are taken over, the third in another place.
        let mut second: Vec<Said> = all.iter().filter(|said| said.list != 1).cloned().collect();
        second.iter_mut().filter(|said| said.list == 2).for_each(|said| said.list = 3);
        second.extend(more.iter().filter(|said| said.list == 1).cloned());
        let again = built(&first, &second, vec![Some(ListId(0)), None, None, Some(ListId(2))]);
        for name in names {
            let name = Name::parse(&name).expect("a name");
            for rtype in [Rtype::A, Rtype::AAAA, Rtype::ANY] {
                for in_force in (0..16).map(lists_of_bits) {
                    let verdict = |lists: &Lists| lists.find(name.as_wire(), rtype).verdict(in_force);
                    prop_assert_eq!(verdict(&first), model(&all, &name, rtype, in_force), "{} {:?}", name, in_force);
                    prop_assert_eq!(verdict(&again), model(&second, &name, rtype, in_force), "again {} {:?}", name, in_force);
                }
            }
        }
        for (lists, all, count) in [(&first, &all, 3), (&again, &second, 4)] {
            for list in 0..count {
                let mut names: Vec<&Name> = all.iter().filter(|said| said.list == list).map(|said| &said.name).collect();
                names.sort_unstable();
                names.dedup();
                prop_assert_eq!(lists.count(ListId(list)), names.len() as u64);
            }
        }
    }
}

/// Many names, in several rounds: all found, few octets each, and what is the same is shared.
#[test]
fn many_names() {
    let name = |at: usize| Name::parse(&format!("h{at}.{}.example", at % 977)).expect("a name");
    let build = |old: &Lists, from: usize, to: usize| {
        let mut builder = Builder::new(vec!["a".to_owned()], [1, 2], old, vec![None]);
        while builder.next_round() {
            for at in from..to {
                let name = name(at);
                let rule = Rule { name: name.as_wire(), reach: Reach::Name, kind: Kind::Block, cancels: false, detail: None };
                builder.add(ListId(0), &rule);
            }
        }
        builder.finish().expect("they fit")
    };
    let count = 300_000;
    let first = build(&Lists::default(), 0, count);
    assert_eq!(first.count(ListId(0)), count as u64);
    assert!(first.octets() <= 9 * count, "{}", first.octets());
    let second = build(&first, 0, count + 10);
    assert_eq!(second.count(ListId(0)), count as u64 + 10);
    assert!(second.shared_with(&first) * 10 > second.segment_count() * 9, "nine of ten segments are the same");
    for at in (0..count + 20).step_by(7) {
        assert_eq!(first.find(name(at).as_wire(), Rtype::A).is_nothing(), at >= count, "{at}");
        assert_eq!(second.find(name(at).as_wire(), Rtype::A).is_nothing(), at >= count + 10, "{at}");
        assert!(first.find(name(at).child(b"x").expect("short").as_wire(), Rtype::A).is_nothing());
    }
}
