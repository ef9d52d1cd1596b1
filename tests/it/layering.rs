//! A module imports only from the modules above it in the reader's story.

use std::fs;
use std::path::Path;

/// The modules in reading order; those of one entry do not know each other.
const ORDER: [&[&str]; 10] = [
    &["error", "rng"],
    &["kernel"],
    &["data"],
    &["likelihood"],
    &["model"],
    &["train"],
    &["pool"],
    &["impute"],
    &["evaluate"],
    &["frame"],
];
/// The command: a crate of its own, so it sees the library as any user does.
const COMMAND: [&str; 2] = ["main", "cli"];

fn step(module: &str) -> Option<usize> {
    ORDER.iter().position(|names| names.contains(&module))
}

/// Whether a file of `from` may name `crate::to`.
fn allowed(from: &str, to: &str) -> bool {
    match (step(from), step(to)) {
        (Some(f), Some(t)) => from == to || t < f,
        _ => COMMAND.contains(&from) && COMMAND.contains(&to),
    }
}

/// The modules that a line of code reaches by `crate::`.
fn reached(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

/// Counts the paths of a file or folder of `module`, and notes the wrong ones.
fn check(file: &Path, module: &str, seen: &mut usize, wrong: &mut Vec<String>) {
    if file.is_dir() {
        fs::read_dir(file).unwrap().for_each(|f| check(&f.unwrap().path(), module, seen, wrong));
        return;
    }
    for (i, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
        for to in reached(line) {
            *seen += 1;
            if !allowed(module, to) {
                wrong.push(format!("{}:{}: `{module}` may not use `crate::{to}`", file.display(), i + 1));
            }
        }
    }
}

#[test]
fn imports_point_upwards() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if module != "lib" {
            assert!(step(&module).is_some() || COMMAND.contains(&&*module), "`{module}` has no place in the order");
            check(&path, &module, &mut seen, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "only {seen} imports found: is the search still right?");
}

#[test]
fn the_rule_tells_right_from_wrong() {
    let line = "use crate::data::schema::Schema; let x = crate::error::Error; // crate::frame";
    assert_eq!(reached(line).collect::<Vec<_>>(), ["data", "error"]);
    assert!(allowed("impute", "data") && allowed("data", "data") && allowed("main", "cli"));
    assert!(!allowed("data", "impute") && !allowed("error", "rng") && !allowed("cli", "data") && !allowed("data", ""));
}
