//! Long files: models applied piece by piece, limits of memory, trainings that go on.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use super::{Folder, feed};

/// Rows of a number, its double with gaps, and a level.
fn rows(rows: std::ops::Range<usize>) -> String {
    let row = |i: usize| {
        let x = (i * 37 % 1009) as f64 / 8.0;
        let double = if i.is_multiple_of(3) { String::new() } else { format!("{:.2}", 2.0 * x) };
        format!("{x},{double},{}\n", ["a", "b", ""][i % 3])
    };
    format!("x,double,level\n{}", rows.map(row).collect::<String>())
}

const FAST: [&str; 8] = ["--epochs", "1", "--hidden", "8", "--members", "1", "--quiet", "-o"];

#[test]
fn a_model_fills_a_pipe_of_any_length() {
    // Longer than what goes through at a time.
    let long = rows(0..120_000);
    let folder = Folder::new(&[("fit.csv", &rows(0..300)), ("long.csv", &long)]);
    assert_eq!(folder.run(&[&["fit", "fit.csv"], &FAST[..], &["m"]].concat()).code, Some(0));
    let ran = folder.run(&["impute", "long.csv", "--model", "m", "-o", "out.csv", "--report", "r.json"]);
    assert!(ran.code == Some(0) && ran.err.contains("vae: 80000 cells filled, 0 left, 120000 rows"), "{}", ran.err);
    let out = folder.read("out.csv");
    for (i, (a, b)) in long.lines().zip(out.lines()).enumerate() {
        let same = |(a, b): (&str, &str)| a == b || (a.is_empty() && !b.is_empty());
        assert!(a.split(',').zip(b.split(',')).all(same), "line {i}: {a} {b}");
    }
    // The same at once, from standard input, and on one thread.
    folder.run(&["impute", "long.csv", "--model", "m", "--indicator", "-o", "whole.csv", "--quiet"]);
    let whole = folder.read("whole.csv");
    assert!(whole.lines().zip(out.lines()).all(|(a, b)| a.rsplitn(3, ',').last() == Some(b)));
    let mut child = feed(folder.command(&["impute", "-", "--model", "m", "--threads", "1", "--max-memory", "200M"]));
    let (mut into, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let writer = std::thread::spawn(move || into.write_all(long.as_bytes()));
    let mut piped = String::new();
    from.read_to_string(&mut piped).unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success() && piped == out);
    // A reader who has seen enough.
    let mut child = feed(folder.command(&["impute", "long.csv", "--model", "m", "-m", "2"]));
    let mut from = child.stdout.take().unwrap();
    let mut start = [0; 30];
    from.read_exact(&mut start).unwrap();
    drop(from);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    assert!(start.starts_with(b".imp,.id,x,double,level\n1,1,"));
}

#[test]
fn a_fit_keeps_within_the_memory_allowed_or_says_what_it_takes() {
    let folder = Folder::new(&[("in.csv", &rows(0..40_000)), ("few.csv", &rows(0..50))]);
    let fit = |memory: &str| folder.run(&[&["fit", "in.csv", "--max-memory", memory], &FAST[..6], &["-o", "m"]].concat());
    let ran = fit("5M");
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.err, "lacuna: max_memory is 5M; it must be at least 192M for this table\n");
    let ran = fit("192M");
    assert!(
        ran.code == Some(0) && ran.err.contains(" of 40000 rows, drawn at random: as many as the memory allows"),
        "{}",
        ran.err
    );
    let ran = fit("500M");
    assert!(ran.code == Some(0) && !ran.err.contains("drawn at random"), "{}", ran.err);
    // Fit and fill in one, and fill alone.
    let ran = folder.run(&[&["impute", "in.csv", "--max-memory", "192M"], &FAST[..6], &["-o", "out.csv"]].concat());
    assert!(ran.code == Some(0) && ran.err.contains("0 left, 40000 rows") && ran.err.contains("drawn at random"), "{}", ran.err);
    let ran = folder.run(&["impute", "few.csv", "--model", "m", "--max-memory", "1M"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.starts_with("lacuna: max_memory is 1M; it must be at least "), "{}", ran.err);
    for (args, due) in [
        (&["--method", "mean"][..], "--max-memory belongs to --method vae; drop it, or change the method"),
        (&["--indicator"], "--indicator looks at all rows at once and keeps no --max-memory; drop one of them"),
        (&["-o", "out.arrow"], "--max-memory belongs to CSV files in and out, Arrow files are taken whole; drop it"),
    ] {
        let ran = folder.run(&[&["impute", "few.csv", "--max-memory", "1G"], args].concat());
        assert_eq!((ran.code, ran.err), (Some(2), format!("lacuna: {due}\n")));
    }
}

#[test]
fn a_fit_on_a_sample_knows_what_only_other_rows_have() {
    // Far down the file: a level, a flag, the smallest and the largest number, a number with decimals; beyond --ignore, more.
    let mut text = String::from("x,n,level,flag,rare,out\n");
    for i in 0..60_000 {
        let x = (i * 37 % 1009) as f64 / 8.0;
        let level = if i == 59_990 { "only here" } else { ["a", "b", ""][i % 3] };
        let flag = if i == 59_991 { "yes" } else { "no" };
        let rare = match i {
            59_992 => "-7",
            59_993 => "8",
            _ => "",
        };
        match i {
            59_994 => text += &format!("5000,{},{level},{flag},{rare},0\n", i % 7),
            59_995 => text += &format!("-4000,2.5,{level},{flag},{rare},0\n"),
            59_996 => text += &format!("99999,{},ignored,{flag},{rare},1\n", i % 7),
            _ => {
                text +=
                    &format!("{x},{},{level},{flag},{rare},0\n", if i % 11 == 0 { String::new() } else { (i % 7).to_string() })
            }
        }
    }
    let folder = Folder::new(&[("in.csv", &text)]);
    let fit = |memory: &[&str], model: &str| {
        let ran = folder.run(&[&["fit", "in.csv", "--ignore", "out", "-o", model], &FAST[..6], memory].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let json: serde_json::Value = serde_json::from_str(&folder.run(&["inspect", model, "--json"]).out).unwrap();
        (ran.err, json)
    };
    let (said, part) = fit(&["--max-memory", "195M"], "part");
    assert!(said.contains(" of 60000 rows, drawn at random"), "{said}");
    let (_, whole) = fit(&[], "whole");
    // Types, kinds and levels are those of a fit on all rows.
    for (a, b) in part["columns"].as_array().unwrap().iter().zip(whole["columns"].as_array().unwrap()) {
        for key in ["name", "type", "kind", "levels", "left"] {
            assert_eq!(a[key], b[key], "{key} of {a} and {b}");
        }
    }
    // A level that is known and a number inside the range are told of in no report.
    let odd = "x,n,level,flag,rare,out\n4999,,only here,yes,8,0\n-3999,1,only here,,-7,0\n,1,ignored,no,1,0\n";
    fs::write(folder.path().join("odd.csv"), odd).unwrap();
    let ran = folder.run(&["impute", "odd.csv", "--model", "part"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("'ignored'") && !ran.err.contains("only here") && !ran.err.contains("4999"), "{}", ran.err);
}

#[test]
fn a_long_fit_says_how_long_it_will_take() {
    let folder = Folder::new(&[("in.csv", &rows(0..3000))]);
    let mut child = folder.command(&["fit", "in.csv", "--epochs", "100000", "-o", "m"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let time = line.strip_prefix("this fit takes about ").unwrap();
    assert!(time.ends_with(" at most; --time-limit ends it sooner, with the best model so far\n"), "{line}");
}

#[test]
fn a_fit_that_was_killed_goes_on_to_the_same_bytes() {
    // Waves: what neither a line nor a parabola knows takes networks.
    let row = |i: usize| {
        let x = (i * 37 % 101) as f64 / 25.0 - 2.0;
        if i.is_multiple_of(3) { format!("{x},\n") } else { format!("{x},{:.4}\n", (3.0 * x).sin()) }
    };
    let table = format!("x,y\n{}", (0..300).map(row).collect::<String>());
    let folder = Folder::new(&[("in.csv", &table)]);
    let fit = ["fit", "in.csv", "--epochs", "60", "--hidden", "16", "--members", "2", "--quiet", "-o"];
    assert_eq!(folder.run(&[&fit[..], &["whole"]].concat()).code, Some(0));
    let kept = [&fit[..], &["again", "--checkpoint", "c"]].concat();
    let mut child = folder.command(&kept).spawn().unwrap();
    let size = || fs::metadata(folder.path().join("c")).map_or(0, |m| m.len());
    while size() < 2000 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(folder.names().contains(&"c".to_string()) && !folder.names().contains(&"again".to_string()));
    let ran = folder.run(&kept);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(fs::read(folder.path().join("whole")).unwrap() == fs::read(folder.path().join("again")).unwrap());
    assert!(!folder.names().contains(&"c".to_string()));
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/every_type.arrow"), folder.path().join("in.arrow")).unwrap();
    for (args, due) in [
        (
            &["fit", "in.arrow", "-o", "m", "--max-memory", "1G"][..],
            "--max-memory belongs to CSV files, Arrow files are taken whole; drop it",
        ),
        (
            &["fit", "in.csv", "-o", "m", "--checkpoint", "m"],
            "`m` is the checkpoint and another file; keep the checkpoint elsewhere",
        ),
        (
            &["impute", "in.csv", "--model", "whole", "--checkpoint", "c"],
            "--checkpoint belongs to a fit, and --model is fitted already; drop it, or give it to lacuna fit",
        ),
    ] {
        let ran = folder.run(args);
        assert_eq!((ran.code, ran.err), (Some(2), format!("lacuna: {due}\n")));
    }
}
