#![no_main]

//! The command line: arguments separated by NUL, as the command would be called with them.

use clap::Parser;

#[allow(dead_code)]
#[path = "../../src/cli"]
mod cli {
    pub mod args;
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let arguments = data.split(|&b| b == 0).map(|a| String::from_utf8_lossy(a).into_owned());
    // Errors, help too, are answers.
    let _ = cli::args::Cli::try_parse_from(std::iter::once("lacuna".to_string()).chain(arguments));
});
