//! Sets as clients write them against plain sets.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::imap::syntax::Utf8;

fn parse(text: &str) -> Parsed<SequenceSet> {
    let mut args = Args::new(text.as_bytes(), Utf8::Off);
    let set = SequenceSet::parse(&mut args)?;
    args.end()?;
    Ok(set)
}

fn listed(text: &str) -> Listed {
    match parse(text) {
        Ok(SequenceSet::Listed(listed)) => listed,
        other => panic!("{text}: {other:?}"),
    }
}

fn resolved(text: &str, largest: u32) -> String {
    listed(text).resolve(Uid(largest)).to_string()
}

#[test]
fn examples_of_the_rfc() {
    assert_eq!(resolved("2,4:7,9,12:*", 15), "2,4:7,9,12:15");
    assert_eq!(resolved("*:4,5:7", 10), "4:10");
    assert_eq!(resolved("2:4", 10), resolved("4:2", 10));
    // A range with * takes in the last message, even if it begins above it.
    assert_eq!(resolved("3291:*", 100), "100");
    assert_eq!(parse("$"), Ok(SequenceSet::Saved));
}

#[test]
fn what_is_above_the_largest_is_left_out() {
    assert_eq!(resolved("5,8:20,30:40", 10), "5,8:10");
    assert_eq!(resolved("11", 10), "");
    assert_eq!(resolved("*", 0), "");
    assert_eq!(resolved("1:*", 0), "");
    assert_eq!(resolved("1:4294967295", u32::MAX), "1:4294967295");
    assert_eq!(
        (
            listed("3,7:2").largest_written(),
            listed("*").largest_written()
        ),
        (7, 0)
    );
    assert!(listed("1:*").has_star() && !listed("1:2").has_star());
}

#[test]
fn what_is_no_set() {
    for text in [
        "",
        "0",
        "1:0",
        "0:*",
        "1,",
        ",1",
        "1,,2",
        "1:",
        ":1",
        "1:2:3",
        "**",
        "1 2",
        "4294967296",
        "01",
        "-1",
        "1;2",
        "a",
        "$1",
        "1,$",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    let most = vec!["1"; ELEMENTS].join(",");
    assert!(parse(&most).is_ok() && parse(&format!("{most},1")).is_err());
}

#[test]
fn a_range_costs_the_same_whatever_it_spans() {
    let everything = listed(&vec!["1:4294967295"; ELEMENTS].join(",")).resolve(Uid(u32::MAX));
    assert_eq!(
        (everything.ranges().len(), everything.count()),
        (1, u64::from(u32::MAX))
    );
    assert!(
        everything.contains(Uid(1))
            && everything.contains(Uid(u32::MAX))
            && !everything.contains(Uid(0))
    );
    assert_eq!(
        (everything.min(), everything.max()),
        (Some(Uid(1)), Some(Uid(u32::MAX)))
    );
}

#[test]
fn numbers_out_of_order_find_their_place() {
    let set: NumberSet<SeqNum> = [7, 3, 5, 4, 9, 3, 8, 1].map(SeqNum).into_iter().collect();
    assert_eq!(set.to_string(), "1,3:5,7:9");
}

/// Elements of a set; 0 is `*`.
fn elements() -> impl Strategy<Value = Vec<(u32, u32)>> {
    prop::collection::vec((0u32..60, 0u32..60), 1..12)
}

fn spelled(elements: &[(u32, u32)]) -> String {
    let bound = |number: &u32| match number {
        0 => "*".to_owned(),
        number => number.to_string(),
    };
    let element = |(first, last): &(u32, u32)| match first == last {
        true => bound(first),
        false => format!("{}:{}", bound(first), bound(last)),
    };
    elements.iter().map(element).collect::<Vec<_>>().join(",")
}

proptest! {
    #[test]
    fn resolves_as_a_plain_set_does(elements in elements(), largest in 0u32..70, sorted in prop::collection::btree_set(1u32..70, 0..30)) {
        let star = |number: u32| if number == 0 { largest } else { number };
        let plain: BTreeSet<u32> = elements
            .iter()
            .map(|&(first, last)| (star(first), star(last)))
            .flat_map(|(first, last)| first.min(last)..=first.max(last))
            .filter(|number| (1..=largest).contains(number))
            .collect();
        let set = listed(&spelled(&elements)).resolve(Uid(largest));
        prop_assert!(set.iter().map(|uid| uid.0).eq(plain.iter().copied()));
        prop_assert_eq!(set.count(), plain.len() as u64);
        prop_assert_eq!(set.is_empty(), plain.is_empty());
        for number in 0..75 {
            prop_assert_eq!(set.contains(Uid(number)), plain.contains(&number));
        }
        for pair in set.ranges().windows(2) {
            prop_assert!(pair[0].1.0 + 1 < pair[1].0.0);
        }
        let sorted: Vec<Uid> = sorted.into_iter().map(Uid).collect();
        let found: Vec<Uid> = set.positions(&sorted).flat_map(|range| sorted[range].to_vec()).collect();
        let wanted: Vec<Uid> = sorted.iter().copied().filter(|uid| plain.contains(&uid.0)).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn reads_what_it_writes(numbers in prop::collection::btree_set(any::<u32>().prop_filter("from 1", |n| *n > 0), 1..40)) {
        let set: NumberSet<Uid> = numbers.iter().copied().map(Uid).collect();
        let mut wire = BytesMut::new();
        set.write(&mut wire);
        let text = std::str::from_utf8(&wire).expect("digits");
        prop_assert_eq!(listed(text).resolve(Uid(u32::MAX)), set);
    }
}
