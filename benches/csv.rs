//! CSV without a model, beside the csv crate: a copy of a file by its byte records, `lacuna impute --method mean` of the same
//! file, and `lacuna schema`, which only reads it. CPU seconds of whole processes (user and system time, all threads):
//! `cargo bench --bench csv [-- MEGABYTES]`, 200 by default; Linux.
//!
//! The file has twenty columns: sixteen of decimals and four of whole numbers below a thousand, a tenth of the cells empty.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["copy", from, to] => copy(from, to),
        ["--test"] | [] => compare(200),
        [megabytes] => compare(megabytes.parse()?),
        _ => Err("one number is due: megabytes".into()),
    }
}

fn copy(from: &str, to: &str) -> Done<()> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(from)?;
    let mut writer = csv::Writer::from_path(to)?;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        writer.write_byte_record(&record)?;
    }
    Ok(writer.flush()?)
}

fn compare(megabytes: u64) -> Done<()> {
    let folder = tempfile::tempdir()?;
    let [table, out] = ["in.csv", "out.csv"].map(|name| folder.path().join(name));
    let bytes = make(&table, megabytes * 1_000_000)?;
    println!("{:.0} MB, {} threads", bytes as f64 / 1e6, std::thread::available_parallelism()?);
    let lacuna = || Command::new(env!("CARGO_BIN_EXE_lacuna"));
    let mut unit = None;
    for round in 0..2 {
        println!("run {}", round + 1);
        let mut crate_copy = Command::new(std::env::current_exe()?);
        crate_copy.arg("copy").args([&table, &out]);
        let copied = timed("copy by the csv crate", &mut crate_copy, bytes, unit)?;
        unit = Some(copied);
        timed("mean fill", lacuna().args(["impute", "--method", "mean", "-q", "-o"]).args([&out, &table]), bytes, unit)?;
        timed("schema", lacuna().args(["schema", "-q"]).arg(&table), bytes, unit)?;
    }
    Ok(())
}

/// Runs a command and prints what it took: wall seconds, CPU seconds, and these over those of the copy.
fn timed(name: &str, command: &mut Command, bytes: u64, copy: Option<f64>) -> Done<f64> {
    let (start, before) = (Instant::now(), children()?);
    if !command.stdout(Stdio::null()).status()?.success() {
        return Err(format!("{name} failed").into());
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), children()? - before);
    let megabytes = bytes as f64 / 1e6;
    let times = copy.map_or(String::new(), |copy| format!(", {:.2} × the copy", cpu / copy));
    println!("  {name:22} {wall:6.2} s {cpu:6.2} CPU s, {:4.0} MB a CPU second{times}", megabytes / cpu);
    Ok(cpu)
}

/// CPU seconds of the processes waited for: fields 16 and 17 of proc's stat, in hundredths.
fn children() -> Done<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rsplit_once(") ").ok_or("proc's stat has another form")?.1;
    let ticks: Vec<f64> = behind.split(' ').skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Writes a table of about so many bytes; the same for the same size.
fn make(path: &Path, bytes: u64) -> Done<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    let header: Vec<String> = (0..20).map(|j| format!("x{j}")).collect();
    writeln!(out, "{}", header.join(","))?;
    // A generator of 64 bits (Steele et al. 2014, splitmix).
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut written = 0;
    let mut line = String::new();
    while written < bytes {
        line.clear();
        for j in 0..20 {
            let x = next();
            line.push_str(if j > 0 { "," } else { "" });
            match (x % 10, j % 5) {
                (0, _) => {}
                (_, 4) => line.push_str(&(x / 10 % 1000).to_string()),
                _ => line.push_str(&format!("{:.6}", (x >> 11) as f64 / (1u64 << 53) as f64 * 8.0 - 3.0)),
            }
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    out.flush()?;
    Ok(written)
}
