//! Fits that are broken off and go on.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use lacuna::polars::prelude::*;
use lacuna::{ColumnSpec, ErrorKind, Family, Fit, Progress, Schema, SchemaOptions, VaeConfig, VaeImputer, Warning};

/// A cube with gaps, which the squares of the linear start do not make up: networks are trained.
fn frame(n: usize) -> DataFrame {
    let x: Vec<f64> = (0..n).map(|i| (i * 37 % 101) as f64 / 25.0 - 2.0).collect();
    let y: Vec<Option<f64>> = x.iter().enumerate().map(|(i, x)| (i % 3 != 0).then_some(x.powi(3))).collect();
    df!("x" => x, "y" => y).unwrap()
}

fn config() -> VaeConfig {
    VaeConfig::default().epochs(6).hidden(8).members(2).seed(5)
}

fn bytes(imputer: &VaeImputer) -> Vec<u8> {
    let mut out = Vec::new();
    imputer.save_to(&mut out).unwrap();
    out
}

/// Fits until so much news has come.
fn broken_off(config: &VaeConfig, news: usize) {
    let df = frame(300);
    let mut seen = 0;
    let result = config.fit_with_progress(&df, &Schema::infer(&df).unwrap(), &mut |_| {
        seen += 1;
        if seen == news { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::Interrupted));
}

#[test]
fn a_fit_that_was_broken_off_goes_on_to_the_same_bits() {
    let whole = bytes(&config().fit(&frame(300)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    // In the pilot, in the networks, near the end; several times over.
    for breaks in [&[1][..], &[5], &[11], &[4, 3, 2]] {
        let path = folder.path().join("c");
        let kept = config().checkpoint(path.clone());
        breaks.iter().for_each(|&news| broken_off(&kept, news));
        assert!(path.exists());
        assert!(bytes(&kept.fit(&frame(300)).unwrap()) == whole, "{breaks:?}");
        // What is done is done again at once.
        assert!(bytes(&kept.fit(&frame(300)).unwrap()) == whole);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_time_limit_covers_a_fit_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(6);
    // Large networks, which do not settle before the time is over.
    let config = config().epochs(1_000_000).hidden(512).without_neighbours().time_limit(limit);
    let df = frame(3000);
    // Families that are named need no pilot, after which the model could stay the linear one.
    let named = |name: &str| ColumnSpec { name: name.into(), family: Some(Family::Gaussian), ..ColumnSpec::default() };
    let options = SchemaOptions { columns: vec![named("x"), named("y")], ..SchemaOptions::default() };
    let schema = Schema::infer_with(&df, &options).unwrap();
    // When the last epoch of a run was done, by the clock of that run.
    let timed = |config: &VaeConfig| {
        let mut last = Duration::ZERO;
        let mut note = |p: &Progress| {
            last = p.elapsed;
            ControlFlow::Continue(())
        };
        let imputer = config.fit_with_progress(&df, &schema, &mut note).unwrap();
        assert!(imputer.warnings().iter().any(|w| matches!(w, Warning::TimeLimit { .. })), "{:?}", imputer.warnings());
        last
    };
    let kept = config.clone().checkpoint(folder.path().join("c"));
    let broken = kept.fit_with_progress(&df, &schema, &mut |p| match p.elapsed > limit * 3 / 4 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    assert!(matches!(broken.map(drop).unwrap_err().kind(), ErrorKind::Interrupted));
    let (rest, whole) = (timed(&kept), timed(&config));
    assert!(rest + limit / 4 < whole, "{rest:?} of {whole:?}");
}

#[test]
fn a_checkpoint_of_another_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let kept = config().checkpoint(path.clone());
    broken_off(&kept, 4);
    let refusal = |config: VaeConfig, rows: usize| config.fit(&frame(rows)).unwrap_err().to_string();
    let due =
        format!("`{}`: the checkpoint is of another table or of other settings; give those, or remove the file", path.display());
    assert_eq!(refusal(kept.clone(), 301), due);
    assert_eq!(refusal(kept.clone().seed(6), 300), due);
    assert_eq!(refusal(kept.clone().epochs(7), 300), due);
    let nowhere = folder.path().join("none/c");
    let e = refusal(config().checkpoint(nowhere.clone()), 300);
    assert!(e.starts_with(&format!("cannot write `{}`: ", nowhere.display())), "{e}");
    fs::write(&path, "a,b\n1,2\n").unwrap();
    let e = refusal(kept, 300);
    assert_eq!(e, format!("`{}`: the file is no checkpoint, or damaged; give another name, or remove it", path.display()));
    assert_eq!(fs::read(Path::new(&path)).unwrap(), b"a,b\n1,2\n");
}
