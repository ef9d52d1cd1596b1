//! Randomness one can promise: a stream is a function of (seed, purpose, index), never of threads or batches.

use ndarray::{Array2, Axis, concatenate};
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator behind every random number of the crate: portable, documented, fast.
pub(crate) type Stream = Xoshiro256PlusPlus;

/// What a stream is for; two purposes never share numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// First weights; index = ensemble member.
    Init,
    /// Cells held out for early stopping; index = ensemble member.
    HeldOut,
    /// The order of rows in an epoch; index = epoch.
    Shuffle,
    /// Visible cells and latent noise of a training shard; index = step and shard.
    Train,
    /// The one set of latent noise all rows share; index = 0 for fills, 1 for bounds.
    Fill,
    /// Multiple imputations; index = draw and row.
    Draw,
    /// Cells hidden by `ampute`; index = column.
    Ampute,
    /// The linear model's first loadings, and the cells it is judged by; index = 0, or the row.
    Linear,
    /// Latent points by which held-out cells are scored; index = member.
    Score,
    /// Rows that a model makes; index = row.
    Generate,
    /// Which cells of such rows are gaps; index = row.
    Gaps,
    /// The rows of a file that a fit within a limit of memory sees; index = 0.
    Sample,
    /// Fitted rows by which fills are corrected, and which of them a draw takes; index = draw, row and fitted row.
    Neighbours,
    /// Candidates that a draw chooses from; index = draw and row.
    Candidates,
    /// Rows by which gaps are judged, and what stands for the distribution of a cell; index = 0, or 1 and more.
    Missingness,
}

/// The generator for `index` of `purpose` under `seed`.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> Stream {
    // splitmix64 inside seed_from_u64 spreads the bits; mixing the three words first keeps streams apart.
    Stream::seed_from_u64(word(seed, purpose, index))
}

/// A number uniform on (0, 1) for `index` of `purpose` under `seed`, where a stream would give no more than that.
pub(crate) fn uniform(seed: u64, purpose: Purpose, index: u64) -> f64 {
    ((word(seed, purpose, index) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn word(seed: u64, purpose: Purpose, index: u64) -> u64 {
    let mut h = seed ^ 0x9e37_79b9_7f4a_7c15;
    for word in [purpose as u64 + 1, index] {
        h = mix(h.wrapping_add(word.wrapping_mul(0xbf58_476d_1ce4_e5b9)));
    }
    h
}

/// Standard normal numbers, row by row.
pub(crate) fn normals(shape: (usize, usize), rng: &mut Stream) -> Array2<f32> {
    let mut out = Array2::zeros(shape);
    fill_normals(&mut out, rng);
    out
}

/// Standard normal points in pairs of opposite ones, whose mean is zero: (rows, columns), the mirror images under the points. Rows are even.
pub(crate) fn antithetic((rows, columns): (usize, usize), rng: &mut Stream) -> Array2<f32> {
    let half = normals((rows / 2, columns), rng);
    concatenate(Axis(0), &[half.view(), (-&half).view()]).expect("both halves are alike")
}

/// Standard normal numbers into a buffer, row by row.
pub(crate) fn fill_normals<'a>(out: impl IntoIterator<Item = &'a mut f32>, rng: &mut Stream) {
    out.into_iter().for_each(|x| {
        let e: f64 = StandardNormal.sample(rng);
        *x = e as f32;
    });
}

/// One index out of two.
pub(crate) fn pair(a: u64, b: u64) -> u64 {
    mix(a.wrapping_mul(0x94d0_49bb_1331_11eb) ^ b.rotate_left(32))
}

/// The finaliser of splitmix64 (Steele, Lea & Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray_rand::rand::RngCore;

    #[test]
    fn streams_are_stable() {
        // A change here changes every fit: it is an entry of the changelog.
        let first: Vec<u64> = [(0, Purpose::Init, 0), (0, Purpose::Draw, 0), (1, Purpose::Init, 0), (0, Purpose::Init, 1)]
            .map(|(s, p, i)| stream(s, p, i).next_u64())
            .to_vec();
        assert_eq!(first, STORED);
    }

    #[test]
    fn uniform_numbers_are() {
        let n = 20_000;
        let x: Vec<f64> = (0..n).map(|i| uniform(4, Purpose::Neighbours, i)).collect();
        let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / n as f64;
        // Standard errors 0.002.
        assert!((moment(1) - 1.0 / 2.0).abs() < 0.008 && (moment(2) - 1.0 / 3.0).abs() < 0.008);
        let lag: f64 = x.windows(2).map(|x| (x[0] - 0.5) * (x[1] - 0.5)).sum::<f64>() / n as f64;
        assert!(lag.abs() < 0.003, "{lag}");
        assert!(x.iter().all(|x| 0.0 < *x && *x < 1.0));
    }

    const STORED: [u64; 4] = [702682539929725228, 3633412378848817710, 16315553547121731866, 11770956014114581319];

    #[test]
    fn neighbouring_streams_do_not_correlate() {
        let n = 4000;
        let bits: f64 = (0..n)
            .map(|i| {
                let a = stream(3, Purpose::Train, i).next_u64();
                let b = stream(3, Purpose::Train, i + 1).next_u64();
                f64::from((a ^ b).count_ones())
            })
            .sum::<f64>()
            / n as f64;
        // Mean 32, sd of the mean 4 / sqrt(4000) = 0.063.
        assert!((bits - 32.0).abs() < 0.3, "{bits}");
    }
}
