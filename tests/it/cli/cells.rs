//! Cells that are no plain gaps: not applicable, or filled although observed.

use super::Folder;

const FORM: &str = "\
id,sex,weeks,income
1,f,30,1200
2,m,n/a,2300
3,f,,1500
4,m,n/a,NA
5,f,36, n/a 
6,m,n/a,2100
";

#[test]
fn cells_that_are_not_applicable_stay_as_written_and_are_counted() {
    let folder = Folder::new(&[("in.csv", FORM)]);
    let args = ["in.csv", "--exclude", "id", "--not-applicable", "n/a"];
    // The mean of 30 and 36, of 1200, 2300, 1500 and 2100; the rest byte for byte.
    let due = FORM.replace("3,f,,1500", "3,f,33,1500").replace("4,m,n/a,NA", "4,m,n/a,1775");
    assert_eq!(folder.filled(&args), due);
    let ran = folder.run(&[&["impute"], &args[..], &["--method", "mean", "-o", "out.csv", "--report", "r.json"]].concat());
    assert_eq!(ran.code, Some(0));
    for line in ["column `weeks`: 3 cells not applicable, kept\n", "column `income`: 1 cell not applicable, kept\n"] {
        assert!(ran.err.contains(line), "{}", ran.err);
    }
    assert!(ran.err.contains("mean: 2 cells filled, 0 left, 6 rows\n"), "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&folder.read("r.json")).unwrap();
    let weeks = &report["columns"][2];
    assert_eq!((&weeks["missing"], &weeks["filled"], &weeks["not_applicable"]), (&1.into(), &1.into(), &3.into()));
    // They are no gaps for --strict and --indicator, and stay in every draw.
    let indicated = folder.filled(&[&args[..], &["--indicator", "--strict"]].concat());
    let flags: Vec<&str> = indicated.lines().map(|l| l.splitn(5, ',').nth(4).unwrap()).collect();
    let due =
        ["weeks_missing,income_missing", "false,false", "false,false", "true,false", "false,true", "false,false", "false,false"];
    assert_eq!(flags, due);
    let draws = folder.filled(&[&args[..], &["-m", "3"]].concat());
    assert_eq!((draws.matches("n/a").count(), draws.lines().count()), (12, 19));
    let spread = folder.filled(&[&args[..], &["--with-uncertainty"]].concat());
    assert!(spread.lines().nth(2).unwrap().ends_with("2,m,n/a,2300,,,,,,"), "{spread}");
    // A model remembers the text.
    let fit = folder.run(&["fit", "in.csv", "--exclude", "id", "--not-applicable", "n/a", "--epochs", "1", "-q", "-o", "m"]);
    assert_eq!(fit.code, Some(0), "{}", fit.err);
    let ran = folder.run(&["impute", "in.csv", "--model", "m", "-q"]);
    assert_eq!((ran.code, ran.out.matches("n/a").count(), ran.out.contains(",,")), (Some(0), 4, false), "{}", ran.err);
}

#[test]
fn not_applicable_is_not_missing() {
    let folder = Folder::new(&[("in.csv", FORM)]);
    let ran = folder.run(&["impute", "in.csv", "--na", "n/a", "--not-applicable", "n/a"]);
    let due =
        "lacuna: not_applicable is 'n/a'; it must be a text that is not missing: such a cell is either a gap or not applicable\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), due));
    // A column of nothing else has nothing to learn from and nothing to fill.
    let folder = Folder::new(&[("in.csv", "x,y\n1,-\n,-\n3,-\n")]);
    assert_eq!(folder.filled(&["in.csv", "--not-applicable", "-"]), "x,y\n1,-\n2,-\n3,-\n");
}

#[test]
fn observed_cells_are_filled_beside_themselves() {
    let folder = Folder::new(&[("in.csv", "x,c\n1,a\n,b\n4,\n7,b\n")]);
    let out = folder.filled(&["in.csv", "--overimpute", "x", "--overimpute", "c"]);
    assert_eq!(out, "x,c,x_overimputed,c_overimputed\n1,a,4,b\n4,b,,b\n4,b,4,\n7,b,4,b\n");
    let ran = folder.run(&["impute", "in.csv", "--method", "mean", "--overimpute", "x", "-o", "out.csv"]);
    assert!(ran.err.contains("overimputed `x`: 3 observed cells, error 1.000 sd\n"), "{}", ran.err);
    let args = ["impute", "in.csv", "--method", "mean", "--overimpute", "x", "--with-uncertainty", "-q"];
    let ran = folder.run(&[&args[..], &["--report", "r.json"]].concat());
    let header = ran.out.lines().next().unwrap();
    assert!(header.ends_with("c_probability,x_overimputed,x_overimputed_sd,x_overimputed_low,x_overimputed_high"), "{header}");
    let report: serde_json::Value = serde_json::from_str(&folder.read("r.json")).unwrap();
    assert_eq!(report["overimputed"][0]["covered"][1], 1.0);
    // A table without a gap is no reason not to look.
    let whole = Folder::new(&[("in.csv", "x,y\n1,2\n2,4\n3,6\n")]);
    assert!(whole.filled(&["in.csv", "--overimpute", "x"]).starts_with("x,y,x_overimputed\n1,2,2\n"));
}

#[test]
fn wrong_calls_about_overimputation_are_one_clear_line() {
    let files = [("in.csv", "x,id,k\n1,a,5\n,b,5\n4,c,\n7,d,5\n"), ("taken.csv", "x,x_overimputed\n1,2\n,3\n3,4\n")];
    let folder = Folder::new(&files);
    let calls = [
        ("in.csv --overimpute y", 2, "there is no column `y`; the columns are: x, id, k"),
        ("in.csv --overimpute k", 2, "overimpute is `k`; it must be a column that is filled; this one is left out or constant"),
        ("taken.csv --overimpute x", 1, "column `x_overimputed` has the name of one to be added; rename it"),
    ];
    for (call, code, message) in calls {
        let args: Vec<&str> = "impute --method mean".split(' ').chain(call.split(' ')).collect();
        let ran = folder.run(&args);
        assert_eq!((ran.code, ran.err), (Some(code), format!("lacuna: {message}\n")), "{call}");
    }
    let beside = |flags: &str| {
        let flags = flags.split(' ').collect::<Vec<_>>();
        folder.run(&[&["impute", "in.csv", "--overimpute", "x"], &flags[..]].concat()).err
    };
    let due = |message: &str| format!("lacuna: {message}\n");
    let knn = "--overimpute says nothing beside --method knn: each cell would find itself; drop one of them";
    assert_eq!(beside("--method knn"), due(knn));
    let donors = "--overimpute says nothing beside --match donors: each cell would find itself; drop one of them";
    assert_eq!(beside("--match donors"), due(donors));
    assert!(beside("-m 3").contains("the argument '--overimpute <COLUMN>' cannot be used with '-m <M>'"));
    let fit = folder.run(&["fit", "in.csv", "--match", "donors", "--epochs", "1", "-q", "-o", "m"]);
    assert_eq!(fit.code, Some(0), "{}", fit.err);
    let model = "--overimpute says nothing of a model with 5 donors: each cell would find itself; drop it";
    assert_eq!(beside("--model m"), due(model));
}

#[test]
fn formulas_and_paths_are_text_like_any_other() {
    let rows: String =
        (0..12).map(|i| format!("{},{}\n", ["=1+1", "@SUM(A1:A9)", "../../etc/passwd", "/dev/null"][i % 4], i)).collect();
    let csv = format!("c,x\n{rows},3\n=1+1,\n");
    let folder = Folder::new(&[("in.csv", &csv)]);
    let out = folder.filled(&["in.csv"]);
    assert!(out.starts_with(&format!("c,x\n{rows}")), "{out}");
    // What fills the gap is one of them, as it is.
    let fill = out.lines().nth(13).unwrap().rsplit_once(',').unwrap().0;
    assert!(["=1+1", "@SUM(A1:A9)", "../../etc/passwd", "/dev/null"].contains(&fill), "{out}");
    assert_eq!(out.lines().count(), csv.lines().count());
    assert_eq!(folder.names(), ["in.csv"]);
    // In every output form.
    let arrow = folder.run(&["impute", "in.csv", "--method", "mean", "-q", "-o", "out.arrow"]);
    assert_eq!(arrow.code, Some(0), "{}", arrow.err);
    let back = folder.run(&["impute", "out.arrow", "--method", "mean", "-q", "-o", "back.csv"]);
    assert_eq!((back.code, folder.read("back.csv")), (Some(0), out.clone()));
    let draws = folder.filled(&["in.csv", "-m", "2"]);
    assert!(draws.matches("../../etc/passwd").count() + draws.matches("/dev/null").count() >= 12, "{draws}");
}
