//! What happens to files when things go wrong: the old one or the complete new one, and an input that nobody touched.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Folder, MIXED, MIXED_FILLED};

/// Kills of each command: 100 by `LACUNA_KILLS=100`.
fn kills() -> u64 {
    std::env::var("LACUNA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

/// A table of numbers and levels with a gap in every seventh row.
fn table(rows: usize) -> String {
    let row = |i: usize| {
        let x = (i * 7919 % 1009) as f64 / 100.0;
        let y = if i % 7 == 3 { String::new() } else { format!("{:.3}", 2.0 * x - 1.0) };
        format!("{x:.2},{y},{}\n", if i % 11 == 5 { "" } else { ["red", "green", "blue"][i % 3] })
    };
    format!("x,y,colour\n{}", (0..rows).map(row).collect::<String>())
}

const CHECKPOINT: &str = "checkpoint";

/// Runs to the end once, then kills again and again at random times.
fn killed(folder: &Folder, args: &[&str], output: &str) {
    let path = folder.path().join(output);
    let old = b"old\n".as_slice();
    fs::write(&path, old).unwrap();
    let start = Instant::now();
    let ran = folder.run(args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let whole = start.elapsed();
    let new = fs::read(&path).unwrap();
    assert_ne!(new, old);
    let input = folder.read("in.csv");
    let (mut kept, mut replaced) = (0, 0);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for kill in 0..kills() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let part = random as f64 / u64::MAX as f64;
        // Half of them anywhere, half where the output is written.
        let at = if kill % 2 == 0 { 1.1 * part } else { 0.8 + 0.3 * part };
        fs::write(&path, old).unwrap();
        // Two in three begin anew, the third goes on from where the last one was killed.
        if kill % 3 != 2 {
            let _ = fs::remove_file(folder.path().join(CHECKPOINT));
        }
        let mut child = folder.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(whole.mul_f64(at));
        child.kill().unwrap();
        child.wait().unwrap();
        match fs::read(&path).unwrap() {
            found if found == old => kept += 1,
            found if found == new => replaced += 1,
            found => panic!("kill {kill} at {at:.3} of a run left {} bytes of {}", found.len(), new.len()),
        }
        assert_eq!(folder.read("in.csv"), input, "kill {kill}");
        for name in folder.names().iter().filter(|n| !["in.csv", CHECKPOINT, output].contains(&n.as_str())) {
            let temporary = name.starts_with(".tmp") || (name.starts_with(".lacuna-") && name.ends_with(".tmp"));
            assert!(temporary, "kill {kill} left {name}");
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
    // What the last one left, if it did, is gone on from.
    fs::write(&path, old).unwrap();
    assert_eq!(folder.run(args).code, Some(0));
    assert!(fs::read(&path).unwrap() == new && !folder.path().join(CHECKPOINT).exists());
    println!("{}: {} kills, {kept} left the old file, {replaced} the new one", args[0], kills());
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_table() {
    let folder = Folder::new(&[("in.csv", &table(20_000))]);
    killed(&folder, &["impute", "in.csv", "--method", "mean", "-q", "-o", "out.csv"], "out.csv");
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_model() {
    let folder = Folder::new(&[("in.csv", &table(300))]);
    let args = ["fit", "in.csv", "--epochs", "1", "--members", "1", "-q", "-o", "out.safetensors"];
    killed(&folder, &args, "out.safetensors");
}

#[test]
fn a_kill_at_any_moment_of_a_fit_with_a_checkpoint_leaves_the_old_or_the_new_model() {
    // A parabola: what no linear model knows takes networks.
    let row = |i: usize| {
        let x = (i * 37 % 101) as f64 / 25.0 - 2.0;
        if i.is_multiple_of(3) { format!("{x},\n") } else { format!("{x},{:.4}\n", x * x) }
    };
    let folder = Folder::new(&[("in.csv", &format!("x,y\n{}", (0..300).map(row).collect::<String>()))]);
    let fit =
        ["fit", "in.csv", "--epochs", "40", "--hidden", "16", "--members", "2", "-q", "--checkpoint", CHECKPOINT, "-o", "m"];
    killed(&folder, &fit, "m");
}

#[test]
fn an_interrupted_fit_leaves_no_file_and_the_old_model() {
    for signal in ["INT", "TERM"] {
        let folder = Folder::new(&[("in.csv", &table(300)), ("m", "old\n")]);
        let args = ["fit", "in.csv", "--epochs", "100000", "-q", "-o", "m"];
        let child = folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while folder.names().len() < 3 {
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(100));
        assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap().success());
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(130), "{signal}");
        assert_eq!(out.stderr, b"lacuna: interrupted; no file was written\n", "{signal}");
        assert_eq!((folder.names(), folder.read("m")), (vec!["in.csv".to_string(), "m".into()], "old\n".into()), "{signal}");
    }
}

/// Runs a line of sh in the folder; `$LACUNA` is the command.
fn shell(folder: &Folder, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder.path()).env("LACUNA", env!("CARGO_BIN_EXE_lacuna")).stdin(Stdio::null());
    let out = command.output().unwrap();
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn a_file_that_may_not_grow_leaves_the_old_one() {
    let folder = Folder::new(&[("in.csv", &table(20_000)), ("out.csv", "old\n"), ("m", "old\n")]);
    // 64 blocks of 512 bytes; with the signal ignored the write fails, otherwise the process ends there.
    let (code, err) = shell(&folder, "ulimit -f 64; trap '' XFSZ; $LACUNA impute in.csv --method mean -q -o out.csv");
    assert_eq!((code, err.as_str()), (Some(1), "lacuna: cannot write `out.csv`: File too large (os error 27)\n"));
    assert_eq!(folder.names(), ["in.csv", "m", "out.csv"]);
    let fit = "$LACUNA fit in.csv --epochs 1 --members 1 -q -o m";
    let (code, err) = shell(&folder, &format!("ulimit -f 64; trap '' XFSZ; {fit}"));
    assert_eq!((code, err.as_str()), (Some(1), "lacuna: cannot write `m`: File too large (os error 27)\n"));
    assert_eq!(folder.names(), ["in.csv", "m", "out.csv"]);
    let (code, _) = shell(&folder, "ulimit -f 64; $LACUNA impute in.csv --method mean -q -o out.csv");
    assert_ne!(code, Some(0));
    assert_eq!((folder.read("out.csv").as_str(), folder.read("m").as_str()), ("old\n", "old\n"));
    assert_eq!(folder.read("in.csv"), table(20_000));
}

#[test]
fn a_full_device_is_one_clear_line() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    let ran = folder.run(&["impute", "in.csv", "--method", "mean", "-q", "-o", "/dev/full"]);
    let due = "lacuna: cannot write `/dev/full`: No space left on device (os error 28)\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), due));
}

/// In a small file system of its own, where the kernel lets a test mount one; elsewhere nothing is checked.
#[test]
fn a_full_disk_and_a_read_only_folder_leave_the_old_file() {
    let folder = Folder::new(&[("in.csv", &table(20_000)), ("small.csv", MIXED)]);
    fs::create_dir(folder.path().join("disk")).unwrap();
    let mount = "mount -t tmpfs -o size=64k tmpfs disk && echo old > disk/out.csv";
    if !Command::new("unshare").args(["-rm", "sh", "-c", mount]).current_dir(folder.path()).status().is_ok_and(|s| s.success()) {
        return;
    }
    let inside = |line: &str| shell(&folder, &format!("unshare -rm sh -c '{mount} && {line}'"));
    let after = "code=$?; ls -A disk >&2; cat disk/out.csv >&2; exit $code";
    let full = format!("$LACUNA impute in.csv --method mean -q -o disk/out.csv; {after}");
    let line = "lacuna: cannot write `disk/out.csv`: No space left on device (os error 28)\n";
    assert_eq!(inside(&full), (Some(1), format!("{line}out.csv\nold\n")));
    let fit = format!("$LACUNA fit in.csv --epochs 1 --members 1 -q -o disk/out.csv; {after}");
    assert_eq!(inside(&fit), (Some(1), format!("{line}out.csv\nold\n")));
    let read_only = format!("mount -o remount,ro disk && $LACUNA impute small.csv --method mean -q -o disk/out.csv; {after}");
    let line = "lacuna: cannot write `disk/out.csv`: Read-only file system (os error 30)\n";
    assert_eq!(inside(&read_only), (Some(1), format!("{line}out.csv\nold\n")));
    let new = format!("mount -o remount,ro disk && $LACUNA impute small.csv --method mean -q -o disk/new.csv; {after}");
    let line = "lacuna: cannot write `disk/new.csv`: read-only filesystem or storage medium\n";
    assert_eq!(inside(&new), (Some(1), format!("{line}out.csv\nold\n")));
    // To another file system than the input's, straight or through a link.
    let across = "ln -s disk/out.csv link.csv && $LACUNA impute small.csv --method mean -q -o link.csv; code=$?; cat disk/out.csv >&2; \
                  ls -A disk >&2; exit $code";
    assert_eq!(inside(across), (Some(0), format!("{MIXED_FILLED}out.csv\n")));
}

#[test]
fn an_input_replaced_while_it_is_read_is_read_whole_as_it_was_or_as_it_is() {
    let (one, other) = (table(20_000), table(20_000).replace("red", "yellow"));
    let folder = Folder::new(&[("one.csv", &one), ("other.csv", &other), ("in.csv", &one)]);
    let filled = |name: &str| folder.filled(&[name]);
    let due = [filled("one.csv"), filled("other.csv")];
    let path = |name: &str| folder.path().join(name);
    for i in 0..6 {
        fs::copy(path("one.csv"), path("in.csv")).unwrap();
        fs::copy(path("other.csv"), path("next.csv")).unwrap();
        let args = ["impute", "in.csv", "--method", "mean", "-q", "-o", "out.csv"];
        let mut child = folder.command(&args).spawn().unwrap();
        sleep(Duration::from_millis(12 * i));
        fs::rename(path("next.csv"), path("in.csv")).unwrap();
        assert!(child.wait().unwrap().success());
        let out = folder.read("out.csv");
        assert!(due.contains(&out), "neither the old table nor the new one, {} bytes", out.len());
        assert_eq!(folder.read("in.csv"), other);
    }
    // Cut off in place: a clear line, or the table up to there; never a panic.
    for i in 0..6 {
        fs::copy(path("one.csv"), path("in.csv")).unwrap();
        let mut command = folder.command(&["impute", "in.csv", "--method", "mean", "-q"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_millis(4 * i));
        fs::OpenOptions::new().write(true).open(path("in.csv")).unwrap().set_len(1000).unwrap();
        let out = child.wait_with_output().unwrap();
        let err = String::from_utf8(out.stderr).unwrap();
        let clear = err.starts_with("lacuna: ") && err.lines().count() == 1;
        assert!((out.status.code() == Some(0) && err.is_empty()) || (out.status.code() == Some(1) && clear), "{err}");
    }
}
