//! Labels that sites declare themselves: which files are taken, and what comes of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use magnum_coe::label::{catalogue, install, with_files};
use magnum_domain::Labels;

const SITE: &str = "drivers:\n  - {name: ours, engines: [kubernetes], about: our_driver_v1}\nlabels:\n  \
    - {name: cost_center, for: [ours, local], type: integer, about: \"Who pays.\"}\n  \
    - {name: tier, for: [ours], type: enum, values: [gold, silver], default: silver, about: \"What is promised.\"}\n";

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn declared_labels_bring_no_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let found = |engine: &str, name: &str, value: &str| {
        let labels = Labels::from([(name.to_owned(), value.to_owned())]);
        let driver = (engine == "swarm-mode").then_some("local");
        let found = catalogue().unwrap().findings(engine, driver, &labels);
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    install(&[]).unwrap();
    assert_eq!(found("kubernetes", "cost_center", "7"), "Label cost_center is not known.");
    install(&[write(&folder, "labels.yaml", SITE)]).unwrap();
    for (engine, name, value, expected) in [
        ("kubernetes", "cost_center", "7", ""),
        ("swarm-mode", "cost_center", "7", ""),
        ("kubernetes", "tier", "gold", ""),
        ("kubernetes", "kube_tag", "v1.28.9", ""),
        ("kubernetes", "tire", "gold", "Label tire is not known. Did you mean tier?"),
        ("kubernetes", "cost_center", "many", "Label cost_center is 'many'. It should be a whole number."),
        ("mesos", "tier", "gold", "Label tier is for kubernetes only and does nothing here."),
    ] {
        assert_eq!(found(engine, name, value), expected, "{engine} {name}={value}");
    }
    assert!(install(&[folder.path().join("labels.yaml")]).is_err(), "once in a process");
}

#[test]
fn files_that_make_no_sense_are_refused_with_their_name() {
    let folder = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("", "is not a file of labels"),
        ("labels: 5\n", "is not a file of labels"),
        ("labels: []\nmore: 1\n", "is not a file of labels"),
        ("labels:\n  - {name: a, for: [heat]}\n", "about"),
        ("labels:\n  - {name: a, for: [heat], type: colour, about: x}\n", "is not a file of labels"),
        ("labels:\n  - {name: kube_tag, for: [heat], about: x}\n", "kube_tag is declared already"),
        (
            "labels:\n  - {name: a, for: [heat], about: x}\n  - {name: a, for: [heat], about: y}\n",
            "a is declared already",
        ),
        ("labels:\n  - {name: a, for: [], about: x}\n", "a is for no drivers"),
        ("labels:\n  - {name: a, for: [heta], about: x}\n", "a is for heta, which is no group of drivers"),
        ("labels:\n  - {name: a, for: [heat], type: enum, about: x}\n", "a is an enum and has no values"),
        ("labels:\n  - {name: a, for: [heat], values: [b], about: x}\n", "a has values"),
        ("labels:\n  - {name: a, for: [heat], until: Zed, about: x}\n", "both of until and instead"),
        (
            "drivers:\n  - {name: heat, engines: [kubernetes], about: x}\nlabels: []\n",
            "heat is a group of drivers already",
        ),
        ("drivers:\n  - {name: b, engines: [], about: x}\nlabels: []\n", "b names no engines"),
    ] {
        let path = write(&folder, "labels.yaml", text);
        let error = with_files(&[path]).expect_err(text).to_string();
        assert!(error.contains(words) && error.contains("labels.yaml"), "{text}: {error}");
    }
    let error = with_files(&[folder.path().join("none.yaml")]).unwrap_err().to_string();
    assert!(error.contains("none.yaml can't be read"), "{error}");
    assert_eq!(
        with_files(&[write(&folder, "good.yaml", SITE)]).unwrap().label("tier").unwrap().values,
        ["gold", "silver"]
    );
}
