//! Tests the plugin from outside: over gRPC with the generated client, and under the real
//! terraform.
//!
//! This program is its own provider. Started with go-plugin's cookie (by a test or by terraform),
//! it serves the types of `traps.rs`. Started by cargo, it runs the tests, or those whose name
//! contains the first argument.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod client;
mod edges;
mod process;
mod terraform;
mod traps;
mod values;
mod wire;

use ob::resource::Visitor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The provider under test: the real server, with the traps instead of the product's types.
pub fn registry() -> ob::provider::Registry {
    let mut registry = ob::provider::Registry::new(std::sync::Arc::new(|_, _| {
        std::sync::Arc::new(traps::Nowhere)
    }));
    registry.resource(traps::Thing);
    registry.resource(traps::Wrong);
    registry.data_source(traps::Look);
    registry
}

fn main() -> ExitCode {
    let debug = std::env::args().nth(1).as_deref() == Some("--debug");
    if debug || std::env::var_os("TF_PLUGIN_MAGIC_COOKIE").is_some() {
        return match ob::provider::serve::run(registry(), debug) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e}");
                ExitCode::FAILURE
            }
        };
    }
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let tests =
        wire::TESTS.iter().chain(edges::TESTS).chain(process::TESTS).chain(terraform::TESTS);
    let chosen: Vec<_> = tests.filter(|(name, _)| name.contains(&filter)).collect();
    let mut failed = Vec::new();
    for (name, test) in &chosen {
        let started = std::time::Instant::now();
        let good = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!(
            "test {name} ... {} ({} ms)",
            if good { "ok" } else { "FAILED" },
            started.elapsed().as_millis()
        );
        if !good {
            failed.push(*name);
        }
    }
    println!(
        "\ntest result: {}. {} passed; {} failed",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A test: a sentence and what proves it.
pub type Test = (&'static str, fn());

/// Runs an async test.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
