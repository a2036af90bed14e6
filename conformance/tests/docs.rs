//! Every difference that is meant stands in the documentation.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use magnum_conformance::difference::Table;

#[test]
fn every_difference_has_a_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/differences.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows = Table::load().unwrap().rows;
    let row = |name: &str, reason: &str| format!("| {name} | {reason} |");
    let missing: Vec<String> = rows
        .iter()
        .map(|meant| row(&meant.name, &meant.reason))
        .filter(|row| !page.lines().any(|line| line == row))
        .collect();
    assert!(missing.is_empty(), "docs/differences.md lacks:\n{}", missing.join("\n"));
    let (_, section) = page.split_once("## Found by the differential suite").unwrap();
    let known: Vec<String> = rows.iter().map(|meant| row(&meant.name, &meant.reason)).collect();
    let old: Vec<&str> = section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"))
        .skip(1)
        .filter(|line| line.starts_with('|') && !known.iter().any(|row| row == line))
        .collect();
    assert!(old.is_empty(), "docs/differences.md has, and differences.yaml has not:\n{}", old.join("\n"));
}
