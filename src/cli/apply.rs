//! Models on long files, and fits that keep within a limit or go on.

use std::io::Write;

use lacuna::{CsvTable, Error, Report, SchemaOptions, VaeConfig, VaeImputer};

use super::args::{self, Shape};
use super::output::Output;
use super::{CHECKPOINT, Failure, Meter, conclude, write_report};

/// The flag for which the whole table has to be there at once: what is added to it, or made of it, looks at all its rows.
pub(super) fn is_whole(args: &args::Impute) -> Option<&'static str> {
    let flags = [
        ("--with-uncertainty", args.with_uncertainty),
        ("--indicator", args.indicator),
        ("--overimpute", !args.overimpute.is_empty()),
        ("--form files", args.form == Some(Shape::Files)),
    ];
    flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
}

/// What holds from here on for the whole command.
pub(super) fn begin(flags: &args::Model, limits: &args::Limits) {
    if let Some(threads) = flags.threads {
        // Nothing has used the pool yet, and a number it cannot have is an error of the fit.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.min(1024)).build_global();
    }
    if let Some(path) = &limits.checkpoint {
        let _ = CHECKPOINT.set(path.clone());
    }
}

/// Removes the checkpoint: what it was for is written.
pub(super) fn remove_checkpoint(limits: &args::Limits) {
    if let Some(path) = &limits.checkpoint {
        // One that stays is no harm.
        let _ = std::fs::remove_file(path);
    }
}

/// Fits within the memory allowed.
pub(super) fn fit_within(
    config: &VaeConfig,
    csv: &CsvTable,
    columns: &SchemaOptions,
    args: &args::Impute,
) -> Result<VaeImputer, Failure> {
    let meter = Meter::new(args.table.quiet);
    let imputer = config.fit_csv(csv, columns, args.limits.max_memory, &mut |p| meter.show(p));
    meter.clear();
    Ok(imputer?)
}

/// Fills a CSV file some rows at a time, by a fill that writes it.
pub(super) fn stream(
    fill: impl FnOnce(&mut dyn Write) -> Result<Report, Error>,
    csv: &CsvTable,
    args: &args::Impute,
    output: Output,
    report_file: Option<Output>,
) -> Result<(), Failure> {
    let mut report = None;
    let written = output.publish(|out| {
        report = Some(fill(out)?);
        Ok(())
    })?;
    // A reader who has gone wants no report of what was not written.
    let Some(mut report) = report else { return Ok(()) };
    report.warnings.splice(0..0, csv.warnings().iter().cloned());
    if let Some(file) = report_file {
        write_report(&report, file)?;
    }
    conclude(&report, written, args)
}
