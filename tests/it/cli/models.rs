//! Models: fitted, applied to other files, inspected.

use std::fs;

use super::Folder;

/// A table for fits: an amount, its double with gaps, a code of digits, a flag, a date in a format that only the user can state.
fn sales(rows: std::ops::Range<usize>) -> String {
    let row = |i: usize| {
        let x = (i * 37 % 101) as f64 / 4.0;
        let double = if i.is_multiple_of(3) { "?".into() } else { format!("{:.1}", 2.0 * x) };
        let code = ["", "10", "20", "30"][i % 4];
        let flag = if i.is_multiple_of(5) { "" } else { ["no", "yes"][usize::from(x > 12.0)] };
        format!("{x},{double},{code},{flag},{:02}/{:02}/2024\n", i % 12 + 1, i % 9 + 1)
    };
    format!("amount,double,code,flag,day\n{}", rows.map(row).collect::<String>())
}

const FIT: [&str; 17] = [
    "fit",
    "old.csv",
    "-o",
    "m.safetensors",
    "--na",
    "?",
    "--kind",
    "code=categorical",
    "--format",
    "day=%d/%m/%Y",
    "--epochs",
    "2",
    "--members",
    "1",
    "--hidden",
    "8",
    "--quiet",
];

#[test]
fn a_model_is_fitted_once_and_applied_to_other_files() {
    let folder = Folder::new(&[("old.csv", &sales(0..90)), ("new.csv", &sales(90..120))]);
    let fitted = folder.run(&FIT);
    assert_eq!((fitted.code, fitted.err.as_str()), (Some(0), ""));
    let apply = |args: &[&str]| folder.run(&[&["impute", "--model", "m.safetensors"], args].concat());
    // The tokens, kinds and formats of the fit hold without being stated again.
    let ran = apply(&["new.csv", "-o", "out.csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let (new, out) = (folder.read("new.csv"), folder.read("out.csv"));
    for (a, b) in new.lines().zip(out.lines()) {
        for (a, b) in a.split(',').zip(b.split(',')) {
            assert!(a == b || (matches!(a, "" | "?") && !matches!(b, "" | "?")), "{a} {b}");
        }
    }
    assert!(ran.err.contains("0 left, 30 rows"), "{}", ran.err);
    // The columns in another order, one more, and one less.
    let turned: String = new.lines().map(|l| l.split(',').rev().collect::<Vec<_>>().join(",") + ",more\n").collect();
    fs::write(folder.path().join("turned.csv"), turned).unwrap();
    let ran = apply(&["turned.csv"]);
    let back: Vec<String> = ran.out.lines().map(|l| l.split(',').rev().skip(1).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(back.join("\n") + "\n", out, "{}", ran.err);
    let less: String = new.lines().map(|l| l.rsplit_once(',').unwrap().0.to_string() + "\n").collect();
    fs::write(folder.path().join("less.csv"), less).unwrap();
    let ran = apply(&["less.csv"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(ran.err, "lacuna: the table does not agree with the fit in 1 column: `day` is absent, due date\n");
    let ran = apply(&["less.csv", "--allow-missing-columns"]);
    assert!(ran.code == Some(0) && ran.err.contains("column `day` is absent: taken as wholly missing"), "{}", ran.err);
    assert!(ran.out.starts_with("amount,double,code,flag\n"));
    // Draws, and what is found odd.
    assert_eq!(apply(&["new.csv", "-m", "2", "--seed", "4"]).out.lines().count(), 61);
    fs::write(folder.path().join("odd.csv"), "amount,double,code,flag,day\n9999,,77,yes,01/02/2024\n").unwrap();
    let ran = apply(&["odd.csv"]);
    assert!(ran.out.contains("\n9999,") && ran.out.contains(",77,yes,"), "{}", ran.out);
    assert!(ran.err.contains("(such as '77'): kept") && ran.err.contains("(such as 9999)"), "{}", ran.err);
    // Columns without a single cell are what they were.
    fs::write(folder.path().join("bare.csv"), "amount,double,code,flag,day\n,?,NA,,\n").unwrap();
    let ran = apply(&["bare.csv"]);
    let cells: Vec<&str> = ran.out.lines().nth(1).unwrap().split(',').collect();
    assert!(cells.len() == 5 && cells.iter().all(|c| !c.is_empty()), "{ran:?}");
    assert!(["10", "20", "30"].contains(&cells[2]) && cells[4].ends_with("/2024"), "{ran:?}");
}

#[test]
fn flags_of_a_fit_beside_a_model_are_wrong_usage() {
    let folder = Folder::new(&[("old.csv", &sales(0..60))]);
    assert_eq!(folder.run(&FIT).code, Some(0));
    let flags = [
        ["--epochs", "3"],
        ["--method", "vae"],
        ["--kind", "code=count"],
        ["--only", "flag"],
        ["--ignore", "flag"],
        ["--weights", "amount"],
        ["--match", "donors"],
        ["--bounds", "amount=0..9"],
    ];
    for flag in &flags {
        let ran = folder.run(&[&["impute", "old.csv", "--model", "m.safetensors"], &flag[..]].concat());
        let due =
            format!("lacuna: {} belongs to a fit, and --model is fitted already; drop it, or give it to lacuna fit\n", flag[0]);
        assert_eq!((ran.code, ran.err), (Some(2), due));
    }
    let ran = folder.run(&["impute", "old.csv", "--allow-missing-columns"]);
    assert!(ran.code == Some(2) && ran.err.contains("--model"), "{}", ran.err);
    let ran = folder.run(&["impute", "old.csv", "--model", "m.safetensors", "-o", "m.safetensors"]);
    assert!(ran.code == Some(2) && ran.err.contains("is an input and an output"), "{}", ran.err);
    let ran = folder.run(&["impute", "old.csv", "--model", "old.csv"]);
    assert!(ran.code == Some(1) && ran.err.contains("`old.csv`: the file is no model"), "{}", ran.err);
    let ran = folder.run(&["fit", "old.csv", "-o", "k.safetensors", "--k", "3"]);
    assert!(ran.code == Some(2) && !folder.names().contains(&"k.safetensors".to_string()), "{}", ran.err);
}

#[test]
fn a_model_can_be_inspected() {
    let folder = Folder::new(&[("old.csv", &sales(0..90))]);
    assert_eq!(folder.run(&FIT).code, Some(0));
    let ran = folder.run(&["inspect", "m.safetensors"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.starts_with("m.safetensors: fitted to 90 rows by lacuna 0."), "{}", ran.out);
    let code = ran.out.lines().find(|l| l.starts_with("code ")).unwrap();
    assert!(code.contains(" str ") && code.contains(" categorical ") && code.contains("     3"), "{code}");
    let ran = folder.run(&["inspect", "m.safetensors", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["training"]["rows"], &json["columns"][4]["type"]), (&90.into(), &"date".into()));
    assert!(json["columns"][0]["expected_error"]["cells"].as_u64() > Some(0), "{}", ran.out);
}

#[test]
fn rows_can_be_kept_out_of_a_fit() {
    let table = "x,y,out,w\n1,2,0,1\n2,4,0,1\n100,,1,1\n3,6,0,2\n,8,0,1\n";
    let folder = Folder::new(&[("t.csv", table)]);
    let mean = |args: &[&str]| folder.run(&[&["impute", "t.csv", "--method", "mean", "--quiet"], args].concat());
    assert_eq!(mean(&["--ignore", "out"]).out, table.replace("100,,", "100,5,").replace("\n,8", "\n2,8"));
    let ran = mean(&["--weights", "w"]);
    assert!(ran.code == Some(2) && ran.err.contains("--weights belongs to --method vae"), "{}", ran.err);
    let ran = mean(&["--ignore", "y"]);
    assert!(ran.code == Some(1) && ran.err.contains("column `y`, row 1: found 2; true or false"), "{}", ran.err);
    assert!(mean(&["--ignore", "z"]).err.contains("there is no column `z`"));
    let ran = folder.run(&["impute", "t.csv", "--weights", "w", "--epochs", "1", "--members", "1", "--quiet"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 6), "{}", ran.err);
}

/// The commands of a section of the README.
fn commands(section: &str) -> Vec<Vec<&'static str>> {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once(section).unwrap();
    let (_, rest) = rest.split_once("```sh\n").unwrap();
    let lines = rest.split_once("```").unwrap().0.lines();
    lines.map(|l| l.strip_prefix("lacuna ").unwrap().split(' ').collect()).collect()
}

#[test]
fn fit_and_apply_work_as_the_readme_has_them() {
    let folder = Folder::new(&[]);
    fs::create_dir(folder.path().join("fixtures")).unwrap();
    let penguins = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv");
    fs::copy(penguins, folder.path().join("fixtures/penguins.csv")).unwrap();
    for mut args in commands("## Fit once, apply for ever") {
        if args[0] == "fit" {
            // So as not to wait.
            args.extend(["--epochs", "2", "--members", "1"]);
        }
        let ran = folder.run(&args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    }
    assert!(!folder.read("filled.csv").contains("NA"));
    assert_eq!(folder.read("draws.csv").lines().count(), 5 * 344 + 1);
}

/// Draws by `--id` go with the value, wherever its row stands: in another order, in another file, some rows at a time.
#[test]
fn draws_go_with_the_id() {
    let rows = |order: &mut dyn Iterator<Item = usize>| -> String {
        let row = |i: usize| {
            let gap = |text: String, at: usize| if i % 4 == at { String::new() } else { text };
            let x = (i * 37 % 101) as f64 / 4.0;
            format!("c{i},{},{}\n", gap(format!("{x}"), 1), gap(["no", "yes"][usize::from(x > 12.0)].into(), 2))
        };
        format!("customer,x,flag\n{}", order.map(row).collect::<String>())
    };
    let turned: Vec<usize> = (0..60).map(|i| i * 7 % 60).collect();
    let folder = Folder::new(&[
        ("old.csv", &rows(&mut (0..60))),
        ("turned.csv", &rows(&mut turned.iter().copied())),
        ("some.csv", &rows(&mut (20..40).rev())),
    ]);
    // Each draw's cells by customer.
    let drawn = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text
            .lines()
            .skip(1)
            .map(|l| l.split(',').collect::<Vec<_>>())
            .map(|f| format!("{} {}", f[0], f[2..].join(",")))
            .collect();
        lines.sort();
        lines
    };
    let vae = ["--epochs", "2", "--members", "1", "--hidden", "8"];
    let fitted = folder.run(&[&["fit", "old.csv", "-o", "m.safetensors", "--id", "customer", "--quiet"], &vae[..]].concat());
    assert_eq!((fitted.code, fitted.err.as_str()), (Some(0), ""));
    let model = |file: &str, more: &[&str]| {
        let ran = folder.run(&[&["impute", file, "--model", "m.safetensors", "-m", "3", "--quiet"], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        drawn(&ran.out)
    };
    let all = model("old.csv", &[]);
    assert_eq!(model("turned.csv", &[]), all);
    assert!(model("some.csv", &[]).iter().all(|row| all.contains(row)));
    assert_eq!(model("turned.csv", &["--max-memory", "1G"]), all);
    // By their places they do not go with the customer.
    let by_place = |file: &str| {
        drawn(&folder.run(&[&["impute", file, "--exclude", "customer", "-m", "3", "--quiet"], &vae[..]].concat()).out)
    };
    assert_ne!(by_place("old.csv"), by_place("turned.csv"));

    fs::write(folder.path().join("twice.csv"), "customer,x,flag\na,1,no\nb,,yes\na,3,\n").unwrap();
    fs::write(folder.path().join("none.csv"), "customer,x,flag\na,1,no\n,,yes\nc,3,\n").unwrap();
    fs::write(folder.path().join("absent.csv"), "x,flag\n1,no\n,yes\n").unwrap();
    let run = |file: &str| folder.run(&["impute", file, "--model", "m.safetensors", "-m", "3", "--quiet"]);
    for (file, message) in [
        (
            "twice.csv",
            "column `customer`, row 3: found `a`; as row 1 has it, and values that tell the rows apart are due in the column of --id",
        ),
        ("none.csv", "column `customer`, row 2: found nothing; a value is due in the column of --id"),
        ("absent.csv", "the column of --id, `customer`, is absent"),
    ] {
        let ran = run(file);
        assert!(ran.code == Some(1) && ran.err.contains(message), "{file}: {:?} {}", ran.code, ran.err);
    }
    let ran = folder.run(&["impute", "old.csv", "--model", "m.safetensors", "--id", "x"]);
    assert!(ran.code == Some(2) && ran.err.contains("--id belongs to a fit"), "{}", ran.err);
}
