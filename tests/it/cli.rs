//! The command as its users meet it: files in, files out, words, exit codes.

mod amputing;
mod cells;
#[cfg(unix)]
mod faults;
mod models;
mod pooling;
mod uses;
mod streaming;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A folder of files to run the command in.
struct Folder(TempDir);

/// What a run left behind.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(TempDir::new().unwrap());
        files.iter().for_each(|(name, text)| fs::write(folder.0.path().join(name), text).unwrap());
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lacuna"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let out = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: out.status.code(), out: text(out.stdout), err: text(out.stderr) }
    }

    /// The output of a run that succeeds without a word.
    fn filled(&self, args: &[&str]) -> String {
        let ran = self.run(&[&["impute"], args, &["--method", "mean", "--quiet"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
        ran.out
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// File names, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Mean fills: 31 for `age`, True for `ok`, 2.25 for `price`, c for `grade`.
const MIXED: &str = "\
id,age,ok,price,grade
1,23,True,1.50,\"a, b\"
2,NA,False,2.25,c
3,31,,,c
4,40,True,3.00,
";

const MIXED_FILLED: &str = "\
id,age,ok,price,grade
1,23,True,1.50,\"a, b\"
2,31,False,2.25,c
3,31,True,2.25,c
4,40,True,3.00,c
";

#[test]
fn bad_input_is_one_clear_line_and_touches_nothing() {
    let files = [
        ("in.csv", MIXED),
        ("old.csv", "old\n"),
        ("empty.csv", ""),
        ("ragged.csv", "a,b\n1,2\n1,2,3\n"),
        ("open.csv", "a,b\n1,\"2\n3,4\n"),
        ("twice.csv", "a,b,a\n1,2,3\n"),
        ("inf.csv", "a,b\n1,2\n-inf,\n"),
        ("long.csv", ".imp,b\n1,\n2,3\n"),
        ("syntax.json", "{\"columns\": [{\"name\": \"age\", \"kind\": \"years\"}]}"),
        ("list.json", "[]"),
        ("stranger.json", "{\"columns\": [{\"name\": \"aeg\"}]}"),
        ("levels.json", "{\"columns\": [{\"name\": \"grade\", \"levels\": [\"c\", \"d\"]}]}"),
        ("numbers.json", "{\"columns\": [{\"name\": \"age\", \"levels\": [\"23\", \"31\", \"40\"]}]}"),
    ];
    let folder = Folder::new(&files);
    fs::write(folder.path().join("latin1.csv"), b"a,b\n1,2\n1,\xe9\n").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let before = folder.names();
    let data = [
        ("impute none.csv", 1, "cannot read `none.csv`: No such file or directory (os error 2)"),
        ("impute folder", 1, "cannot read `folder`: Is a directory (os error 21)"),
        ("impute empty.csv", 1, "`empty.csv`: the file is empty; a header line with the column names is due"),
        (
            "impute ragged.csv",
            1,
            "`ragged.csv` line 3: found 3 fields where the header has 2; quote a field that holds the delimiter, or remove the row",
        ),
        ("impute open.csv", 1, "`open.csv` line 2: a quoted field that starts in this row is never closed"),
        (
            "impute latin1.csv",
            1,
            "`latin1.csv` line 3: column `b` is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8",
        ),
        ("impute twice.csv", 1, "`twice.csv` line 1: fields 1 and 3 are both called `a`; rename one"),
        (
            "impute inf.csv",
            1,
            "column `a`, row 2: found '-inf'; a finite number is due; replace it, or pass --na '-inf' to treat it as missing",
        ),
        (
            "impute in.csv --kind grade=continuous",
            1,
            "column `grade`, row 1: found 'a, b'; the column is stated to be continuous; pass --na 'a, b' to treat it as missing, \
             or state another kind",
        ),
        (
            "impute long.csv -m 2 --method mean",
            1,
            "`long.csv`: column `.imp` has the name of one that the long form adds; rename it",
        ),
        (
            "impute in.csv --schema levels.json",
            1,
            "column `grade` holds 'a, b', which is not among its stated levels: add it, or pass it to --na",
        ),
        (
            "impute in.csv --schema syntax.json",
            1,
            "schema file `syntax.json`: unknown variant `years`, expected one of `continuous`, `positive`, `count`, `binary`, \
             `categorical`, `ordinal`, `ignored` at line 1 column 44; lacuna schema prints the form",
        ),
        (
            "impute in.csv --schema list.json",
            1,
            "schema file `list.json`: invalid length 0, expected an object with `columns` at line 1 column 2; \
             lacuna schema prints the form",
        ),
        ("impute in.csv --schema none.json", 1, "cannot read `none.json`: No such file or directory (os error 2)"),
        ("impute in.csv --schema stranger.json", 2, "there is no column `aeg`; did you mean `age`?"),
        ("impute in.csv --kind aeg=count", 2, "there is no column `aeg`; did you mean `age`?"),
        ("impute in.csv --exclude aeg", 2, "there is no column `aeg`; did you mean `age`?"),
        ("impute in.csv --only aeg", 2, "there is no column `aeg`; did you mean `age`?"),
        ("impute in.csv --only age --exclude age", 2, "only is `age`; it must be a column that is not excluded"),
    ];
    for (call, code, message) in data {
        let args: Vec<&str> = call.split(' ').chain(["-o", "old.csv"]).collect();
        let ran = folder.run(&args);
        assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(code), format!("lacuna: {message}\n"), ""), "{call}");
    }
    let calls = [
        ("impute in.csv -o none/out.csv", 1, "cannot write `none/out.csv`: No such file or directory (os error 2)"),
        ("impute in.csv -o folder", 1, "cannot write `folder`: is a directory"),
        ("impute in.csv --report none/r.json", 1, "cannot write `none/r.json`: No such file or directory (os error 2)"),
        ("impute in.csv -o in.csv", 2, "`in.csv` is an input and an output; write to another file"),
        ("impute in.csv -o folder/../in.csv", 2, "`folder/../in.csv` is an input and an output; write to another file"),
        ("impute in.csv --report ./in.csv", 2, "`./in.csv` is an input and an output; write to another file"),
        (
            "impute in.csv --schema levels.json -o levels.json",
            2,
            "`levels.json` is an input and an output; write to another file",
        ),
        ("impute in.csv -o x --report ./x", 2, "`./x` is the output and the report; write one to another file"),
        ("impute in.csv --report -", 2, "the table and the report both go to standard output; give a file to -o or --report"),
        ("impute in.csv --method mean --k 3", 2, "--k belongs to --method knn; drop it, or change the method"),
        ("impute in.csv --method knn --epochs 3", 2, "--epochs belongs to --method vae; drop it, or change the method"),
        ("impute in.csv --method mode --threads 3", 2, "--threads belongs to --method vae or knn; drop it, or change the method"),
        ("impute in.csv --threads 9999", 2, "threads is 9999; it must be from 1 to 1024"),
        ("impute in.csv -m 0", 2, "invalid value '0' for '-m <M>': a whole number of at least 1 is due; see --help"),
        (
            "impute in.csv --kind age=years",
            2,
            "invalid value 'age=years' for '--kind <COLUMN=KIND>': kind is 'years'; it must be one of continuous, positive, count, \
             binary, categorical, ordinal, ignored; see --help",
        ),
        (
            "impute in.csv --seed -1",
            2,
            "invalid value '-1' for '--seed <N>': a whole number from 0 to 18446744073709551615 is due; see --help",
        ),
        (
            "impute in.csv --epochs -1",
            2,
            "invalid value '-1' for '--epochs <N>': a whole number of at least 1 is due; see --help",
        ),
        (
            "impute in.csv --format age",
            2,
            "invalid value 'age' for '--format <COLUMN=FORMAT>': COLUMN=FORMAT is due, such as born=%d/%m/%Y; see --help",
        ),
        (
            "impute in.csv --format age=years",
            2,
            "format of column `age` is 'years'; it must be a strftime format of a date, a time or both, such as %d/%m/%Y or \
             %Y-%m-%d %H:%M",
        ),
        ("impute in.csv --decimal ;", 2, "invalid value ';' for '--decimal <CHAR>': a point or a comma is due; see --help"),
        (
            "impute in.csv --kind grade=count --schema levels.json",
            1,
            "column `grade`, row 1: found 'a, b'; the column is stated to be count; pass --na 'a, b' to treat it as missing, or \
             state another kind",
        ),
        (
            "impute in.csv --kind age=count --schema numbers.json",
            2,
            "kind of column `age` is count; it must be binary, categorical or ordinal, as levels are stated",
        ),
        (
            "impute in.csv --delimiter ab",
            2,
            "invalid value 'ab' for '--delimiter <CHAR>': one character is due, such as ';' or tab; see --help",
        ),
        ("impute", 2, "the following required arguments were not provided: <DATA>; see --help"),
        (
            "impute in.csv --epoch 3",
            2,
            "unexpected argument '--epoch' found - tip: a similar argument exists: '--epochs'; see --help",
        ),
        (
            "",
            2,
            "a command is due: impute, fit, inspect, generate, score, embed, interpolate, decode, pool, schema, compare or ampute; see lacuna --help",
        ),
    ];
    for (call, code, message) in calls {
        let args: Vec<&str> = call.split_whitespace().collect();
        let ran = folder.run(&args);
        assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(code), format!("lacuna: {message}\n"), ""), "{call}");
    }
    assert_eq!(folder.names(), before);
    for (name, text) in files {
        assert_eq!(folder.read(name), text);
    }
}

#[test]
fn only_the_gaps_change() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    assert_eq!(folder.filled(&["in.csv"]), MIXED_FILLED);
    assert_eq!(folder.filled(&["in.csv", "-o", "out.csv"]), "");
    assert_eq!(folder.read("out.csv"), MIXED_FILLED);
    assert_eq!(folder.read("in.csv"), MIXED);
    assert_eq!(folder.names(), ["in.csv", "out.csv"]);
}

#[test]
fn line_ends_marks_quotes_and_delimiters_survive() {
    let csv = "\u{feff}\"a;b\";c;d\r\n1;\"two\r\nlines\";x\r\n;\"say \"\"no\"\"\";x\r\n5;\"say \"\"no\"\"\";";
    let due = csv.replace("\r\n;", "\r\n3;") + "x";
    let folder = Folder::new(&[("in.csv", csv), ("tab.csv", "a\tb\n1\t2,5\n\t2,5\n")]);
    assert_eq!(folder.filled(&["in.csv", "--delimiter", ";"]), due);
    assert_eq!(folder.filled(&["tab.csv", "--delimiter", "\\t"]), "a\tb\n1\t2,5\n1\t2,5\n");
    assert_eq!(folder.filled(&["tab.csv", "--delimiter", "tab"]), "a\tb\n1\t2,5\n1\t2,5\n");
}

#[test]
fn tabs_commas_and_minus_signs_are_understood() {
    let folder = Folder::new(&[
        ("in.tsv", "a\tb\n1,5\tx\n\tx\n"),
        ("in.csv", "a;b\n1,5;x\n;-9\n2,0;x\n"),
        ("born.csv", "born,x\n01/02/2024,1\n02/02/2024,\n"),
    ]);
    assert_eq!(folder.filled(&["in.tsv", "--decimal", ","]), "a\tb\n1,5\tx\n1,5\tx\n");
    let args = ["in.csv", "--decimal", ",", "--delimiter", ";", "--na", "-9"];
    assert_eq!(folder.filled(&args), "a;b\n1,5;x\n1,8;x\n2,0;x\n");
    let ran = folder.run(&["impute", "born.csv", "--method", "mean"]);
    let hint = "pass --format born=%d/%m/%Y or born=%m/%d/%Y";
    assert!(ran.err.contains(hint), "{}", ran.err);
    let ran = folder.run(&["impute", "born.csv", "--method", "mean", "--format", "born=%d/%m/%Y"]);
    assert!(ran.code == Some(0) && !ran.err.contains(hint), "{}", ran.err);
}

#[test]
fn a_packed_table_comes_and_goes() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    let pack = |name: &str| {
        folder.filled(&["in.csv", "-o", name]);
        fs::read(folder.path().join(name)).unwrap()
    };
    let packed = pack("filled.csv.gz");
    assert_eq!(packed[..10], *b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
    assert_eq!(pack("again.csv.gz"), packed);
    // What was packed is read back by its first bytes, whatever its name, from a file or from standard input.
    fs::copy(folder.path().join("filled.csv.gz"), folder.path().join("plain.csv")).unwrap();
    assert_eq!(folder.filled(&["filled.csv.gz"]), MIXED_FILLED);
    assert_eq!(folder.filled(&["plain.csv"]), MIXED_FILLED);
    let mut child = feed(folder.command(&["impute", "-", "--method", "mean", "-q"]));
    child.stdin.take().unwrap().write_all(&packed).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, MIXED_FILLED.as_bytes());
    fs::write(folder.path().join("damaged.csv.gz"), &packed[..packed.len() - 4]).unwrap();
    let ran = folder.run(&["impute", "damaged.csv.gz"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.starts_with("lacuna: `damaged.csv.gz`: the gzip file is damaged (") && ran.err.lines().count() == 1,
        "{}",
        ran.err
    );
}

#[test]
fn a_table_without_gaps_comes_back_byte_for_byte() {
    let csv = "\"a\",b\r\n\"1\",x\n\n2,\"y\"";
    let folder = Folder::new(&[("in.csv", csv)]);
    // Whatever the method, nothing is fitted.
    for method in ["vae", "knn", "mean"] {
        let ran = folder.run(&["impute", "in.csv", "--method", method]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), csv));
        assert_eq!(ran.err, "nothing to fill: no missing cells in 2 rows\n");
    }
}

#[test]
fn small_tables_are_defined() {
    let folder = Folder::new(&[
        ("header.csv", "a,b\n"),
        ("row.csv", "a,b,c\n1,,x\n"),
        ("column.csv", "a\n1\n\n3\n"),
        ("nothing.csv", "a,b\n,\n,\n"),
        ("blank_row.csv", "a,b\n1,x\n,\n3,x\n"),
    ]);
    let header = folder.run(&["impute", "header.csv", "--strict"]);
    assert_eq!((header.code, header.out.as_str()), (Some(0), "a,b\n"));
    assert_eq!(header.err, "warning: `header.csv` has a header and no rows: nothing to fill\n");
    let row = folder.run(&["impute", "row.csv"]);
    assert_eq!((row.code, row.out.as_str()), (Some(0), "a,b,c\n1,,x\n"));
    // That `a` and `c` are constant matters to nobody: they have no gaps.
    let due = "nothing to fill: 0 cells filled, 1 left, 1 row\nwarning: column `b` has no observed value and stays empty\n";
    assert!(row.err.ends_with(due), "{}", row.err);
    assert_eq!(folder.filled(&["column.csv"]), "a\n1\n2\n3\n");
    assert_eq!(folder.filled(&["nothing.csv"]), "a,b\n,\n,\n");
    assert_eq!(folder.filled(&["blank_row.csv"]), "a,b\n1,x\n2,x\n3,x\n");
}

#[test]
fn missing_tokens_can_be_added() {
    let csv = "a,b\n1,x\n?,-\n3,x\nnull,x\n";
    let folder = Folder::new(&[("in.csv", csv)]);
    assert_eq!(folder.filled(&["in.csv", "--na", "?,-"]), "a,b\n1,x\n2,x\n3,x\n2,x\n");
    assert_eq!(folder.filled(&["in.csv", "--na", "?", "--na", "-"]), "a,b\n1,x\n2,x\n3,x\n2,x\n");
    assert_eq!(folder.filled(&["in.csv", "--na", "?", "--only", "a"]), "a,b\n1,x\n2,-\n3,x\n2,x\n");
    let own = r#"{"columns": [{"name": "a", "na": ["?"]}, {"name": "b", "na": ["-"], "note": "ignored"}], "name": "ignored"}"#;
    fs::write(folder.path().join("s.json"), own).unwrap();
    assert_eq!(folder.filled(&["in.csv", "--schema", "s.json"]), "a,b\n1,x\n2,x\n3,x\n2,x\n");
}

#[test]
fn a_column_with_a_few_words_among_numbers_is_named() {
    let numbers: String = (0..30).map(|i| format!("{i},x\n")).collect();
    let folder = Folder::new(&[("in.csv", &format!("age,b\n{numbers}?,x\n?,\n"))]);
    let ran = folder.run(&["impute", "in.csv", "--method", "mean", "--report", "r.json", "-o", "out.csv"]);
    let line = "warning: 2 cells of `age` say '?': pass --na '?' to treat them as missing\n";
    assert!(ran.err.contains(line), "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&folder.read("r.json")).unwrap();
    assert_eq!(report["warnings"][0]["warning"], "nearly_numeric");
    let ran = folder.run(&["schema", "in.csv"]);
    assert!(ran.err.contains(line), "{}", ran.err);
}

#[test]
fn columns_can_be_kept_out_or_chosen() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    let only = folder.filled(&["in.csv", "--only", "age", "--only", "ok"]);
    assert_eq!(only, MIXED.replace("NA", "31").replace("31,,,", "31,True,,"));
    let without = folder.filled(&["in.csv", "--exclude", "age", "--exclude", "price", "--kind", "ok=ignored"]);
    assert_eq!(without, MIXED.replace("3.00,", "3.00,c"));
    // An excluded column may hold anything.
    let odd = Folder::new(&[("in.csv", "a,b\ninf,1\nx,\n")]);
    assert_eq!(odd.filled(&["in.csv", "--exclude", "a"]), "a,b\ninf,1\nx,1\n");
}

#[test]
fn fills_take_the_format_of_their_column() {
    let csv = "whole,fixed,trimmed,sign,truth,code\n\
               1,1.50,7,+1.5,TRUE,007\n\
               2,2.25,0.25,-4.5,TRUE,007\n\
               ,,,,,\n\
               5,1.26,2,+6.0,FALSE,010\n";
    let folder = Folder::new(&[("in.csv", csv)]);
    assert_eq!(folder.filled(&["in.csv"]), csv.replace(",,,,,", "3,1.67,3.08,+1.0,TRUE,007"));
    let exact = folder.filled(&["in.csv", "--no-round"]);
    let cells: Vec<&str> = exact.lines().nth(3).unwrap().split(',').collect();
    let number = |i: usize| cells[i].parse::<f64>().unwrap();
    assert!((number(0) - 8.0 / 3.0).abs() < 1e-12 && (number(1) - 5.01 / 3.0).abs() < 1e-12, "{cells:?}");
    assert_eq!(&cells[3..], ["+1", "TRUE", "007"]);
}

#[test]
fn whole_numbers_are_written_out_within_their_type() {
    let csv = "a,b\n9007199254740993,9223372036854775807\n,\n9223372036854775807,9223372036854775806\n";
    let folder = Folder::new(&[("in.csv", csv)]);
    let filled = folder.filled(&["in.csv"]);
    let cells: Vec<i64> = filled.lines().nth(2).unwrap().split(',').map(|t| t.parse().unwrap()).collect();
    assert!((cells[0] - 4_616_189_618_054_758_400).abs() < 1_000_000 && cells[1] > i64::MAX - 10_000, "{cells:?}");
    // The cells beside them are not touched, though f64 cannot tell them apart.
    assert_eq!(filled.lines().next_back(), csv.lines().next_back());
}

#[test]
fn bounds_hold_after_rounding() {
    let folder = Folder::new(&[
        ("in.csv", "x,y\n0.5,1\n0.6,2\n,3\n"),
        ("s.json", r#"{"columns": [{"name": "x", "bounds": [null, 0.549]}]}"#),
    ]);
    assert_eq!(folder.filled(&["in.csv", "--schema", "s.json"]), "x,y\n0.5,1\n0.6,2\n0.5,3\n");
}

#[test]
fn a_printed_schema_can_be_passed_back() {
    let numbers: String = (0..20).map(|i| format!("{i},{}.0,{},{}\n", i % 2, ["True", "False"][i % 2], i * 10)).collect();
    let csv = format!("id,flag,ok,x\n{numbers},,,\n");
    let folder = Folder::new(&[("in.csv", &csv)]);
    let printed = folder.run(&["schema", "in.csv"]);
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    let schema: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    let kinds: Vec<&str> = schema["columns"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["count", "binary", "binary", "count"]);
    fs::write(folder.path().join("s.json"), &printed.out).unwrap();
    assert_eq!(folder.filled(&["in.csv", "--schema", "s.json"]), folder.filled(&["in.csv"]));
    assert_eq!(folder.run(&["schema", "in.csv", "--schema", "s.json"]).out, printed.out);
    let changed = folder.run(&["schema", "in.csv", "--schema", "s.json", "--kind", "id=continuous"]);
    assert!(changed.out.contains("continuous"), "{}", changed.out);
}

#[test]
fn draws_are_written_in_long_form() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    let long = folder.filled(&["in.csv", "-m", "3", "--seed", "5"]);
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines.len(), 1 + 3 * 4);
    assert_eq!(lines[0], ".imp,.id,id,age,ok,price,grade");
    for (i, line) in lines[1..].iter().enumerate() {
        let place = format!("{},{},{},", i / 4 + 1, i % 4 + 1, i % 4 + 1);
        assert!(line.starts_with(&place), "{line}");
    }
    assert_eq!(lines[1], "1,1,1,23,True,1.50,\"a, b\"");
    let ages: Vec<&str> = [2, 6, 10].map(|i: usize| lines[i].split(',').nth(3).unwrap()).to_vec();
    assert!(ages.iter().all(|a| ["23", "31", "40"].contains(a)), "{ages:?}");
    assert_eq!(folder.filled(&["in.csv", "-m", "3", "--seed", "5"]), long);
    assert_ne!(folder.filled(&["in.csv", "-m", "3", "--seed", "6"]), long);
    let whole = Folder::new(&[("in.csv", "x\n1\n2")]);
    assert_eq!(whole.filled(&["in.csv", "-m", "2"]), ".imp,.id,x\n1,1,1\n1,2,2\n2,1,1\n2,2,2\n");
}

#[test]
fn standard_streams_are_files_too() {
    let folder = Folder::new(&[]);
    let mut child = feed(folder.command(&["impute", "-", "-o", "-", "--method", "mean", "-q"]));
    child.stdin.take().unwrap().write_all(MIXED.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stdout.as_slice(), out.stderr.as_slice()), (Some(0), MIXED_FILLED.as_bytes(), &b""[..]));
    let mut child = feed(folder.command(&["impute", "-"]));
    child.stdin.take().unwrap().write_all(b"a,b\n1\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stderr.starts_with(b"lacuna: `standard input` line 2: found 1 field"));
}

fn feed(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_closed_pipe_is_success() {
    let folder = Folder::new(&[]);
    let mut child = feed(folder.command(&["impute", "-", "--method", "mean"]));
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(MIXED.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(0), &b""[..]));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_leaves_no_file() {
    let folder = Folder::new(&[("out.csv", "old\n")]);
    let mut child = feed(folder.command(&["impute", "-", "-o", "out.csv", "--report", "r.json"]));
    let open = child.stdin.take();
    // The command waits for its input; its temporary files show that it is ready.
    while folder.names().len() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(killed.success());
    let out = child.wait_with_output().unwrap();
    drop(open);
    assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(130), &b"lacuna: interrupted; no file was written\n"[..]));
    assert_eq!(folder.names(), ["out.csv"]);
    assert_eq!(folder.read("out.csv"), "old\n");
}

#[cfg(unix)]
#[test]
fn links_permissions_and_devices_are_respected() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new(&[("in.csv", MIXED), ("old.csv", "old\n")]);
    let path = |name: &str| folder.path().join(name);
    let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    symlink("in.csv", path("link.csv")).unwrap();
    let ran = folder.run(&["impute", "link.csv", "-o", "in.csv"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    symlink("old.csv", path("out.csv")).unwrap();
    fs::set_permissions(path("old.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    folder.filled(&["in.csv", "-o", "out.csv"]);
    assert!(fs::symlink_metadata(path("out.csv")).unwrap().is_symlink());
    assert_eq!((folder.read("old.csv").as_str(), mode("old.csv")), (MIXED_FILLED, 0o640));
    // A link to a file that is not there yet, and links that lead nowhere.
    symlink("later.csv", path("ahead.csv")).unwrap();
    folder.filled(&["in.csv", "-o", "ahead.csv"]);
    assert!(fs::symlink_metadata(path("ahead.csv")).unwrap().is_symlink());
    assert_eq!(folder.read("later.csv"), MIXED_FILLED);
    symlink("loop.csv", path("loop.csv")).unwrap();
    let ran = folder.run(&["impute", "in.csv", "-o", "loop.csv"]);
    assert!(ran.code == Some(1) && ran.err.starts_with("lacuna: cannot write `loop.csv`: "), "{}", ran.err);
    // A new file has the rights that any new file gets here.
    folder.filled(&["in.csv", "-o", "new.csv"]);
    fs::write(path("plain"), "").unwrap();
    assert_eq!(mode("new.csv"), mode("plain"));
    folder.filled(&["in.csv", "-o", "/dev/null"]);
    assert_eq!(folder.filled(&["in.csv", "-o", "/dev/stdout"]), MIXED_FILLED);
}

#[test]
fn a_column_that_stays_empty_is_a_warning_or_strictly_a_failure() {
    let csv = "a,b,c\n1,,\n,,x\n";
    let folder = Folder::new(&[("in.csv", csv)]);
    let args = ["impute", "in.csv", "--method", "mean", "-o", "out.csv"];
    let ran = folder.run(&args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("warning: column `b` has no observed value and stays empty\n"), "{}", ran.err);
    assert_eq!(folder.read("out.csv"), "a,b,c\n1,,x\n1,,x\n");
    let ran = folder.run(&[&args[..], &["--strict", "--quiet"]].concat());
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.err,
        "lacuna: --strict: columns stay incomplete: `b` (2 missing, no observed value); --exclude them or state their kind\n"
    );
    let ran = folder.run(&[&args[..], &["--strict", "--exclude", "b"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn the_report_says_what_happened() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    let ran = folder.run(&["impute", "in.csv", "-o", "out.csv", "--method", "median", "--report", "r.json"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(ran.err.contains("median: 4 cells filled, 0 left, 4 rows\n"), "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&folder.read("r.json")).unwrap();
    assert_eq!((report["method"].as_str(), report["rows"].as_u64()), (Some("median"), Some(4)));
    let age = &report["columns"][1];
    assert_eq!((age["column"].as_str(), age["missing"].as_u64(), age["filled"].as_u64()), (Some("age"), Some(1), Some(1)));
    let ran = folder.run(&["impute", "in.csv", "-o", "out.csv", "--method", "mean", "--report", "-", "--quiet"]);
    assert_eq!(ran.err, "");
    assert!(serde_json::from_str::<serde_json::Value>(&ran.out).is_ok());
}

#[test]
fn long_names_stay_apart_in_the_report() {
    let name = |end: &str| format!("{}{end}", "a long question that begins like the next one, ".repeat(2));
    let folder = Folder::new(&[("in.csv", &format!("\"{}\",\"{}\"\n1,2\n,\n3,4\n", name("first"), name("second")))]);
    let ran = folder.run(&["impute", "in.csv", "--method", "mean"]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines[1].starts_with("a long question …next one, first  count "), "{}", ran.err);
    assert!(lines[2].starts_with("a long question …ext one, second  count "), "{}", ran.err);
}

#[test]
fn help_is_worth_reading() {
    let folder = Folder::new(&[]);
    for (args, due) in [
        (&["--help"][..], "lacuna compare data.csv"),
        (&["impute", "--help"], "--na '?'"),
        (&["schema", "-h"], "--schema schema.json"),
        (&["compare", "--help"], "--mechanism"),
        (&["--version"], "lacuna "),
    ] {
        let ran = folder.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.contains(due), "{}", ran.out);
    }
}

/// 40 rows of three columns that depend on each other, with gaps.
fn dependent() -> String {
    let row = |i: i32| match i % 5 {
        0 => format!("{i},,{}\n", if i < 20 { "low" } else { "high" }),
        1 => format!("{i},{}.5,\n", 2 * i),
        _ => format!("{i},{}.5,{}\n", 2 * i, if i < 20 { "low" } else { "high" }),
    };
    (0..40).map(row).fold("x,y,z\n".to_string(), |csv, row| csv + &row)
}

#[test]
fn the_autoencoder_and_the_neighbours_fill_too() {
    let csv = dependent();
    let folder = Folder::new(&[("in.csv", &csv)]);
    for method in [&["--epochs", "2"][..], &["--method", "knn", "--k", "3"]] {
        let ran = folder.run(&[&["impute", "in.csv"], method].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.err.contains(": 16 cells filled, 0 left, 40 rows\n"), "{}", ran.err);
        // A pipe gets no progress bar.
        assert!(!ran.err.contains('\r') && !ran.err.contains("epoch "), "{}", ran.err);
        for (before, after) in csv.lines().zip(ran.out.lines()) {
            for (before, after) in before.split(',').zip(after.split(',')) {
                assert!(if before.is_empty() { !after.is_empty() } else { before == after }, "{before} {after}");
            }
        }
        let again = folder.run(&[&["impute", "in.csv", "--threads", "1"], method].concat());
        assert_eq!(again.out, ran.out);
    }
    let draws = folder.run(&["impute", "in.csv", "--epochs", "2", "--time-limit", "5m", "-m", "2", "--quiet"]);
    assert_eq!((draws.code, draws.out.lines().count()), (Some(0), 81), "{}", draws.err);
}

#[test]
fn methods_are_compared_on_the_same_hidden_cells() {
    let folder = Folder::new(&[("in.csv", &dependent())]);
    let ran = folder.run(&["compare", "in.csv", "--epochs", "2", "--share", "0.3", "--mechanism", "mar", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let compared: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(compared["methods"].as_array().map(Vec::len), Some(3), "{compared}");
    let table = folder.run(&["compare", "in.csv", "--epochs", "2"]);
    assert_eq!(table.code, Some(0), "{}", table.err);
    assert!(table.out.contains("knn") && table.out.contains('y'), "{}", table.out);
    for call in ["--share 0", "--share 1", "--share x", "--mechanism many", "--k 0"] {
        let ran = folder.run(&["compare in.csv", call].join(" ").split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{call}");
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
}

#[test]
fn added_columns_follow_each_row_and_leave_its_bytes_alone() {
    let csv = "name;x;n;ok;left\r\n\"A; 1\";1,50;4;yes;\r\nB;;;;\r\nC;2.50;7;no;\r\nD;+2.5;9;no;";
    let folder = Folder::new(&[("in.csv", csv)]);
    let plain = folder.filled(&["in.csv", "--delimiter", ";"]);
    let args = ["in.csv", "--delimiter", ";", "--indicator", "--with-uncertainty", "--draws", "19", "--interval", "0.9"];
    let more = folder.filled(&args);
    let lines = |text: &str| text.lines().map(str::to_string).collect::<Vec<_>>();
    assert_eq!(lines(&plain).len(), 5);
    for (plain, more) in lines(&plain).iter().zip(lines(&more)) {
        assert!(more.starts_with(plain.as_str()), "{plain} | {more}");
    }
    let rest: Vec<String> = lines(&plain).iter().zip(lines(&more)).map(|(p, m)| m[p.len()..].to_string()).collect();
    let figures = "x_probability;n_sd;n_low;n_high;ok_probability";
    assert_eq!(rest[0], format!(";{figures};x_missing;n_missing;ok_missing;left_missing"));
    assert_eq!([&rest[1], &rest[3]], [";;;;;;false;false;false;true"; 2]);
    let gaps: Vec<&str> = rest[2].split(';').skip(1).collect();
    assert_eq!(gaps[5..], ["true"; 4]);
    assert!(gaps[..5].iter().all(|x| x.parse::<f64>().is_ok()), "{gaps:?}");
    assert!(["4", "7"].contains(&gaps[2]) && ["7", "9"].contains(&gaps[3]), "ends are drawn values as the column writes them");
    assert!(more.contains("\r\n") && !more.ends_with('\n'));
    // In the long form the indicator alone.
    let long = folder.filled(&["in.csv", "--delimiter", ";", "--indicator", "-m", "2"]);
    assert!(lines(&long)[0].ends_with(";left;x_missing;n_missing;ok_missing;left_missing"));
    assert_eq!(lines(&long).iter().filter(|l| l.ends_with(";true;true;true;true")).count(), 2);
    // Nothing missing, nothing added.
    let folder = Folder::new(&[("in.csv", "a,b\n1,2\n3,4\n")]);
    assert_eq!(folder.filled(&["in.csv", "--indicator", "--with-uncertainty"]), "a,b\n1,2\n3,4\n");
}

#[test]
fn arrow_files_go_in_and_out() {
    let folder = Folder::new(&[("in.csv", MIXED)]);
    let run = |args: &[&str]| {
        let ran = folder.run(&[&["impute"], args, &["--method", "mean", "--quiet"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
    };
    let read = |name: &str| lacuna::data::ipc::read(folder.path().join(name)).unwrap();
    run(&["in.csv", "-o", "filled.arrow"]);
    run(&["filled.arrow", "-o", "filled.csv"]);
    assert_eq!(
        folder.read("filled.csv"),
        "id,age,ok,price,grade\n1,23,true,1.5,\"a, b\"\n2,31,false,2.25,c\n3,31,true,2.25,c\n4,40,true,3.0,c\n"
    );
    // The name decides, and the content: an Arrow file under any name, in Feather's own, or on standard input.
    run(&["in.csv", "-o", "filled.FEATHER"]);
    assert_eq!(read("filled.FEATHER"), read("filled.arrow"));
    fs::rename(folder.path().join("filled.FEATHER"), folder.path().join("table")).unwrap();
    run(&["table", "-o", "again.ipc"]);
    assert_eq!(read("again.ipc"), read("filled.arrow"));
    let bytes = fs::read(folder.path().join("table")).unwrap();
    let mut child = folder.command(&["impute", "-", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, fs::read(folder.path().join("again.ipc")).unwrap());
    // Draws in both forms.
    run(&["in.csv", "-m", "3", "-o", "long.arrow"]);
    run(&["in.csv", "-m", "3", "--form", "list", "-o", "list.arrow"]);
    assert_eq!((read("long.arrow").num_rows(), read("list.arrow").num_rows()), (12, 4));
    assert_eq!(read("list.arrow").schema().metadata()["lacuna.form"], "list");
    run(&["in.csv", "--indicator", "-o", "told.arrow"]);
    assert_eq!(read("told.arrow").schema().field_with_name("age_missing").unwrap().metadata()["lacuna.of"], "age");
    // The other commands read them too.
    let schema = folder.run(&["schema", "filled.arrow"]);
    assert_eq!((schema.code, schema.err.as_str()), (Some(0), ""));
    assert!(schema.out.contains("\"age\""));
}

#[test]
fn a_table_whose_gaps_are_nan_has_gaps() {
    use lacuna::polars::prelude::*;
    let folder = Folder::new(&[]);
    let cells = |gap: i32, by: f64| (0..40).map(|i| if i % 8 == gap { f64::NAN } else { by * f64::from(i) }).collect::<Vec<_>>();
    let df = df!("x" => cells(1, 1.0), "y" => cells(2, -2.5)).unwrap();
    lacuna::data::ipc::write(&lacuna::data::arrow::to_batch(&df).unwrap(), folder.path().join("in.arrow")).unwrap();
    let ran = folder.run(&["impute", "in.arrow", "--epochs", "2", "--members", "1", "-o", "out.arrow"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.contains("vae: 10 cells filled, 0 left, 40 rows"), "{}", ran.err);
}

#[test]
fn wrong_calls_about_arrow_and_uncertainty_are_one_clear_line() {
    let folder = Folder::new(&[("in.csv", MIXED), ("bad.arrow", MIXED), ("x.csv", "x,x_sd\n1,2\n,3\n")]);
    let made = folder.run(&["impute", "in.csv", "-o", "in.arrow", "--method", "mean", "--quiet"]);
    assert_eq!(made.code, Some(0));
    let before = folder.names();
    let cases = [
        ("in.csv -m 2 --form list", 2, "--form list belongs to Arrow output; give -o a name in .arrow, or drop it"),
        ("in.csv -o o.arrow --no-round", 2, "--no-round belongs to CSV output; Arrow keeps all digits of a float, drop it"),
        ("in.arrow --na ?", 2, "--na belongs to CSV, and `in.arrow` is an Arrow file; drop it"),
        ("in.csv --with-uncertainty --interval 0.99 --draws 50", 2, "--interval 0.99 takes 199 draws at least; --draws says 50"),
        ("in.csv --with-uncertainty --interval 0.9999", 2, "--interval 0.9999 takes 19999 draws at least; state them by --draws"),
        ("x.csv --with-uncertainty", 1, "column `x_sd` has the name of one to be added; rename it"),
        ("bad.arrow", 1, "cannot read `bad.arrow`: neither an Arrow IPC file nor an Arrow IPC stream"),
    ];
    for (args, code, due) in cases {
        let args: Vec<&str> = ["impute"].into_iter().chain(args.split(' ')).chain(["--method", "mean"]).collect();
        let ran = folder.run(&args);
        assert_eq!((ran.code, ran.out.as_str(), ran.err), (Some(code), "", format!("lacuna: {due}\n")), "{args:?}");
    }
    for args in
        ["in.csv --interval 0.5", "in.csv -m 2 --with-uncertainty", "in.csv --with-uncertainty --interval 1", "in.csv --draws 5"]
    {
        let ran = folder.run(&["impute"].into_iter().chain(args.split(' ')).collect::<Vec<_>>());
        assert_eq!((ran.code, ran.err.lines().count()), (Some(2), 1), "{args}: {}", ran.err);
    }
    assert_eq!(folder.names(), before);
}

#[test]
fn bounds_are_stated_on_the_command() {
    let rows: String = (0..40).map(|i| format!("{},2024-01-{:02}\n", i * 7 % 40, i % 28 + 1)).collect();
    let text = format!("x,d\n{rows},\n,\n");
    let folder = Folder::new(&[("t.csv", text.as_str())]);
    let out = folder.filled(&["t.csv", "--bounds", "x=..9", "--bounds", "d=2024-01-20..2024-02-01"]);
    assert!(out.ends_with("\n9,2024-01-20\n9,2024-01-20\n"), "{out}");
    let drawn = folder.run(&[
        "impute",
        "t.csv",
        "-m",
        "5",
        "--bounds",
        "x=30..",
        "--match",
        "donors",
        "--epochs",
        "2",
        "--members",
        "1",
        "--quiet",
    ]);
    let filled: Vec<&str> =
        drawn.out.lines().filter(|l| l.split(',').nth(1).is_some_and(|id| id == "41" || id == "42")).collect();
    assert_eq!(filled.len(), 10, "{}", drawn.err);
    assert!(filled.iter().all(|l| l.split(',').nth(2).unwrap().parse::<u32>().unwrap() >= 30), "{filled:?}");
    for (bounds, says) in
        [("x", "COLUMN=LOW..HIGH"), ("x=a..", "'a'"), ("y=0..", "no column `y`"), ("x=9..1", "bounds of column `x`")]
    {
        let ran = folder.run(&["impute", "t.csv", "--bounds", bounds, "--method", "mean"]);
        assert_eq!(ran.code, Some(2), "{bounds}: {}", ran.err);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
}
