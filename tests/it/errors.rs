//! The page of errors: every text on it is brought about here, and nothing else stands there.

use std::collections::BTreeSet;
use std::path::Path;

use lacuna::evaluate::{self, CompareOptions};
use lacuna::polars::prelude::*;
use lacuna::{
    ColumnKind, ColumnSpec, CsvOptions, CsvTable, Error, ErrorKind, Family, Fit, Form, Generate, Imputations, Imputer, KnnConfig,
    MeanConfig, Schema, SchemaOptions, VaeConfig, VaeImputer, Warning,
};

use crate::uses::{model, plants};

const PAGE: &str = include_str!("../../docs/errors.md");

/// The lines of the page's text blocks.
fn page() -> Vec<&'static str> {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    blocks.flat_map(|block| block.strip_prefix("text\n").expect("a block of text").lines()).collect()
}

fn open(bytes: &[u8], options: &CsvOptions, schema: &SchemaOptions) -> Result<(CsvTable, DataFrame, Schema), Error> {
    let table = CsvTable::read(bytes, Path::new("t.csv"), options, schema)?;
    let frame = table.to_frame()?;
    let inferred = Schema::infer_with(&frame, schema)?;
    Ok((table, frame, inferred))
}

fn read(text: &str) -> Result<(CsvTable, DataFrame, Schema), Error> {
    open(text.as_bytes(), &CsvOptions::default(), &SchemaOptions::default())
}

fn stated(text: &str, schema: SchemaOptions) -> String {
    open(text.as_bytes(), &CsvOptions::default(), &schema).unwrap_err().to_string()
}

fn specified(text: &str, spec: ColumnSpec) -> String {
    stated(text, SchemaOptions { columns: vec![spec], ..SchemaOptions::default() })
}

fn bad(bytes: &[u8]) -> String {
    open(bytes, &CsvOptions::default(), &SchemaOptions::default()).unwrap_err().to_string()
}

fn option(options: CsvOptions) -> String {
    open(b"a\n", &options, &SchemaOptions::default()).unwrap_err().to_string()
}

/// The warnings of a CSV text: of reading it, of its schema, of filling it.
fn warnings(text: &str) -> Vec<String> {
    let (table, frame, schema) = read(text).unwrap();
    let filled = MeanConfig::default().fit_with(&frame, &schema).unwrap().fill(&frame).unwrap();
    let all = table.warnings().iter().chain(schema.warnings()).chain(&filled.report.warnings);
    let texts: BTreeSet<String> = all.map(Warning::to_string).collect();
    texts.into_iter().collect()
}

fn of_files() -> Vec<String> {
    let io = |path: &str, action| ErrorKind::Io { path: Some(path.into()), action, source: std::io::Error::from_raw_os_error(2) };
    let long = |text: &str| {
        let (table, frame, _) = read(text).unwrap();
        let draws = MeanConfig::default().fit(&frame).unwrap().draw(&frame, 2, 0).unwrap();
        let csv = draws.write_csv(&table, true, Vec::new()).unwrap_err().to_string();
        [csv, draws.to_record_batch(Form::Long).unwrap_err().to_string()]
    };
    let mut all = vec![
        Error::from(io("none.csv", "read")).to_string(),
        Error::from(io("out/filled.csv", "write")).to_string(),
        bad(b""),
        bad(b"a,b,a\n"),
        bad(b"a,b\n1,2\n1,2,3\n"),
        bad(b"a,b\n1,\"2\n"),
        bad(b"a,b\n1,2\n3,\xe9\n"),
        bad(b"\xff\xfea\0"),
        bad(b"\x1f\x8b\x08"),
    ];
    all.extend(long(".imp,b\n1,2\n"));
    all
}

fn of_cells() -> Vec<String> {
    let say = |column: &str, kind| SchemaOptions::default().kind(column, kind);
    let levels = |levels: &[&str]| {
        let levels = Some(levels.iter().map(|l| l.to_string()).collect());
        ColumnSpec { name: "c".into(), levels, ..ColumnSpec::default() }
    };
    let infer = |df: DataFrame, options| Schema::infer_with(&df, &options).unwrap_err().to_string();
    vec![
        stated("a,b\n1,1\n?,2\n", say("a", ColumnKind::Continuous)),
        infer(df!("a" => ["1", "?"]).unwrap(), say("a", ColumnKind::Continuous)),
        bad(b"a,b\n1,1\n-inf,2\n"),
        infer(df!("a" => [1.0, f64::INFINITY]).unwrap(), SchemaOptions::default()),
        stated("d,b\n20240102,1\n2024,2\n", SchemaOptions::default().format("d", "%Y%m%d")),
        stated("d,b\n01/02/2024,1\n", say("d", ColumnKind::Continuous)),
        stated("a,b\n-1,1\n2.5,2\n", say("a", ColumnKind::Count)),
        specified("c,b\nx,1\ny,2\n", levels(&["y", "z"])),
        specified("c,b\nz,1\ny,2\n", levels(&["y", "z", "y"])),
    ]
}

fn of_settings() -> Vec<String> {
    let numbers = df!("x" => [Some(1.0), None, Some(2.0)], "y" => [1.5, 2.5, 4.0]).unwrap();
    let schema = Schema::infer(&numbers).unwrap();
    let spec = |name: &str| ColumnSpec { name: name.into(), ..ColumnSpec::default() };
    let ages = "age,sex\n1,f\n2,m\n3,f\n";
    let none = SchemaOptions::default();
    let share = CompareOptions { share: 2.0, ..CompareOptions::default() };
    let levels = Some(["1", "2", "3"].map(String::from).to_vec());
    let compared = evaluate::compare(&numbers, &schema, &share, &mut |_| std::ops::ControlFlow::Continue(()));
    vec![
        stated(ages, none.clone().exclude("aeg")),
        stated(ages, none.clone().exclude("born")),
        stated(ages, none.clone().only("age").exclude("age")),
        "years".parse::<ColumnKind>().unwrap_err().to_string(),
        specified(ages, ColumnSpec { kind: Some(ColumnKind::Count), levels, ..spec("age") }),
        stated("c,b\nx,1\ny,2\nz,3\n", none.clone().kind("c", ColumnKind::Binary)),
        stated("d,b\n2024-01-02,1\n", none.clone().kind("d", ColumnKind::Categorical).format("d", "%Y-%m-%d")),
        specified(ages, ColumnSpec { family: Some(Family::Bernoulli), ..spec("age") }),
        specified(ages, serde_json::from_str(r#"{"name": "age", "bounds": [9, 1]}"#).unwrap()),
        stated("d,b\n2024,1\n", none.format("d", "%Y")),
        option(CsvOptions { delimiter: b'"', ..CsvOptions::default() }),
        option(CsvOptions { decimal: b';', ..CsvOptions::default() }),
        KnnConfig { threads: Some(9999), ..KnnConfig::default() }.fit(&numbers).unwrap_err().to_string(),
        KnnConfig { k: 0, ..KnnConfig::default() }.fit(&numbers).unwrap_err().to_string(),
        VaeConfig::default().epochs(0).fit(&numbers).unwrap_err().to_string(),
        compared.unwrap_err().to_string(),
        "many".parse::<evaluate::Mechanism>().unwrap_err().to_string(),
    ]
}

fn between_tables() -> Vec<String> {
    let frame = df!("x" => [Some(1.5), None, Some(2.5)], "y" => ["a", "b", "a"]).unwrap();
    let fitted = MeanConfig::default().fit(&frame).unwrap();
    let other = df!("x" => ["a", "b"]).unwrap();
    let (two, three) = (read("x\n1\n\n").unwrap(), read("x\n1\n\n3\n").unwrap());
    let filled = MeanConfig::default().fit(&two.1).unwrap().fill(&two.1).unwrap();
    let strange = read("y\n1\n\n").unwrap();
    let write = |table: &CsvTable| filled.write_csv(table, true, Vec::new()).unwrap_err().to_string();
    vec![fitted.fill(&other).unwrap_err().to_string(), write(&three.0), write(&strange.0)]
}

fn of_models() -> Vec<String> {
    let x: Vec<f64> = (0..40).map(f64::from).collect();
    let model = VaeConfig::default().epochs(1).hidden(4).members(1).fit(&df!("x" => &x, "y" => &x).unwrap()).unwrap();
    let mut file = Vec::new();
    model.save_to(&mut file).unwrap();
    let refused = |file: &[u8]| VaeImputer::load_from(file, "m.safetensors").unwrap_err().to_string();
    // Of the same length, so that the sizes in the file stay right.
    let replaced = |from: &str, to: &str| {
        let at = file.windows(from.len()).position(|w| w == from.as_bytes()).unwrap_or_else(|| panic!("{from}"));
        [&file[..at], to.as_bytes(), &file[at + from.len()..]].concat()
    };
    let version = concat!(r#"{\"format\":1,\"version\":\""#, env!("CARGO_PKG_VERSION"));
    let mut wild = file.clone();
    let tensors = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let noise = file.len() - 4 * 2 * 4;
    assert!(tensors < noise);
    wild[noise..noise + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let kept_out = |df: DataFrame, options| Schema::infer_with(&df, &options).unwrap_err().to_string();
    let none = SchemaOptions::default();
    let two = |x: [i64; 2], w: [f64; 2]| df!("t" => x, "w" => w).unwrap();
    vec![
        refused(&[&2_u64.to_le_bytes()[..], b"{}"].concat()),
        refused(&wild),
        refused(&replaced(r#"\"dtype\":\"f64\""#, r#"\"dtype\":\"f65\""#)),
        refused(&replaced(version, r#"{\"format\":2,\"version\":\"0.9.0"#)),
        kept_out(two([0, 2], [1.0, 1.0]), none.clone().ignore("t")),
        kept_out(two([0, 1], [-1.0, 1.0]), none.clone().weights("w")),
        kept_out(two([1, 0], [1.0, 0.0]), none.ignore("t").weights("w")),
    ]
    .into_iter()
    .chain(of_ids())
    .collect()
}

/// Draws where the column that tells the rows apart does not.
fn of_ids() -> Vec<String> {
    let frame = |customers: [Option<&str>; 3]| df!("customer" => customers, "x" => [Some(1.0), None, Some(2.0)]).unwrap();
    let known = frame([Some("a"), Some("b"), Some("c")]);
    let schema = Schema::infer_with(&known, &SchemaOptions::default().id("customer")).unwrap();
    let imputer = MeanConfig::default().fit_with(&known, &schema).unwrap();
    let twice = frame([Some("a"), Some("b"), Some("a")]);
    [twice, frame([Some("a"), None, Some("c")]), known.drop("customer").unwrap()]
        .map(|frame| imputer.draw(&frame, 2, 1).unwrap_err().to_string())
        .to_vec()
}

/// The warnings of a model and another table.
fn of_new_tables() -> Vec<String> {
    let x: Vec<f64> = (0..40).map(f64::from).collect();
    let model = VaeConfig::default().epochs(1).hidden(4).members(1).fit(&df!("x" => &x, "y" => &x).unwrap()).unwrap();
    let new = df!("x" => [Some(900.0), None], "z" => [Some(1), None]).unwrap();
    let warnings = model.allow_missing_columns().fill(&new).unwrap().report.warnings;
    warnings.iter().map(Warning::to_string).collect()
}

fn of_long_forms() -> Vec<String> {
    let long = |imp: &[i64], x: &[Option<f64>]| {
        let id: Vec<i64> = (0..imp.len()).map(|i| i as i64 % 2 + 1).collect();
        df!(".imp" => imp, ".id" => id, "x" => x).unwrap()
    };
    let text = |df: DataFrame| Imputations::from_long(&df).unwrap_err().to_string();
    let x = [Some(1.0), None, Some(1.0), Some(2.0), Some(1.0), Some(3.0), Some(1.0), Some(4.0)];
    let with = |at: usize, cell| {
        let mut x = x;
        x[at] = cell;
        long(&[0, 0, 1, 1, 2, 2, 3, 3], &x)
    };
    let frame = df!("x" => [Some(1.0), None, Some(2.0)]).unwrap();
    let draws = MeanConfig::default().fit(&frame).unwrap().draw(&frame, 2, 0).unwrap().with_original();
    vec![
        text(df!("x" => [1.0]).unwrap()),
        text(long(&[1, 1], &x[2..4])),
        text(long(&[0, 0], &x[..2])),
        text(long(&[0, 0, 1, 1, 2], &x[..5])),
        text(with(2, Some(7.0))),
        text(with(5, None)),
        draws.to_record_batch(Form::List).unwrap_err().to_string(),
    ]
}

fn of_pooling() -> Vec<String> {
    use lacuna::pool::{Term, pool_correlation, pool_scalar, pool_terms, pool_wald, suggested_m};
    let term = |name: &str, std_error| Term::new(name, 1.0, std_error);
    let terms = |a: Vec<Term>, b: Vec<Term>| pool_terms(&[a, b], 9.0).unwrap_err().to_string();
    let scalar = |variances: &[f64], df| pool_scalar(&[1.0, 2.0], variances, df).unwrap_err().to_string();
    let wald = |second: Vec<f64>, off| {
        let covariance = vec![vec![1.0, off], vec![off, 1.0]];
        pool_wald(&[vec![1.0, 1.0], second], &[covariance.clone(), covariance], 9.0).unwrap_err().to_string()
    };
    vec![
        pool_scalar(&[1.0], &[1.0], 9.0).unwrap_err().to_string(),
        scalar(&[1.0, 1.0], 0.0),
        pool_scalar(&[1.0, 2.0], &[1.0, 1.0], 9.0).unwrap().interval(95.0).unwrap_err().to_string(),
        pool_correlation(&[0.1, 0.2], 3).unwrap_err().to_string(),
        suggested_m(1.5, 5).unwrap_err().to_string(),
        terms(vec![term("a", 1.0), term("b", 1.0)], vec![term("a", 1.0)]),
        terms(vec![term("b", 1.0), term("b", 1.0)], vec![term("b", 1.0)]),
        scalar(&[1.0], 9.0),
        scalar(&[1.0, -1.0], 9.0),
        terms(vec![term("b", 1.0)], vec![term("b", -1.0)]),
        pool_correlation(&[1.0, 0.2], 9).unwrap_err().to_string(),
        wald(vec![1.0], 0.5),
        wald(vec![1.0, 2.0], 1.0),
    ]
}

/// A table that does not suit what is asked of it.
fn of_calls() -> Vec<String> {
    use lacuna::evaluate::{AmputeOptions, Mechanism, Pattern, ampute, ampute_with};
    let say = |column: &str, kind| SchemaOptions::default().kind(column, kind);
    let infer = |df: &DataFrame, options| Schema::infer_with(df, &options).unwrap_err().to_string();
    let many = df!("x" => (0..1001).collect::<Vec<i32>>()).unwrap();
    let wide = df!("c" => [300_u16, 300, 1], "x" => [1.0, 2.0, 3.0]).unwrap();
    let categorical = Schema::infer_with(&wide, &say("c", ColumnKind::Categorical)).unwrap();
    let narrow = df!("c" => [None, Some(1_u8)], "x" => [1.0, 2.0]).unwrap();
    let homeless = MeanConfig::default().fit_with(&wide, &categorical).unwrap().fill(&narrow).unwrap_err().to_string();
    let gaps = df!("x" => [Some(1.0), None, Some(2.0)]).unwrap();
    let imputer = MeanConfig::default().fit(&gaps).unwrap();
    let draws = imputer.draw(&gaps, 2, 0).unwrap();
    let filled = imputer.fill(&gaps).unwrap();
    let two = df!("x" => [1.0, 2.0]).unwrap();
    let schema = Schema::infer(&two).unwrap();
    let compared = evaluate::compare(&two, &schema, &CompareOptions::default(), &mut |_| std::ops::ControlFlow::Continue(()));
    let pattern = |pattern: Pattern, mechanism| {
        let options = AmputeOptions { patterns: vec![pattern], mechanism, ..AmputeOptions::default() };
        ampute_with(&two, &schema, &options).unwrap_err().to_string()
    };
    let nothing = df!("x" => [None::<f64>, None]).unwrap();
    let specified_fit = |family| {
        let df = df!("x" => (0..300).map(|i| f64::from(i) / 7.0).collect::<Vec<f64>>()).unwrap();
        let spec = ColumnSpec { name: "x".into(), family: Some(family), ..ColumnSpec::default() };
        let options = SchemaOptions { columns: vec![spec], ..SchemaOptions::default() };
        let schema = Schema::infer_with(&df, &options).unwrap();
        VaeConfig::default().epochs(1).fit_with(&df, &schema).unwrap_err().to_string()
    };
    vec![
        stated("a,b\n-1,1\n2,2\n", say("a", ColumnKind::Positive)),
        infer(&many, say("x", ColumnKind::Categorical)),
        homeless,
        specified_fit(Family::Discretised),
        draws.uncertainty(1.0).unwrap_err().to_string(),
        draws.completed(2).unwrap_err().to_string(),
        imputer.draw(&gaps, 0, 0).unwrap_err().to_string(),
        ampute(&two, &schema, Mechanism::Mar, 0.2, 0).unwrap_err().to_string(),
        pattern(Pattern::new(["x"]).weight("x", f64::INFINITY), Mechanism::Mnar),
        pattern(Pattern::new([""; 0]), Mechanism::Mcar),
        filled.with_not_applicable(&[("x".into(), vec![0])]).unwrap_err().to_string(),
        draws.clone().with_not_applicable(&[("x".into(), vec![0])]).unwrap_err().to_string(),
        MeanConfig::default().fit_with(&nothing, &schema).unwrap_err().to_string(),
        compared.unwrap_err().to_string(),
    ]
}

/// Every way in which a file of a model contradicts itself.
fn of_damage() -> Vec<String> {
    use crate::store::{assembled, changed, parts};
    use serde_json::{Value, json};
    let config = VaeConfig::default().epochs(1).hidden(4).latent_dim(2).members(1).donors(2);
    let mut file = Vec::new();
    config.fit(&crate::vae::frame(60)).unwrap().save_to(&mut file).unwrap();
    let refused = |file: &[u8]| VaeImputer::load_from(file, "m.safetensors").unwrap_err().to_string();
    let metadata = |place: &str, value: Value| {
        refused(&changed(&file, |m| *m.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = value))
    };
    let header = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let (mut header, data) = parts(&file);
        change(header.as_object_mut().unwrap());
        refused(&assembled(&header, data))
    };
    let no_number = "9".repeat(50);
    // Without the networks, the other tensors moved up.
    let (mut fewer, data) = parts(&file);
    let tensors = fewer.as_object_mut().unwrap();
    tensors.remove("member.0");
    let mut kept = Vec::new();
    let mut names: Vec<String> = tensors.keys().filter(|k| *k != "__metadata__").cloned().collect();
    names.sort_by_key(|name| tensors[name]["data_offsets"][0].as_u64());
    for name in names {
        let offsets = tensors[&name]["data_offsets"].clone();
        let [from, to] = [0, 1].map(|i| offsets[i].as_u64().unwrap() as usize);
        let start = kept.len();
        kept.extend_from_slice(&data[from..to]);
        tensors[&name]["data_offsets"] = json!([start, kept.len()]);
    }
    let tilts = json!([{"log_odds": [1.0], "errors": [0.1]}]);
    vec![
        refused(&changed(&file, |m| m["tilts"] = tilts)),
        header(&|h| h["__metadata__"]["lacuna"] = json!("{")),
        metadata("/columns/0/name", json!("y")),
        metadata("/columns/0/kind", json!("binary")),
        metadata("/columns/2/levels", json!(["left", "left"])),
        metadata("/columns/0/role", json!({"constant": [1.0, no_number]})),
        metadata("/scaling/columns", json!([])),
        metadata("/donors/columns", json!([])),
        metadata("/latent", json!(0)),
        header(&|h| {
            let numbers: u64 = h["linear"]["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).product();
            h["linear"]["shape"] = json!([numbers, 1]);
        }),
        refused(&changed(&file, |m| m["neighbours"] = json!({"numbers": null, "drawn": null, "levels": null, "wider": 1.0}))),
        refused(&assembled(&fewer, &kept)),
        header(&|h| {
            let noise = h.remove("noise").unwrap();
            h.insert("silence".into(), noise);
        }),
        header(&|h| h["noise"]["dtype"] = json!("I32")),
        metadata("/latent", json!(3)),
        metadata("/training/width", json!(4096)),
    ]
}

/// The command's own words: the lines on standard error of wrong calls.
fn of_command() -> Vec<String> {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("in.csv", "x,y\n1,2\n2,4\n3,6\n");
    write("one.csv", ".imp,term,estimate,std_error\n1,a,1,1\n1,b,1,1\n");
    write("zero.csv", ".imp,term,estimate,std_error\n0,a,1,1\n1,a,1,1\n2,a,1,1\n");
    write("short.csv", ".imp,estimate\n1,1\n2,1\n");
    write("nameless.csv", ".imp,term,estimate,std_error\n1,\"\",1,1\n2,a,1,1\n");
    write("degrees.csv", ".imp,term,estimate,std_error,df_complete\n1,a,1,1,9\n2,a,2,1,9\n");
    let run = |call: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lacuna"));
        let out = command.args(call.split(' ')).current_dir(folder.path()).output().unwrap();
        let err = String::from_utf8(out.stderr).unwrap();
        err.trim_end().strip_prefix("lacuna: ").unwrap_or_default().to_string()
    };
    run("impute in.csv --method mean -q -o in.arrow");
    [
        "impute in.csv --bounds x",
        "fit in.csv -o m --k 3",
        "impute in.csv --model m --method mean",
        "impute in.csv -m 2 --form files --include-original -o out-{}.csv",
        "impute in.csv -m 2 --form files -o out.csv",
        "ampute in.arrow --gap NA",
        "pool one.csv",
        "pool zero.csv",
        "pool short.csv",
        "pool nameless.csv",
        "pool degrees.csv --df-complete 9",
    ]
    .map(run)
    .to_vec()
}

/// The other tests with exact texts, as they read when they run.
fn other_tests() -> String {
    let files = [
        include_str!("cli.rs"),
        include_str!("cli/amputing.rs"),
        include_str!("cli/cells.rs"),
        include_str!("cli/pooling.rs"),
        include_str!("cli/streaming.rs"),
        include_str!("checkpoints.rs"),
        include_str!("../../src/train/checkpoint.rs"),
        include_str!("arrow.rs"),
        include_str!("dtypes.rs"),
        include_str!("../../src/impute/uncertainty.rs"),
        include_str!("../../src/data/arrow/fill.rs"),
    ];
    let mut text = String::new();
    for file in files {
        // A backslash at the end of a line joins it to the next word.
        let mut parts = file.split("\\\n");
        text += parts.next().unwrap_or_default();
        parts.for_each(|part| text += part.trim_start());
    }
    text.replace("\\\"", "\"")
}

/// What no small table brings about.
fn constructed() -> Vec<String> {
    let training = "training did not stay finite; exclude or rescale columns with extreme values".into();
    let errors = [
        ErrorKind::Training { message: "training did not stay finite, in column `x` first; exclude or rescale it".into() },
        ErrorKind::Training { message: training },
        ErrorKind::Interrupted,
        ErrorKind::Polars(PolarsError::NoData("x".into())),
        ErrorKind::Arrow(lacuna::arrow::error::ArrowError::InvalidArgumentError("x".into())),
    ];
    let warnings = [
        Warning::UnsupportedType { column: "tags".into(), dtype: "list[str]".into() },
        Warning::TimeLimit { epochs: 3, planned: 90 },
        Warning::NotFinite { column: "x".into(), epochs: 3, planned: 90 },
        Warning::NothingHeldOut,
        Warning::NotAtRandom { columns: ["x", "y", "z", "u"].map(String::from).to_vec() },
    ];
    errors.map(|e| Error::from(e).to_string()).into_iter().chain(warnings.map(|w| w.to_string())).collect()
}

fn of_results() -> Vec<String> {
    let rows = |n: usize, row: &dyn Fn(usize) -> String| (0..n).map(row).collect::<String>();
    let ids = format!("id,x\n{}", rows(40, &|i| format!("k{i},{}\n", i % 7)));
    let ages = format!("age,x\n{}?,1\n?,2\n", rows(30, &|i| format!("{i},{}\n", i % 7)));
    let dates = format!("d,x\n{}?,1\n", rows(27, &|i| format!("2024-02-{:02},{}\n", i + 1, i % 7)));
    let semicolons =
        open(b"x;y\n3,5;1\n4;2\n", &CsvOptions { delimiter: b';', ..CsvOptions::default() }, &SchemaOptions::default());
    let fit = df!("c" => ["x", "y", "x"]).unwrap();
    let apply = df!("c" => [Some("x"), Some("z"), None]).unwrap();
    let unseen = MeanConfig::default().fit(&fit).unwrap().fill(&apply).unwrap().report.warnings;
    let mut all = [
        "b,x\n,1\n,2\n",
        "c,x\nu,1\n,2\n",
        &ids,
        &ages,
        &dates,
        "d,x\n01/02/2024,1\n03/04/2024,2\n",
        "x,y\nb,1\nc,5\n\"\",2\n\"\",3\n,4\n",
        "a;b\n1;2\n",
    ]
    .map(warnings)
    .concat();
    all.extend(semicolons.unwrap().0.warnings().iter().chain(&unseen).map(Warning::to_string));
    all
}

fn of_made_rows() -> Vec<String> {
    let (model, plants) = (model(), plants());
    let given = |column: &str, cell: &str| model.generate(&Generate::rows(1).given(column, cell)).unwrap_err().to_string();
    let whole = df!("x" => (0..60).map(f64::from).collect::<Vec<_>>()).unwrap();
    let quick = VaeConfig::default().epochs(1).hidden(8).members(1);
    let gaps = quick.clone().fit(&whole).unwrap().generate(&Generate::rows(1).with_gaps()).unwrap_err();
    let way = |to, steps| model.interpolate(&plants, 0, to, steps).unwrap_err().to_string();
    let points = |df: DataFrame| model.decode(&df).unwrap_err().to_string();
    vec![
        given("colour", "pink"),
        given("length", "long"),
        given("id", "p1"),
        gaps.to_string(),
        way(240, 3),
        way(1, 1),
        points(df!("z1" => [0.0]).unwrap()),
        points(df!("z1" => [0.0, 1.0], "z2" => [Some(0.0), None]).unwrap()),
        quick.clone().warm_up(1.5).fit(&whole).unwrap_err().to_string(),
        quick.plain_autoencoder().free_bits(0.1).fit(&whole).unwrap_err().to_string(),
        Warning::Collapsed { units: 4 }.to_string(),
        Warning::Sampled { rows: 900_000, of: 2_000_000 }.to_string(),
        Warning::NotGenerated { column: "id".into(), why: "too many levels".into() }.to_string(),
    ]
}

/// What only a forged file, a race or a record of a gigabyte brings about; the tests beside their code say more of the first.
const FORGED: [&str; 7] = [
    "`t.csv`: the file changed while it was read; run again on a file that stays as it is",
    "`t.csv` line 3: a record has no end within 1 GiB; close its quotes, or split the row",
    "`m.safetensors`: the file is damaged: what it says of its table does not fit its columns; fetch it again, or fit again",
    "`c`: the checkpoint was written by lacuna 0.9.0, and this is 0.1.0; go on with that, or remove the file",
    "`c`: the checkpoint is damaged: its networks are none of this training; remove it, and the fit begins anew",
    "`c`: the checkpoint is damaged: its metadata cannot be read; remove it, and the fit begins anew",
    "`c`: the checkpoint is damaged: a tensor of its networks is absent or has no numbers; remove it, and the fit begins anew",
];

#[test]
fn the_page_of_errors_holds_every_text_as_it_is() {
    let texts =
        [of_files(), of_cells(), of_settings(), between_tables(), of_models(), of_long_forms(), of_pooling(), constructed()]
            .concat();
    let texts = [texts, of_calls(), of_damage(), of_command(), of_made_rows(), FORGED.map(String::from).to_vec()].concat();
    let elsewhere = other_tests();
    let page = page();
    let errors = page.iter().position(|l| *l == "column `b` has no observed value and stays empty").expect("warnings");
    let absent: Vec<&String> = texts.iter().filter(|text| !page.contains(&text.as_str())).collect();
    assert!(absent.is_empty(), "not on the page: {absent:#?}");
    let warned = [of_results(), of_new_tables()].concat();
    let brought_about: BTreeSet<&str> = texts.iter().chain(&warned).map(String::as_str).collect();
    let idle: Vec<&&str> = page.iter().filter(|line| !brought_about.contains(**line) && !elsewhere.contains(**line)).collect();
    assert!(idle.is_empty(), "nothing brings these about: {idle:#?}");
    assert!(page[errors..].iter().filter(|l| warned.iter().any(|w| w == *l)).count() >= 10);
    assert_eq!(page.iter().collect::<BTreeSet<_>>().len(), page.len(), "a text stands on the page twice");
}

/// The string literals of a piece of Rust up to the end of its statement or call.
fn literals(code: &str) -> Vec<String> {
    let (mut all, mut inside, mut depth) = (Vec::new(), None::<String>, 0_i32);
    let mut chars = code.chars().take(900).peekable();
    while let Some(c) = chars.next() {
        match (&mut inside, c) {
            (Some(text), '\\') => match chars.next() {
                Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                Some(escaped) => text.push(escaped),
                None => {}
            },
            (Some(_), '"') => all.extend(inside.take()),
            (Some(text), c) => text.push(c),
            (None, '"') => inside = Some(String::new()),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
            }
            (None, ';') if depth <= 0 => break,
            _ => {}
        }
    }
    all
}

/// The longest part of a format string that stands in every text made of it.
fn constant_part(format: &str) -> String {
    let (format, mut depth) = (format.replace("{{", "").replace("}}", ""), 0);
    let mut parts = vec![String::new()];
    for c in format.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                parts.push(String::new());
            }
            c if depth == 0 => parts.last_mut().expect("one at least").push(c),
            _ => {}
        }
    }
    parts.into_iter().max_by_key(String::len).unwrap_or_default().trim().to_string()
}

#[test]
fn every_message_of_the_source_stands_on_the_page() {
    const MAKERS: [&str; 9] = [
        "Error::schema(",
        "Error::config(",
        "damaged(",
        "usage(",
        "no_model(",
        ".bad(",
        ".wrong(",
        "let message =",
        "let expected =",
    ];
    // What no call brings about, or what another crate's words follow.
    const ALLOWED: [&str; 7] = [
        "a family does not suit its column",
        "a small number:",
        "fewer:",
        "names and numbers",
        "training failed:",
        "plain data",
        "not a whole Arrow IPC file:",
    ];
    let page: String = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let (mut seen, mut absent) = (0, Vec::new());
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|f| f.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: String = code.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
        for maker in MAKERS {
            for (at, _) in code.match_indices(maker) {
                for literal in literals(&code[at..]) {
                    let part = constant_part(&literal);
                    let words = part.split_whitespace().collect::<Vec<_>>().join(" ");
                    seen += 1;
                    if words.len() >= 12 && !page.contains(&words) && !ALLOWED.iter().any(|a| words.contains(a)) {
                        absent.push(format!("{}: {literal}", path.display()));
                    }
                }
            }
        }
    }
    assert!(seen > 150, "only {seen} texts found: is the search still right?");
    assert!(absent.is_empty(), "not on the page of errors:\n{}", absent.join("\n"));
}
