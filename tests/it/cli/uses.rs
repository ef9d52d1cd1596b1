//! The commands that use a fitted model.

use super::Folder;

const PENGUINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv");

/// A folder with a quickly fitted model of the penguins.
fn fitted() -> Folder {
    let folder = Folder::new(&[]);
    let quick = ["--epochs", "6", "--members", "1", "--hidden", "24", "--latent-dim", "2", "--quiet"];
    let ran = folder.run(&[&["fit", PENGUINS, "-o", "m.safetensors"], &quick[..]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    folder
}

/// The cells of a CSV text without quotes, the header first.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(',').collect()).collect()
}

const HEADER: &str = "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year";

#[test]
fn rows_are_made_as_the_table_is_written() {
    let folder = fitted();
    let ran = folder.run(&["generate", "m.safetensors", "-n", "40", "--given", "species=Gentoo", "--given", "year=2008"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let rows = cells(&ran.out);
    assert_eq!((rows[0].join(","), rows.len()), (HEADER.to_string(), 41));
    for row in &rows[1..] {
        assert_eq!((row[0], row[7]), ("Gentoo", "2008"));
        assert!(["Biscoe", "Dream", "Torgersen"].contains(&row[1]) && ["female", "male"].contains(&row[6]), "{row:?}");
        let decimals = |cell: &str| cell.split_once('.').map_or(0, |(_, d)| d.len());
        assert!(decimals(row[2]) <= 1 && decimals(row[3]) <= 1, "{row:?}");
        assert!((170..=235).contains(&row[4].parse::<i64>().unwrap()) && row[5].parse::<i64>().is_ok(), "{row:?}");
    }
    let again = folder.run(&[
        "generate",
        "m.safetensors",
        "-n",
        "40",
        "--given",
        "species=Gentoo",
        "--given",
        "year=2008",
        "--threads",
        "1",
    ]);
    assert_eq!(again.out, ran.out);
    // Gaps, to a file.
    let ran = folder.run(&["generate", "m.safetensors", "-n", "300", "--with-gaps", "--seed", "5", "-o", "rows.csv"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let text = folder.read("rows.csv");
    assert!(cells(&text).iter().any(|row| row[6].is_empty()) && cells(&text).iter().all(|row| !row[0].is_empty()));
    // An Arrow file, which can be filled.
    let ran = folder.run(&["generate", "m.safetensors", "-n", "30", "--with-gaps", "-o", "rows.arrow"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let ran = folder.run(&["impute", "rows.arrow", "--model", "m.safetensors", "-o", "filled.arrow"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn wrong_calls_are_one_line_and_write_nothing() {
    let folder = fitted();
    let before = folder.names();
    let calls = [
        ("generate m.safetensors", "the following required arguments were not provided: -n <N>; see --help"),
        (
            "generate m.safetensors -n 3 --given species -o x.csv",
            "invalid value 'species' for '--given <COLUMN=VALUE>': COLUMN=VALUE is due, such as species=Gentoo; see --help",
        ),
        ("generate m.safetensors -n 3 --given specie=Gentoo -o x.csv", "there is no column `specie`; did you mean `species`?"),
        (
            "generate m.safetensors -n 3 --given species=Emperor -o x.csv",
            "the given species is 'Emperor'; it must be one of 'Adelie', 'Chinstrap', 'Gentoo'",
        ),
        (
            "generate m.safetensors -n 3 --given year=soon -o x.csv",
            "the given year is 'soon'; it must be a cell of a column of type i64, written as in the table",
        ),
        ("generate m.safetensors -n 3 -o m.safetensors", "`m.safetensors` is an input and an output; write to another file"),
        (
            "interpolate m.safetensors PENGUINS --from 1 --to 345 --steps 3 -o x.csv",
            "--to 345 is none of the 344 rows of `PENGUINS`",
        ),
        (
            "interpolate m.safetensors PENGUINS --from 0 --to 3 --steps 3 -o x.csv",
            "invalid value '0' for '--from <ROW>': a whole number of at least 1 is due; see --help",
        ),
    ];
    for (call, message) in calls {
        let call = call.replace("PENGUINS", PENGUINS);
        let ran = folder.run(&call.split_whitespace().collect::<Vec<_>>());
        let due = format!("lacuna: {}\n", message.replace("PENGUINS", PENGUINS));
        assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(2), due, ""), "{call}");
    }
    let ran = folder.run(&["decode", "m.safetensors", PENGUINS]);
    let due = "lacuna: the latent points have no column `z1`; `z1` to `z2` are due, as lacuna embed writes them\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), due));
    assert_eq!(folder.names(), before);
}

#[test]
fn points_go_to_a_file_and_come_back_as_rows() {
    let folder = fitted();
    let ran = folder.run(&["embed", "m.safetensors", PENGUINS, "--sd", "-o", "latent.csv"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let latent = folder.read("latent.csv");
    let points = cells(&latent);
    assert_eq!((points[0].join(","), points.len()), (".id,z1,z2,z1_sd,z2_sd".to_string(), 345));
    assert_eq!((points[1][0], points[344][0]), ("1", "344"));
    let decoded = folder.run(&["decode", "m.safetensors", "latent.csv"]);
    assert_eq!((decoded.code, decoded.err.as_str()), (Some(0), ""));
    let rows = cells(&decoded.out);
    assert_eq!((rows[0].join(","), rows.len()), (HEADER.to_string(), 345));
    // The way from the first row to the last begins and ends with their decoded points.
    let path = folder.run(&["interpolate", "m.safetensors", PENGUINS, "--from", "1", "--to", "344", "--steps", "5"]);
    assert_eq!((path.code, path.err.as_str()), (Some(0), ""));
    let path = cells(&path.out);
    assert_eq!((path.len(), &path[1], &path[5]), (6, &rows[1], &rows[344]));
}

#[test]
fn scores_have_a_line_a_row() {
    let folder = fitted();
    let ran = folder.run(&["score", "m.safetensors", PENGUINS]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let rows = cells(&ran.out);
    assert_eq!(rows.len(), 345);
    assert_eq!(rows[0][..6], [".id", "score", "percentile", "rank", "log_likelihood", "oddest"]);
    assert_eq!((rows[0].len(), rows[0][6], rows[0][13]), (14, "species_score", "year_score"));
    let mut ranks: Vec<usize> = rows[1..].iter().map(|row| row[3].parse().unwrap()).collect();
    ranks.sort_unstable();
    assert!(ranks.iter().copied().eq(1..=344));
    // The fourth penguin was not measured.
    assert!(rows[4][8].is_empty() && !rows[4][6].is_empty());
}

#[test]
fn a_fit_says_whether_its_latent_space_is_alive() {
    let folder = Folder::new(&[]);
    let quick = ["--epochs", "6", "--members", "1", "--hidden", "24", "--latent-dim", "2"];
    let ran = folder.run(&[&["fit", PENGUINS, "-o", "m.safetensors", "--verbose"], &quick[..]].concat());
    let line = ran.err.lines().last().unwrap_or_default().to_string();
    assert!(
        line.starts_with("latent space of network 1: nothing visible: ") && line.contains(" of 2 units active"),
        "{}",
        ran.err
    );
    let inspected = folder.run(&["inspect", "m.safetensors"]).out;
    assert!(inspected.contains(&line), "{inspected}");
    let json: serde_json::Value = serde_json::from_str(&folder.run(&["inspect", "m.safetensors", "--json"]).out).unwrap();
    assert_eq!(json["training"]["latent"][0]["kl"].as_array().unwrap().len(), 2);
}
