//! Every operation, cut at its steps: `cargo test --test sweeps sweep_sim::`. docs/testing.md
//! explains the words.
mod contract_steps;
mod sweep_real;
mod sweep_sim;
