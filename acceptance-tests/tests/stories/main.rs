//! The product with real programs (terraform, sshd, seekdb, Go's harness), and the lab they run in.
//! One module is one story or one subject: `cargo test --test stories story_pair::`.
//!
//! Whatever runs a database takes a turn (`lab::story::turn`), which limits how many run at once to
//! what the machine carries.
mod attack;
mod break_glass;
mod database;
mod examples;
mod guarded;
mod host_prepare;
mod host_resource;
mod hosts;
mod judge_docs;
mod judge_newer_terraform;
mod judge_plugin_testing;
mod leftovers;
mod passwords;
mod programs;
mod sql_door;
mod sql_objects;
mod story_1_3;
mod story_bad_input;
mod story_cut;
mod story_gateway;
mod story_pair;
mod story_trio;
mod story_two_runs;
mod story_upgrade;
mod story_user;
mod systemd;
