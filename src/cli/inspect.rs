//! What a model is, for people and as JSON.

use std::fmt::Write;
use std::path::Path;

use lacuna::{ColumnKind, ExpectedError, Family, Imputer, Left, Training, VaeImputer};
use serde::Serialize;

#[derive(Serialize)]
struct Model<'a> {
    training: &'a Training,
    weights: usize,
    neighbours: usize,
    columns: Vec<Column<'a>>,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    dtype: String,
    kind: ColumnKind,
    family: Option<Family>,
    levels: usize,
    left: Option<Left>,
    expected_error: Option<&'a ExpectedError>,
    /// How its gaps follow what its cells would have said.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap_log_odds: Option<Vec<f64>>,
}

impl Model<'_> {
    fn of(model: &VaeImputer) -> Model<'_> {
        let columns = model.schema().columns().iter().map(|c| Column {
            name: c.name(),
            dtype: c.dtype().to_string(),
            kind: c.kind(),
            family: c.family(),
            levels: c.levels().len(),
            left: c.left(),
            expected_error: model.expected_error(c.name()),
            gap_log_odds: model.gap_log_odds(c.name()),
        });
        Model { training: model.training(), weights: model.weights(), neighbours: model.neighbours(), columns: columns.collect() }
    }
}

/// All of it as JSON.
pub fn json(model: &VaeImputer) -> String {
    super::json(&Model::of(model))
}

/// One line.
pub fn summary(model: &VaeImputer, path: &Path) -> String {
    let Model { training, weights, columns, .. } = Model::of(model);
    let modelled = columns.iter().filter(|c| c.family.is_some()).count();
    format!(
        "{}: fitted to {} rows by lacuna {}; {modelled} of {} columns modelled, {} networks, {weights} weights\n",
        path.display(),
        training.rows,
        training.version,
        columns.len(),
        training.epochs.len(),
    )
}

/// Whether the latent space is alive, a line a network.
pub fn latent(model: &VaeImputer) -> String {
    let networks = model.latent_use().iter().enumerate();
    networks.map(|(m, used)| format!("latent space of network {}: {used}\n", m + 1)).collect()
}

/// The summary and a table of the columns.
pub fn text(model: &VaeImputer, path: &Path) -> String {
    let Model { training, columns, neighbours, .. } = Model::of(model);
    let mut out = summary(model, path);
    let epochs: Vec<String> = training.epochs.iter().map(usize::to_string).collect();
    let held_out: Vec<String> = training.held_out.iter().map(usize::to_string).collect();
    let (width, depth) = (training.width, training.depth);
    // Writing to a string does not fail.
    let _ = writeln!(out, "width {width}, depth {depth}, epochs {}, cells held out {}", epochs.join(" + "), held_out.join(" + "));
    if neighbours > 0 {
        let _ = writeln!(out, "{neighbours} rows of that table, by which fills are corrected");
    }
    let _ = writeln!(out, "{}", latent(model));
    let longest = |text: fn(&Column) -> usize| columns.iter().map(text).max().unwrap_or(0).max(6);
    let (name, dtype) = (longest(|c| c.name.chars().count()), longest(|c| c.dtype.chars().count()));
    let _ = writeln!(
        out,
        "{:name$}  {:dtype$}  {:11}  {:24}  {:>6}  {:>16} {:>10}",
        "column", "type", "kind", "family", "levels", "expected error", "mean fill"
    );
    for c in &columns {
        let family = c.family.map_or_else(|| "–".to_string(), |f| f.to_string());
        let levels = if c.levels > 0 { c.levels.to_string() } else { "–".into() };
        let _ = write!(out, "{:name$}  {:dtype$}  {:11}  {family:24}  {levels:>6}", c.name, c.dtype, c.kind);
        let _ = match (&c.left, c.expected_error) {
            (Some(why), _) => writeln!(out, "  {why}"),
            (None, Some(e)) => {
                let unit = if c.kind.is_numeric() { "sd" } else { "wrong" };
                writeln!(out, "  {:>7.3} ± {:.3} {:>9.3} {unit}", e.error, e.standard_error, e.mean_fill)
            }
            (None, None) => writeln!(out),
        };
    }
    let tilted: Vec<String> = model.schema().columns().iter().filter_map(|c| gap_odds(model, c)).collect();
    if !tilted.is_empty() {
        let _ = writeln!(out, "\ngaps that follow what their cells would have said:\n{}", tilted.join("\n"));
    }
    out
}

/// How a column's gaps follow what its cells would have said, in a line.
fn gap_odds(model: &VaeImputer, column: &lacuna::Column) -> Option<String> {
    let odds: Vec<f64> = model.gap_log_odds(column.name())?.iter().map(|x| x.exp()).collect();
    let levels: Vec<String> =
        column.levels().iter().zip(&odds).map(|(level, odds)| format!("× {odds:.2} for '{level}'")).collect();
    let shown = match column.kind().is_numeric() {
        true => format!("× {:.2} a standard deviation", odds.first()?),
        false => match levels.get(..6) {
            Some(some) if levels.len() > 6 => format!("{}, …", some.join(", ")),
            _ => levels.join(", "),
        },
    };
    Some(format!("{}: odds of a gap {shown}", column.name()))
}
