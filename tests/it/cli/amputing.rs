//! `lacuna ampute`: a whole table in, the same with gaps out.

use super::{Folder, MIXED};

fn whole(rows: usize) -> String {
    let row = |i: usize| format!("{}.50,\"a, {}\",{}\r\n", i * 37 % 101, i % 3, 10 + i * 11 % 17);
    format!("\u{feff}x,c,n\r\n{}", (0..rows).map(row).collect::<String>())
}

#[test]
fn cells_are_hidden_and_every_other_byte_stays() {
    let csv = whole(200);
    let folder = Folder::new(&[("in.csv", &csv)]);
    let ran = folder.run(&["ampute", "in.csv", "--share", "0.3", "--seed", "4", "-o", "out.csv"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    let out = folder.read("out.csv");
    let (mut hidden, fields) = (0, |line: &str| line.replace("a, ", "a;").split(',').map(String::from).collect::<Vec<_>>());
    assert_eq!(csv.split("\r\n").count(), out.split("\r\n").count());
    for (was, is) in csv.split("\r\n").zip(out.split("\r\n")) {
        for (was, is) in fields(was).iter().zip(fields(is)) {
            hidden += usize::from(was != &is);
            assert!(*was == is || is.is_empty(), "{was} became {is}");
        }
    }
    assert!((hidden as f64 / 600.0 - 0.3).abs() < 0.06, "{hidden}");
    let last = ran.err.lines().last().unwrap().to_string();
    assert!(last.starts_with(&format!("{hidden} cells hidden in ")), "{last}");
    assert!(last.ends_with(" of 200 rows (mcar, share 0.3 of the cells, seed 4)"), "{last}");
    // The same seed again, to standard output; another seed.
    let again = |seed| folder.run(&["ampute", "in.csv", "--share", "0.3", "--seed", seed, "-q"]);
    assert_eq!((again("4").out, again("4").err), (out.clone(), String::new()));
    assert_ne!(again("5").out, out);
    assert_eq!(folder.read("in.csv"), csv);
}

#[test]
fn patterns_weights_and_curves_choose_the_rows() {
    let folder = Folder::new(&[("in.csv", &whole(400))]);
    let args =
        ["ampute", "in.csv", "--mechanism", "mar", "--share", "0.5", "--pattern", "c,n=3", "--pattern", "c", "--gap", "NA"];
    let x = |curve: &str| {
        let ran = folder.run(&[&args[..], &["--weight", "x=1", "--curve", curve, "-q"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let lost: Vec<Vec<&str>> = ran.out.lines().map(|l| l.split(',').collect()).filter(|f: &Vec<&str>| f[1] == "NA").collect();
        let both = lost.iter().filter(|f| f[2] == "NA").count();
        assert!((150..250).contains(&lost.len()), "{}", lost.len());
        assert!((0.65..0.85).contains(&(both as f64 / lost.len() as f64)), "{both} of {}", lost.len());
        lost.iter().map(|f| f[0].parse::<f64>().unwrap()).sum::<f64>() / lost.len() as f64
    };
    // The mean of x is 50.
    let (right, left) = (x("right"), x("left"));
    assert!(right > 55.0 && left < 45.0, "{right} {left}");
    let ran = folder.run(&[&args[..], &["-o", "out.csv"]].concat());
    assert!(ran.err.contains("(mar, share 0.5 of the rows by 2 patterns, seed 0)"), "{}", ran.err);
}

#[test]
fn arrow_files_are_amputed_too() {
    let folder = Folder::new(&[("in.csv", &whole(50))]);
    let run = |args: &str| {
        let ran = folder.run(&args.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(0), "{args}: {}", ran.err);
        ran.out
    };
    run("ampute in.csv --seed 1 -q -o straight.arrow");
    run("impute in.csv --method mean -q -o whole.arrow");
    run("ampute whole.arrow --seed 1 -q -o turned.arrow");
    for from in ["straight.arrow", "turned.arrow"] {
        let out = run(&format!("ampute {from} --exclude x --exclude c --share 0.0001 --allow-gaps -q -o {from}.csv"));
        assert_eq!(out, "");
    }
    assert_eq!(folder.read("straight.arrow.csv"), folder.read("turned.arrow.csv"));
    assert!(folder.read("straight.arrow.csv").contains(",,"), "{}", folder.read("straight.arrow.csv"));
}

#[test]
fn wrong_calls_are_one_clear_line() {
    let folder = Folder::new(&[("gaps.csv", MIXED), ("in.csv", "x,y,id\n1,2,a\n2,3,b\n3,5,c\n4,9,d\n")]);
    let before = folder.names();
    let calls = [
        ("gaps.csv", 1, "the table has 4 missing cells already, 1 of them in column `age`; fill it first, or pass --allow-gaps"),
        ("in.csv -o in.csv", 2, "`in.csv` is an input and an output; write to another file"),
        ("in.csv --share 1", 2, "invalid value '1' for '--share <SHARE>': a number between 0 and 1 is due; see --help"),
        ("in.csv --mechanism most", 2, "mechanism is 'most'; it must be one of mcar, mar, mnar"),
        ("in.csv --curve up", 2, "curve is 'up'; it must be one of right, left, mid, tail"),
        ("in.csv --gap x", 2, "--gap 'x' would be read as a cell; pass --na 'x' too, or another text"),
        ("in.csv --gap NA -o out.arrow", 2, "--gap belongs to CSV output; a hidden cell is null in Arrow, drop it"),
        ("in.csv --weights x", 2, "--weights belongs to a fit; drop it"),
        ("in.csv --pattern z", 2, "there is no column `z`; the columns are: x, y, id"),
        (
            "in.csv --pattern id --exclude id",
            2,
            "a pattern's column is `id`; it must be a column that an imputer fills; this one is left out, constant or without a cell",
        ),
        ("in.csv --pattern x=0", 2, "frequency is 0; it must be above zero"),
        ("in.csv --pattern x --weight y=1", 2, "weights is given; it must be absent under mcar, which looks at no cell"),
        (
            "in.csv --pattern x --weight x=1 --mechanism mar",
            2,
            "mechanism is mar; it must be mnar: a pattern's weights name a column that it empties",
        ),
        (
            "in.csv --exclude id --pattern x,y --mechanism mar",
            2,
            "mechanism is mar; it must be by some column: a pattern empties every modelled column, or its weights are all zero",
        ),
        (
            "in.csv --pattern x --weight y",
            2,
            "invalid value 'y' for '--weight <COLUMN=WEIGHT>': COLUMN=WEIGHT is due, such as age=1 or age=-0.5; see --help",
        ),
        (
            "in.csv --weight y=1",
            2,
            "the following required arguments were not provided: --pattern <COLUMN,...[=FREQUENCY]>; see --help",
        ),
    ];
    for (call, code, message) in calls {
        let args: Vec<&str> = std::iter::once("ampute").chain(call.split(' ')).collect();
        let ran = folder.run(&args);
        assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(code), format!("lacuna: {message}\n"), ""), "{call}");
    }
    assert_eq!(folder.names(), before);
}
