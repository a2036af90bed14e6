//! Every target over its whole corpus, and over changes of it as a fuzzer would make them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::path::PathBuf;

use magnum_fuzzing::{TARGETS, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn folder(target: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus")).join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(target))
        .unwrap_or_else(|error| panic!("no corpus for {target}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn every_target_keeps_its_promises_on_its_corpus() {
    let mut count = 0;
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 5, "the corpus of {name} has {} files", inputs.len());
        for input in &inputs {
            target(input);
        }
        count += inputs.len();
    }
    println!("{count} files through {} targets", TARGETS.len());
}

#[test]
fn every_target_is_a_target_of_cargo_fuzz() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let source = folder("..").join(format!("fuzz_targets/{name}.rs"));
        let source = std::fs::read_to_string(source).unwrap_or_default();
        assert!(source.contains(&format!("magnum_fuzzing::{name}(")), "{name} has no target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize, usize),
    Cut(prop::sample::Index),
    Join(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    use Change::{Cut, Flip, Insert, Join, Remove, Repeat, Set};
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Set(at, byte)),
        (at(), 0_u8..8).prop_map(|(at, bit)| Flip(at, bit)),
        (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Insert(at, bytes)),
        (
            at(),
            prop::sample::select(vec![
                "'",
                "\"",
                "{",
                "}",
                "[",
                "]",
                ",",
                "=",
                ":",
                "/",
                "\\",
                "(",
                "not ",
                "\n",
                "%",
                "é",
                "\u{1f600}",
                "9999999999"
            ])
        )
            .prop_map(|(at, word)| Insert(at, word.as_bytes().to_vec())),
        (at(), 1_usize..16).prop_map(|(at, count)| Remove(at, count)),
        (at(), 1_usize..16, 2_usize..200).prop_map(|(at, count, times)| Repeat(at, count, times)),
        at().prop_map(Cut),
        at().prop_map(Join),
    ]
}

fn changed(input: &[u8], others: &[Vec<u8>], changes: &[Change]) -> Vec<u8> {
    let mut data = input.to_vec();
    for change in changes {
        let place = |at: &prop::sample::Index, data: &[u8]| at.index(data.len() + 1);
        match change {
            Change::Set(at, byte) if !data.is_empty() => {
                let at = at.index(data.len());
                data[at] = *byte;
            }
            Change::Flip(at, bit) if !data.is_empty() => {
                let at = at.index(data.len());
                data[at] ^= 1 << bit;
            }
            Change::Set(..) | Change::Flip(..) => {}
            Change::Insert(at, bytes) => {
                let at = place(at, &data);
                data.splice(at..at, bytes.iter().copied());
            }
            Change::Remove(at, count) => {
                let at = place(at, &data);
                data.drain(at..(at + count).min(data.len()));
            }
            Change::Repeat(at, count, times) => {
                let at = place(at, &data);
                let piece = data[at..(at + count).min(data.len())].repeat(*times);
                data.splice(at..at, piece);
            }
            Change::Cut(at) => data.truncate(place(at, &data)),
            Change::Join(at) => data.extend_from_slice(&others[at.index(others.len())]),
        }
    }
    data
}

fn mutate(name: &str, target: Target, cases: u32) {
    let inputs = corpus(name);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change(), 1..6));
    let outcome = runner.run(&strategy, |(at, changes)| {
        let data = changed(&inputs[at.index(inputs.len())], &inputs, &changes);
        std::panic::catch_unwind(|| target(&data))
            .map_err(|_| TestCaseError::fail(format!("{name} on {:?}", String::from_utf8_lossy(&data))))
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

/// More of them with `MAGNUM_TEST_FUZZ_CASES`.
#[test]
fn every_target_keeps_its_promises_on_changes_of_its_corpus() {
    let cases = std::env::var("MAGNUM_TEST_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || mutate(name, target, cases));
        }
    });
    println!("{} targets, {cases} changed inputs each", TARGETS.len());
}
