//! Every example runs and ends with the result it checked.

use std::path::PathBuf;
use std::process::Command;

/// Examples are built beside the tests: `target/<profile>/deps/it-…` and `target/<profile>/examples/…`.
fn last_line(example: &str) -> String {
    let mut path: PathBuf = std::env::current_exe().expect("the test binary has a path");
    path.pop();
    path.pop();
    path.extend(["examples", &format!("{example}{}", std::env::consts::EXE_SUFFIX)]);
    assert!(path.exists(), "{} is not built: run `cargo test`, or `cargo build --examples` first", path.display());
    let run = Command::new(&path).output().expect("the example starts");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{example}: {}\n{out}\n{err}", run.status);
    out.lines().last().unwrap_or_default().to_string()
}

#[test]
fn quickstart() {
    assert_eq!(last_line("quickstart"), "56 gaps filled, 0 left");
}

#[test]
fn mixed_types() {
    assert_eq!(last_line("mixed_types"), "8 columns, 8 types kept, 96 cells filled");
}

#[test]
fn draws_to_arrow() {
    assert_eq!(last_line("draws_to_arrow"), "5 draws of 25 gaps, the same in both forms");
}

#[test]
fn compare() {
    assert_eq!(last_line("compare"), "3 methods compared on 4 columns; the autoencoder is ahead of the mean");
}

#[test]
fn families() {
    assert_eq!(last_line("families"), "the chosen family is ahead of the Gaussian in 3 columns");
}

#[test]
fn pooled_regression() {
    assert_eq!(last_line("pooled_regression"), "20 tables of 344 rows pooled; listwise deletion keeps 333");
}

#[test]
fn generate() {
    assert_eq!(last_line("generate"), "500 rows made for each of 3 questions");
}

#[test]
fn interpolate() {
    assert_eq!(last_line("interpolate"), "41 steps, both ends included");
}

#[test]
fn score() {
    assert_eq!(last_line("score"), "10 of the 10 spoilt rows are the oddest 10, by their body mass");
}

#[test]
fn embed() {
    assert_eq!(last_line("embed"), "344 penguins as points of 2 dimensions, and decoded");
}

#[test]
fn plain_autoencoder() {
    assert_eq!(last_line("plain_autoencoder"), "the plain one's points are further from N(0, I)");
}

#[test]
fn molecules() {
    assert_eq!(last_line("molecules"), "200 rows of tokens made plainly, and 200 with logP given");
}

#[test]
fn every_example_is_run_here() {
    let source = include_str!("examples.rs");
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(source.contains(&format!("last_line(\"{name}\")")), "{name} has no test");
    }
}
