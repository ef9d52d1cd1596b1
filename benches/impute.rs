//! Fits, fills and CSV at fixed sizes, rows × columns in the name, fixed seed, data made outside the timing:
//! `cargo bench`.

mod tables;

use std::path::Path;

use divan::Bencher;
use lacuna::{CsvOptions, CsvTable, Fit, Imputer, KnnConfig, MeanConfig, SchemaOptions, VaeConfig};

use tables::table;

fn text(n: usize, d: usize) -> Vec<u8> {
    let mut out = (0..d).map(|j| format!("x{j}")).collect::<Vec<_>>().join(",").into_bytes();
    for row in 0..n {
        let cells = (0..d)
            .map(|j| if (row + j) % 9 == 0 { String::new() } else { format!("{:.3}", ((row * 31 + j) % 997) as f64 / 7.0) });
        out.push(b'\n');
        out.extend(cells.collect::<Vec<_>>().join(",").into_bytes());
    }
    out
}

#[divan::bench(args = [(2000, 10), (20_000, 10)], sample_count = 3)]
fn fit_vae_four_epochs_one_network(bencher: Bencher, (n, d): (usize, usize)) {
    let df = table(n, d);
    let config = VaeConfig::default().epochs(4).members(1);
    bencher.bench(|| config.fit(&df).expect("a fit"));
}

#[divan::bench(args = [(2000, 10), (20_000, 10)], sample_count = 5)]
fn fill_vae_two_networks(bencher: Bencher, (n, d): (usize, usize)) {
    let df = table(n, d);
    let imputer = VaeConfig::default().epochs(1).members(2).fit(&df).expect("a fit");
    bencher.bench(|| imputer.fill(&df).expect("a fill"));
}

#[divan::bench(args = [(2000, 10), (10_000, 10)], sample_count = 3)]
fn fit_and_fill_knn(bencher: Bencher, (n, d): (usize, usize)) {
    let df = table(n, d);
    bencher.bench(|| KnnConfig::default().fit(&df).expect("a fit").fill(&df).expect("a fill"));
}

#[divan::bench(args = [(20_000, 10)], sample_count = 5)]
fn fit_and_fill_mean(bencher: Bencher, (n, d): (usize, usize)) {
    let df = table(n, d);
    bencher.bench(|| MeanConfig::default().fit(&df).expect("a fit").fill(&df).expect("a fill"));
}

#[divan::bench(args = [(20_000, 10)], sample_count = 5)]
fn csv_to_frame(bencher: Bencher, (n, d): (usize, usize)) {
    let bytes = text(n, d);
    bencher.bench(|| {
        let csv = CsvTable::read(bytes.as_slice(), Path::new("bench.csv"), &CsvOptions::default(), &SchemaOptions::default());
        csv.expect("a table").to_frame().expect("a frame")
    });
}

fn main() {
    divan::main();
}
