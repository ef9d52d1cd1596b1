//! `lacuna ampute`: a whole table in, the same with gaps out.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use lacuna::Error;
use lacuna::data::arrow::{to_batch, write_csv};
use lacuna::data::ipc;
use lacuna::evaluate::{AmputeOptions, Amputed, Curve, Pattern, ampute_with};

use super::args;
use super::output::{Output, Written, is_standard};
use super::{Failure, Loaded, Source, check_files, is_arrow_name, loaded, open, read, say, say_warnings, usage};

/// Reads the table, hides cells, writes it.
pub fn ampute(args: &args::Ampute) -> Result<(), Failure> {
    let table = &args.table;
    let of_fits = [
        ("--ignore", table.ignore.is_some()),
        ("--weights", table.weights.is_some()),
        ("--id", table.id.is_some()),
        ("--bounds", !table.bounds.is_empty()),
    ];
    if let Some((flag, _)) = of_fits.into_iter().find(|(_, given)| *given) {
        return Err(usage(format!("{flag} belongs to a fit; drop it")));
    }
    let gap = args.gap.as_deref().unwrap_or_default();
    let pattern = |(columns, frequency): &(Vec<String>, f64)| {
        let weights = args.weight.clone();
        Pattern { weights, ..Pattern::new(columns).frequency(*frequency) }
    };
    let options = AmputeOptions {
        mechanism: args.mechanism.parse()?,
        share: args.share,
        seed: args.seed,
        patterns: args.pattern.iter().map(pattern).collect(),
        curve: args.curve.as_deref().map(str::parse::<Curve>).transpose()?,
        allow_gaps: args.allow_gaps,
    };
    let path = args.output.as_deref().unwrap_or(Path::new("-"));
    check_files(table, None, path, None, None)?;
    let input = open(&table.data)?;
    let output = Output::open(path)?;
    let (source, (csv_options, columns)) = read(input, table, None)?;
    let Loaded { source, frame, schema } = loaded(source, &columns, None)?;
    let arrow = match is_standard(path) {
        true => matches!(source, Source::Arrow(_)),
        false => is_arrow_name(path),
    };
    match (&source, &args.gap) {
        (Source::Csv(_), Some(_)) if arrow => {
            return Err(usage("--gap belongs to CSV output; a hidden cell is null in Arrow, drop it"));
        }
        (Source::Arrow(_), Some(_)) => return Err(usage("--gap belongs to CSV; drop it")),
        (_, Some(gap)) if !csv_options.na.contains(gap) => {
            return Err(usage(format!("--gap '{gap}' would be read as a cell; pass --na '{gap}' too, or another text")));
        }
        _ => {}
    }
    let amputed = ampute_with(&frame, &schema, &options)?;
    let written = output.publish(|out: &mut dyn Write| -> Result<(), Error> {
        match (&source, arrow) {
            (Source::Csv(csv), false) => amputed.write_csv(csv, gap, out),
            (Source::Csv(_), true) => ipc::write_to(&amputed.to_record_batch(&to_batch(&frame)?)?, out),
            (Source::Arrow(batch), true) => ipc::write_to(&amputed.to_record_batch(batch)?, out),
            (Source::Arrow(batch), false) => write_csv(&amputed.to_record_batch(batch)?, out),
        }
    })?;
    say_warnings(source.warnings().iter().chain(schema.warnings()), table.quiet);
    if !table.quiet && written == Written::Whole {
        say(&summary(&amputed, &options));
    }
    Ok(())
}

/// What was hidden: a line a column that lost cells, and one for all.
fn summary(amputed: &Amputed, options: &AmputeOptions) -> String {
    let frame = &amputed.frame;
    let mut lines = format!("{:32} {:>9} {:>9} {:>7}\n", "column", "cells", "hidden", "share");
    let mut rows: BTreeSet<usize> = BTreeSet::new();
    for column in frame.columns() {
        let hidden = amputed.hidden(column.name()).unwrap_or_default();
        rows.extend(hidden);
        if !hidden.is_empty() {
            let share = hidden.len() as f64 / frame.height() as f64;
            let name: String = column.name().chars().take(32).collect();
            lines += &format!("{name:32} {:>9} {:>9} {share:>7.3}\n", frame.height(), hidden.len());
        }
    }
    let of = match options.patterns.len() {
        0 => "of the cells".to_string(),
        1 => "of the rows by one pattern".to_string(),
        n => format!("of the rows by {n} patterns"),
    };
    let AmputeOptions { mechanism, share, seed, .. } = options;
    lines
        + &format!(
            "{} cells hidden in {} of {} rows ({mechanism}, share {share} {of}, seed {seed})\n",
            amputed.cells(),
            rows.len(),
            frame.height()
        )
}
