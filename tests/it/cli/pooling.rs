//! Multiple imputation: completed tables out, estimates in, pooled.

use super::{Folder, MIXED};

#[test]
fn estimates_of_any_software_are_pooled_as_by_mice() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../../fixtures/mice_pool.json")).unwrap();
    let case = &golden["regressions"]["penguins"];
    let mut csv = String::from(".imp,term,std.error,estimate,df_complete\n");
    for (i, a) in case["analyses"].as_array().unwrap().iter().enumerate() {
        for (k, term) in a["term"].as_array().unwrap().iter().enumerate() {
            csv += &format!("{},{term},{},{},{}\n", i + 1, a["std_error"][k], a["estimate"][k], case["df_complete"]);
        }
    }
    let folder = Folder::new(&[("estimates.csv", &csv)]);
    let ran = folder.run(&["pool", "estimates.csv", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let pooled: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let names = ["estimate", "std_error", "within", "between", "total", "df", "riv", "lambda", "fmi", "statistic", "p"];
    for (ours, mice) in pooled.as_array().unwrap().iter().zip(case["pooled"].as_array().unwrap()) {
        assert_eq!((&ours["term"], ours["m"].as_u64()), (&mice["term"], Some(20)));
        for (ours, mice) in names.map(|n| (&ours[n], &mice[n])).into_iter().chain([(&ours["conf.low"], &mice["low"])]) {
            let (ours, mice) = (ours.as_f64().unwrap(), mice.as_f64().unwrap());
            assert!((ours / mice - 1.0).abs() < 1e-6, "{ours} {mice}");
        }
    }
    let table = folder.run(&["pool", "estimates.csv", "--level", "0.9"]).out;
    let slope = table.lines().nth(2).unwrap();
    assert!(table.starts_with("term ") && table.contains("90 % interval"), "{table}");
    assert!(slope.starts_with("flipper_length_mm") && slope.contains("37.8804") && slope.contains("< 0.0001"), "{slope}");
    assert!(table.ends_with("20 imputations pooled by Rubin's rules, degrees of freedom after Barnard and Rubin (1999)\n"));
    // The degrees of freedom are in the file.
    let twice = folder.run(&["pool", "estimates.csv", "--df-complete", "9"]);
    assert_eq!((twice.code, twice.out.as_str()), (Some(2), ""));
}

#[test]
fn estimates_that_cannot_be_pooled_say_why() {
    let head = ".imp,term,estimate,std_error\n";
    for (text, says) in [
        (".imp,trem,estimate,std_error\n1,a,1,1\n", "there is no column `term`; .imp, term, estimate and std_error are due"),
        (&format!("{head}1,a,1,1\n1,b,1,1\n"), "estimates of imputation 1 only"),
        (head, "has no estimates"),
        (&format!("{head}0,a,1,1\n1,a,1,1\n2,a,1,1\n"), "estimates of .imp 0"),
        (&format!("{head}1,a,1,1\n2,a,2,-0.5\n"), "column `std_error`, row 2: found -0.5; a number above zero is due"),
        (&format!("{head}1,a,1,1\n2,a,x,1\n"), "column `estimate`, row 2: found 'x'; a number is due"),
        (&format!("{head}1,a,1,1\n2,a,,1\n"), "column `estimate`, row 2: found nothing"),
        (&format!("{head}1,a,1,1\n1,b,1,1\n2,a,2,1\n"), "term `b` is missing in imputation 2"),
        (&format!("{head}1,a,1,1\n2,a,2,1\n2,a,2,1\n"), "term `a` stands twice in imputation 2"),
    ] {
        let ran = Folder::new(&[("e.csv", text)]).run(&["pool", "e.csv"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{text}");
        assert!(ran.err.contains(says) && ran.err.lines().count() == 1, "{says}: {}", ran.err);
    }
    assert_eq!(Folder::new(&[]).run(&["pool", "-", "--level", "95"]).code, Some(2));
}

#[test]
fn draws_come_as_a_file_each_or_with_the_table_they_complete() {
    let folder = Folder::new(&[("t.csv", MIXED)]);
    let impute = |args: &[&str]| folder.run(&[&["impute", "t.csv", "--method", "mean", "--quiet"], args].concat());
    let ran = impute(&["-m", "2", "--form", "files", "-o", "out-{}.csv"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(folder.names(), ["out-1.csv", "out-2.csv", "t.csv"]);
    let long = impute(&["-m", "2", "--include-original"]).out;
    let part = |imp: &str| -> String {
        let lines = long.lines().filter_map(|l| l.strip_prefix(imp)).map(|l| l.split_once(',').unwrap().1);
        lines.map(|l| format!("{l}\n")).collect()
    };
    let body = |text: &str| text.split_once('\n').unwrap().1.to_string();
    assert!(long.starts_with(".imp,.id,id,age,"));
    assert_eq!(part("0,"), body(MIXED));
    assert_eq!([part("1,"), part("2,")], [body(&folder.read("out-1.csv")), body(&folder.read("out-2.csv"))]);
    for (args, says) in [
        (&["-m", "2", "--form", "files", "-o", "out.csv"][..], "with {} for the number"),
        (&["-m", "2", "--form", "files"], "with {} for the number"),
        (&["-m", "2", "--form", "list", "-o", "out.csv"], "--form list belongs to Arrow"),
        (&["-m", "2", "--form", "files", "--include-original", "-o", "o{}.csv"], "belongs to the long form"),
        (&["--include-original"], "-m"),
        (&["--match", "donors"], "--match belongs to --method vae"),
    ] {
        let ran = impute(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.err.contains(says) && ran.err.lines().count() == 1, "{}", ran.err);
    }
}
