//! How near the training comes to what the machine can do: `cargo bench --bench limit`, or `cargo bench --bench limit -- step`
//! for the training step alone, with texts such as `adult` or `'512, threads 1'` for those whose line has them all.
//!
//! Prints the peak of f32 multiply-adds, the rate of the product at the shapes of the default network, and that of the
//! training step: operations as if every product were dense (whatever is gathered), over time, over the peak. Then how
//! many cells a second are filled with more or fewer latent points a row, and how far from the fill with 256 of them.
//! Rates by CPU time, user and system (on Linux), hold also where others use the machine; the others want it quiet.

mod tables;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use lacuna::polars::prelude::*;
use lacuna::{Filled, Fit, Imputer, VaeConfig};
use pulp::{Simd, WithSimd};

use tables::{numbers, table};

/// Independent multiply-adds in as many registers as hide their latency.
struct Peak(u64);

impl WithSimd for Peak {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (x, y) = (simd.splat_f32s(black_box(0.999_999)), simd.splat_f32s(black_box(1e-7)));
        let mut a = [simd.splat_f32s(1.0); 12];
        let start = Instant::now();
        for _ in 0..self.0 {
            let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11] = a;
            let f = |v| simd.mul_add_f32s(v, x, y);
            a = [f(a0), f(a1), f(a2), f(a3), f(a4), f(a5), f(a6), f(a7), f(a8), f(a9), f(a10), f(a11)];
        }
        let seconds = start.elapsed().as_secs_f64();
        black_box(a);
        (self.0 * 12 * 2 * S::F32_LANES as u64) as f64 / seconds / 1e9
    }
}

/// What so many threads reach together, GFLOP/s: cores that share power or a pipeline reach less than each by itself.
fn peak(threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let one = || {
        barrier.wait();
        pulp::Arch::new().dispatch(Peak(200_000))
    };
    // Short, so that some of the runs have the cores to themselves.
    best(200, || {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            runs.into_iter().map(|run| run.join().expect("a run")).sum()
        })
    })
}

/// CPU seconds of this process so far, where the system tells: ticks of 10 ms.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the command's name, which may hold anything, user and system time are the twelfth and thirteenth.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Some(ticks.sum::<Result<f64, _>>().ok()? / 100.0)
}

/// The best of several, since anything else on the machine only slows down.
fn best(times: usize, one: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(one).take(times).fold(0.0, f64::max)
}

/// Rate of `rows × inputs` by `inputs × outputs`, one thread, GFLOP/s.
fn product(rows: usize, inputs: usize, outputs: usize) -> f64 {
    let (a, b, mut c) = (vec![0.5f32; rows * inputs], vec![0.25f32; inputs * outputs], vec![0f32; rows * outputs]);
    let operations = 2.0 * (rows * inputs * outputs) as f64;
    let repeats = (1e8 / operations) as usize + 1;
    best(100, || {
        let start = Instant::now();
        for _ in 0..repeats {
            // SAFETY: the three vectors have the sizes that the shapes and strides name.
            unsafe {
                let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
                let (o, i) = (outputs as isize, inputs as isize);
                let none = gemm::Parallelism::None;
                gemm::gemm(rows, outputs, inputs, c, 1, o, false, a, 1, i, b, 1, o, 0.0, 1.0, false, false, false, none);
            }
        }
        black_box(&c);
        operations * repeats as f64 / start.elapsed().as_secs_f64() / 1e9
    })
}

/// Columns of as many levels as said, a fifth of the cells missing.
fn levels(n: usize, counts: &[usize]) -> Vec<Column> {
    let column = |(j, &k): (usize, &usize)| {
        let cells = (0..n).map(|i| ((i * 11 + j * 3) % 10 > 1).then(|| format!("l{}", i * 7919 / (j + 1) % k)));
        Series::new(format!("c{j}").into(), cells.collect::<Vec<_>>()).into_column()
    };
    counts.iter().enumerate().map(column).collect()
}

fn main() {
    let peaks = [1, 2].map(|threads| (threads, peak(threads)));
    let peak = peaks[0].1;
    println!("peak of f32 multiply-adds: {peak:.0} GFLOP/s by one thread, {:.0} by two", peaks[1].1);
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let only_step = arguments.iter().any(|a| a == "step");
    if !only_step {
        for (rows, inputs, outputs) in [(128, 171, 256), (128, 256, 256), (256, 128, 256), (256, 256, 256), (128, 256, 18)] {
            let rate = product(rows, inputs, outputs);
            println!("product {rows} × {inputs} × {outputs}: {rate:.0} GFLOP/s, {:.0} % of the peak", 100.0 * rate / peak);
        }
    }
    let n = 20_000;
    // The shape of the adult table: six numbers; levels as many as its columns have.
    let adult = [numbers(n, 6), levels(n, &[9, 16, 7, 15, 6, 5, 2, 42, 2])].concat();
    let adult = DataFrame::new(n, adult).expect("columns of one length");
    for (name, df) in [("numbers, 20 000 × 9", table(n, 9)), ("adult-like, 20 000 × 15", adult)] {
        for batch in [128, 256, 512] {
            for (threads, peak) in peaks {
                let title = format!("training step, {name}, batch {batch}, threads {threads}");
                if arguments.iter().all(|a| title.contains(a.as_str())) {
                    step(&title, &df, batch, threads, peak);
                }
            }
        }
    }
    if !only_step {
        fills();
    }
}

/// Prints the rate of the training of two networks; `peak` is that of as many threads.
fn step(title: &str, df: &DataFrame, batch: usize, threads: usize, peak: f64) {
    let config = VaeConfig::default().members(2).threads(threads);
    // Seconds, CPU seconds and operations of so many steps.
    let run = |steps| {
        let before = cpu_seconds();
        let (seconds, operations) = config.training_rate(df, batch, steps).expect("a fit");
        (seconds, cpu_seconds().zip(before).map_or(seconds * threads as f64, |(now, then)| now - then), operations)
    };
    let steps = 120_000 / batch;
    let (mut rate, mut of_cpu) = (0f64, 0f64);
    let mut a_row = 0.0;
    for _ in 0..3 {
        // What comes before the first step and after the last is in both.
        let (few, many) = (run(steps / 4), run(steps));
        let operations = (many.2 - few.2) / 1e9;
        rate = rate.max(operations / (many.0 - few.0));
        of_cpu = of_cpu.max(operations / (many.1 - few.1));
        a_row = many.2 / (2 * steps * batch) as f64 / 1e9;
    }
    let (rows, rows_of_cpu) = (rate / a_row, of_cpu / a_row);
    println!(
        "{title}: {rate:.0} GFLOP/s, {:.0} % of the peak, {rows:.0} rows/s; \
         by CPU time {of_cpu:.0}, {:.0} %, {rows_of_cpu:.0}",
        100.0 * rate / peak,
        100.0 * of_cpu * threads as f64 / peak,
    );
}

/// Cells a second, and the root mean square distance from the fill with many latent points, in standard deviations.
fn fills() {
    let df = table(20_000, 20);
    let imputer = VaeConfig::default().epochs(10).fit(&df).expect("a fit");
    let many = imputer.clone().with_fill_draws(256).fill(&df).expect("a fill");
    let cells = |filled: &Filled| (0..20).flat_map(|j| filled.cells(&format!("x{j}")).expect("a column").1.to_vec()).collect();
    let many: Vec<f64> = cells(&many);
    for draws in [4, 8, 16, 64] {
        let imputer = imputer.clone().with_fill_draws(draws);
        let (mut square, mut count) = (0.0, 0.0);
        let rate = best(3, || {
            let start = Instant::now();
            let filled = imputer.fill(&df).expect("a fill");
            let seconds = start.elapsed().as_secs_f64();
            let filled: Vec<f64> = cells(&filled);
            count = filled.len() as f64;
            square = filled.iter().zip(&many).map(|(a, b)| (a - b).powi(2)).sum();
            count / seconds
        });
        let distance = (square / count).sqrt();
        println!("fill, 20 000 × 20, {draws} latent points: {rate:.0} cells/s, {distance:.5} from 256 points");
    }
}
