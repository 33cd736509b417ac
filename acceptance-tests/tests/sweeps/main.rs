//! Every operation, cut at its steps: `cargo test --test sweeps sweep_sim::`. The words are in
//! docs/testing.md.
mod contract_steps;
mod sweep_real;
mod sweep_sim;
