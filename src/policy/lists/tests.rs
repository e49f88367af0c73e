//! The table against a model that keeps all rules and looks at each.

use proptest::prelude::*;

use super::{Builder, Detail, Found, Kind, ListId, ListSet, Lists, Reach, Rule, Types};
use crate::record::{Name, Rtype};

#[derive(Clone, Debug)]
struct Said {
    list: u8,
    name: Name,
    kind: Kind,
    reach: Reach,
    cancels: bool,
    types: Option<Types>,
}

impl Said {
    fn rule(&self) -> Rule<'_> {
        let detail = self.types.clone().map(|types| Box::new(Detail { types: Some(types), ..Detail::default() }));
        Rule { name: self.name.as_wire(), reach: self.reach, kind: self.kind, cancels: self.cancels, detail }
    }

    fn cancels(&self, other: &Said) -> bool {
        self.cancels && (&self.name, self.kind, self.reach, &self.types) == (&other.name, other.kind, other.reach, &other.types)
    }
}

fn model(all: &[Said], name: &Name, rtype: Rtype) -> Found {
    let mut found = Found::default();
    for said in all.iter().filter(|said| !said.cancels && !all.iter().any(|other| other.cancels(said))) {
        let reaches = match said.reach {
            Reach::Name => *name == said.name,
            Reach::NameAndBelow => name.is_within(&said.name),
            Reach::Below => name.is_below(&said.name),
        };
        let is_of_type = match &said.types {
            None => true,
            Some(_) if rtype == Rtype::ANY => matches!(said.kind, Kind::Block | Kind::ImportantBlock),
            Some(Types::Only(types)) => types.contains(&rtype),
            Some(Types::AllBut(types)) => !types.contains(&rtype),
        };
        if reaches && is_of_type {
            found.mark(said.kind, ListSet::of(ListId(said.list)));
        }
    }
    found
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
    (0..3u8, "([ab]\\.){0,3}[cd]", kind, reach, prop::bool::weighted(0.2), types).prop_map(|(list, name, kind, reach, cancels, types)| {
        Said { list, name: Name::parse(&name).expect("a name"), kind, reach, cancels, types }
    })
}

proptest! {
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
                prop_assert_eq!(first.find(name.as_wire(), rtype), model(&all, &name, rtype), "{}", name);
                prop_assert_eq!(again.find(name.as_wire(), rtype), model(&second, &name, rtype), "again {}", name);
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
