//! Progress of a fit, and how long it will take.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use lacuna::Progress;

use super::say;

/// Progress of a fit: a bar on a terminal, and anywhere how long it will take, if that is long.
pub struct Meter {
    bar: Option<ProgressBar>,
    /// When the first epoch was done: what comes before it comes once.
    first: OnceLock<Duration>,
    /// Whether the time it will take has been said, or is not worth saying.
    estimated: AtomicBool,
}

/// A fit that takes less needs no warning.
const LONG: Duration = Duration::from_secs(60);

/// How long a fit will take at most, by its pace since its first epoch was done; `None` as long as that is too little to tell.
/// `epochs`: done, and planned.
fn estimate(first: Duration, elapsed: Duration, epochs: (usize, usize)) -> Option<Duration> {
    let since = elapsed.saturating_sub(first);
    let after_first = |epochs: usize| epochs.saturating_sub(1) as f64;
    let told = epochs.0 >= 3 && since >= Duration::from_secs(2);
    told.then(|| first + since.mul_f64(after_first(epochs.1) / after_first(epochs.0)))
}

/// A time for people: `3 min`, `2.5 h`.
fn about(time: Duration) -> String {
    match time.as_secs_f64() / 60.0 {
        minutes if minutes < 90.0 => format!("{:.0} min", minutes.ceil()),
        minutes => format!("{:.1} h", minutes / 60.0),
    }
}

impl Meter {
    pub fn new(quiet: bool) -> Meter {
        let estimated = AtomicBool::new(quiet);
        if quiet || !std::io::stderr().is_terminal() {
            return Meter { bar: None, first: OnceLock::new(), estimated };
        }
        let style = ProgressStyle::with_template("{bar:24} epoch {pos} of {len} {msg}  {eta} left");
        let bar = ProgressBar::new(0);
        let bar = Some(style.map_or(bar.clone(), |s| bar.with_style(s)));
        Meter { bar, first: OnceLock::new(), estimated }
    }

    pub fn show(&self, p: &Progress) -> ControlFlow<()> {
        let first = *self.first.get_or_init(|| p.elapsed);
        if let (false, Some(time)) = (self.estimated.load(Ordering::Relaxed), estimate(first, p.elapsed, (p.epoch, p.epochs))) {
            self.estimated.store(true, Ordering::Relaxed);
            if time > LONG {
                let time = about(time);
                let line =
                    format!("this fit takes about {time} at most; --time-limit ends it sooner, with the best model so far");
                match &self.bar {
                    Some(bar) => bar.println(line),
                    None => say(&format!("{line}\n")),
                }
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_length(p.epochs as u64);
            bar.set_position(p.epoch as u64);
            if p.held_out_loss.is_finite() {
                bar.set_message(format!(" held-out loss {:.4}", p.held_out_loss));
            }
        }
        ControlFlow::Continue(())
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let minutes = |m: f64| about(Duration::from_secs_f64(60.0 * m));
        assert_eq!([minutes(1.2), minutes(89.5), minutes(91.0), minutes(600.0)], ["2 min", "90 min", "1.5 h", "10.0 h"]);
    }

    #[test]
    fn what_comes_once_is_not_counted_for_every_epoch() {
        let seconds = Duration::from_secs;
        // Ten seconds before the first epoch is done, two for each of the others.
        assert_eq!(estimate(seconds(10), seconds(20), (6, 101)), Some(seconds(210)));
        assert_eq!(estimate(seconds(10), seconds(14), (3, 3)), Some(seconds(14)));
        assert_eq!(
            [(seconds(10), 1), (seconds(11), 5), (seconds(30), 2)].map(|(t, done)| estimate(seconds(10), t, (done, 9))),
            [None; 3]
        );
    }
}
