//! Adam (Kingma & Ba 2015) as an argmin [`Solver`]: one iteration is one epoch, the cost is minus the held-out score of the last epoch
//! that was scored, so that argmin's best parameters are early stopping with the best weights restored.

use std::time::Duration;

use argmin::core::{Error, IterState, KV, Problem, Solver, State, TerminationReason, TerminationStatus};
use rayon::prelude::*;

use crate::kernel::{AdamStep, PIECE, sum_of_squares};
use crate::train::Clock;

/// What [`Adam`] needs of its problem.
pub(crate) trait Objective {
    /// Steps of an epoch.
    fn steps(&self) -> usize;
    /// Computes the gradient of the mean bound at step `step` (counted over all epochs) and hands it on with the weights: as
    /// a sum, and what that is to be multiplied by.
    fn with_gradient(
        &self,
        step: usize,
        progress: f64,
        w: &mut [f32],
        update: impl FnOnce(&mut [f32], &[f32], f32),
    ) -> crate::error::Result<()>;
    /// Minus the held-out score; NaN ends the run, its best parameters stay.
    fn cost(&self, w: &[f32]) -> crate::error::Result<f32>;
}

/// The state argmin keeps for this solver.
pub(crate) type AdamState = IterState<Vec<f32>, (), (), (), (), f32>;

/// The solver: step size warmed up, then cosine to zero; gradient norm clipped to a multiple of its running mean; the
/// parameters it reports are the running mean of the weights since the last score, about.
#[derive(Debug)]
pub(crate) struct Adam {
    pub step_size: f32,
    pub decay: f32,
    /// Epochs without a better cost before it stops.
    pub patience: u64,
    pub epochs: u64,
    pub time_limit: Option<Duration>,
    pub(super) clock: Clock,
    pub(super) weights: Vec<f32>,
    pub(super) m: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) step: usize,
    pub(super) norm: f64,
    /// Factor on the step size, cut on a plateau; and how many epochs since the best cost or the last cut.
    pub(super) factor: f32,
    pub(super) stale: u64,
    pub(super) cuts: u32,
    first_counts: bool,
    /// Whether the threads of the pool share each step.
    parallel: bool,
    /// Σ g² of each piece of the gradient: a buffer.
    squares: Vec<f64>,
}

/// β₁ and β₂.
const BETA: (f32, f32) = (0.9, 0.99);
/// On a plateau the step size is cut to this share, so many times, before the fit stops.
const CUT: f32 = 0.3;
const CUTS: u32 = 2;
/// Epochs to a score, which costs a fifth of an epoch or more.
const TO_A_SCORE: u64 = 2;

impl Adam {
    pub fn new(step_size: f32, decay: f32, epochs: u64, patience: u64, time_limit: Option<Duration>, clock: Clock) -> Adam {
        Adam {
            step_size,
            decay,
            patience,
            epochs,
            time_limit,
            clock,
            weights: Vec::new(),
            m: Vec::new(),
            v: Vec::new(),
            step: 0,
            norm: 0.0,
            factor: 1.0,
            stale: 0,
            cuts: 0,
            first_counts: true,
            parallel: false,
            squares: Vec::new(),
        }
    }

    /// Whether the first weights may be the best ones.
    pub fn counting_first(self, first_counts: bool) -> Adam {
        Adam { first_counts, ..self }
    }

    /// Whether the threads of the pool share each step, which comes out the same.
    pub fn parallel(self, parallel: bool) -> Adam {
        Adam { parallel, ..self }
    }

    /// Share of the run that is over: by steps, or by time where a limit comes sooner.
    fn progress(&self, steps: usize) -> f64 {
        let by_steps = self.step as f64 / (self.epochs as f64 * steps as f64);
        let by_time = self.time_limit.map_or(0.0, |t| self.clock.elapsed().as_secs_f64() / t.as_secs_f64());
        // A fit that will end in time is ahead of the clock once it is under way: its answer does not depend on it.
        if by_time > 0.1 { by_steps.max(by_time).min(1.0) } else { by_steps }
    }
}

/// Warm-up over the first twentieth, then a half cosine to zero.
fn schedule(progress: f64) -> f64 {
    const WARM: f64 = 0.05;
    if progress < WARM {
        (progress / WARM).max(0.02)
    } else {
        0.5 * (1.0 + (std::f64::consts::PI * (progress - WARM) / (1.0 - WARM)).cos())
    }
}

/// The state with new weights and their cost. argmin copies what it takes for the best, as it does any weights without a score so far; what that
/// replaces goes first.
fn told(mut state: AdamState, mean: Vec<f32>, cost: f32) -> AdamState {
    let best = state.get_best_cost();
    if cost < best || (cost.is_infinite() && best.is_infinite()) {
        state.take_best_param();
    }
    state.param(mean).cost(cost)
}

impl<O: Objective> Solver<O, AdamState> for Adam {
    fn name(&self) -> &str {
        "Adam"
    }

    fn init(&mut self, problem: &mut Problem<O>, state: AdamState) -> Result<(AdamState, Option<KV>), Error> {
        self.weights = state.get_param().cloned().unwrap_or_default();
        let n = self.weights.len();
        (self.m, self.v) = (vec![0.0; n], vec![0.0; n]);
        let cost = problem.problem("cost_count", |p| Ok(p.cost(&self.weights)?))?;
        Ok((state.cost(if self.first_counts { cost } else { f32::INFINITY }), None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: AdamState) -> Result<(AdamState, Option<KV>), Error> {
        let mut mean = state.take_param().unwrap_or_default();
        // argmin keeps the best before, too, which nothing asks for.
        state.take_prev_best_param();
        let steps = problem.problem("steps_count", |p| Ok(p.steps()))?;
        // Pieces of the weights that a thread takes at least.
        let pieces = if self.parallel { 1 } else { usize::MAX };
        for _ in 0..steps {
            let progress = self.progress(steps);
            if progress >= 1.0 {
                break;
            }
            let step_size = self.step_size * self.factor * schedule(progress) as f32;
            let averaging = 1.0 / ((self.step + 1).min((TO_A_SCORE as usize * steps).min(200)) as f32);
            let Adam { weights, m, v, step, norm, decay, squares, .. } = self;
            let at = *step;
            let update = |w: &mut [f32], grad: &[f32], scale: f32| {
                *step += 1;
                // Summed up piece by piece whether by one thread or by several.
                grad.par_chunks(PIECE).with_min_len(pieces).map(sum_of_squares).collect_into_vec(squares);
                let this = f64::from(scale) * squares.iter().sum::<f64>().sqrt();
                if !this.is_finite() {
                    // A step that overflowed is not taken; that the weights stay finite is checked by the cost.
                    return;
                }
                let t = *step as i32;
                *norm += (this.min(5.0 * norm.max(this * f64::from(t == 1))) - *norm) / f64::from(t.min(50));
                let correction = (1.0 / (1.0 - BETA.0.powi(t)), 1.0 / (1.0 - BETA.1.powi(t)));
                let scale = scale * (2.0 * *norm / this.max(1e-30)).min(1.0) as f32;
                let step = AdamStep { beta: BETA, correction, step_size, decay: *decay, scale, averaging };
                let (w, m, v) = (w.par_chunks_mut(PIECE), m.par_chunks_mut(PIECE), v.par_chunks_mut(PIECE));
                let each = w.zip(grad.par_chunks(PIECE)).zip(m).zip(v).zip(mean.par_chunks_mut(PIECE));
                each.with_min_len(pieces).for_each(|((((w, grad), m), v), mean)| step.apply(w, grad, m, v, mean));
            };
            problem.problem("gradient_count", |p| Ok(p.with_gradient(at, progress, weights, update)?))?;
        }
        let ends = state.get_iter() + 1 == state.get_max_iters() || self.progress(steps) >= 1.0;
        if !ends && !(state.get_iter() + 1).is_multiple_of(TO_A_SCORE) {
            let cost = state.get_cost();
            return Ok((told(state, mean, cost), None));
        }
        let cost = problem.problem("cost_count", |p| Ok(p.cost(&mean)?))?;
        // An infinite cost says that nothing was held out: every epoch counts as better than the last.
        self.stale = if cost < state.get_best_cost() || cost.is_infinite() { 0 } else { self.stale + TO_A_SCORE };
        if self.stale > self.patience && self.cuts < CUTS && !cost.is_nan() {
            // Back to the best weights, with smaller steps.
            self.weights = state.get_best_param().cloned().unwrap_or(mean);
            mean = self.weights.clone();
            self.factor *= CUT;
            self.cuts += 1;
            self.stale = 0;
        }
        Ok((told(state, mean, cost), None))
    }

    fn terminate(&mut self, state: &AdamState) -> TerminationStatus {
        if state.get_cost().is_nan() {
            return TerminationStatus::Terminated(TerminationReason::SolverExit("the cost is no number".into()));
        }
        let timed_out = self.time_limit.is_some_and(|t| self.clock.elapsed() >= t);
        if timed_out {
            return TerminationStatus::Terminated(TerminationReason::SolverExit("time limit".into()));
        }
        if self.stale > self.patience {
            return TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        TerminationStatus::NotTerminated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argmin::core::Executor;

    /// Rosenbrock's function, maximum of its negative at (1, 1).
    struct Rosenbrock;

    impl Objective for Rosenbrock {
        fn steps(&self) -> usize {
            500
        }
        fn with_gradient(
            &self,
            _: usize,
            _: f64,
            w: &mut [f32],
            update: impl FnOnce(&mut [f32], &[f32], f32),
        ) -> crate::error::Result<()> {
            let (x, y) = (w[0], w[1]);
            let grad = [2.0 * (1.0 - x) + 40.0 * x * (y - x * x), -20.0 * (y - x * x)];
            update(w, &grad, 1.0);
            Ok(())
        }
        fn cost(&self, w: &[f32]) -> crate::error::Result<f32> {
            Ok((1.0 - w[0]).powi(2) + 10.0 * (w[1] - w[0] * w[0]).powi(2))
        }
    }

    /// As above up to a cost that is no number.
    struct Lost;

    impl Objective for Lost {
        fn steps(&self) -> usize {
            50
        }
        fn with_gradient(
            &self,
            step: usize,
            progress: f64,
            w: &mut [f32],
            update: impl FnOnce(&mut [f32], &[f32], f32),
        ) -> crate::error::Result<()> {
            Rosenbrock.with_gradient(step, progress, w, update)
        }
        fn cost(&self, w: &[f32]) -> crate::error::Result<f32> {
            let cost = Rosenbrock.cost(w)?;
            Ok(if cost < 1.0 { f32::NAN } else { cost })
        }
    }

    #[test]
    fn a_cost_that_is_no_number_ends_the_run_with_the_best_so_far() {
        let adam = Adam::new(0.05, 0.0, 20, 20, None, Clock::after(Duration::ZERO));
        let run = Executor::new(Lost, adam).configure(|s| s.param(vec![-1.2, 1.0]).max_iters(20)).run().unwrap();
        let state = run.state;
        assert!(state.get_iter() < 20 && (1.0..10.0).contains(&state.get_best_cost()), "{}", state.get_best_cost());
        assert_eq!(Rosenbrock.cost(state.get_best_param().unwrap()).unwrap(), state.get_best_cost());
    }

    #[test]
    fn it_finds_the_minimum_and_keeps_the_best() {
        let adam = Adam::new(0.05, 0.0, 20, 20, None, Clock::after(Duration::ZERO));
        let run = Executor::new(Rosenbrock, adam).configure(|s| s.param(vec![-1.2, 1.0]).max_iters(20)).run().unwrap();
        let state = run.state;
        assert!(state.get_best_cost() < 1e-3, "{}", state.get_best_cost());
        let best = state.get_best_param().unwrap();
        assert!((best[0] - 1.0).abs() < 0.05 && (best[1] - 1.0).abs() < 0.1, "{best:?}");
    }
}
