//! Turns limit how many tests run databases at once, to what the machine can carry. cargo runs the
//! test functions of one program side by side, and several programs may run at once.
use anyhow::{Context, Result};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// Memory in bytes that one turn may need: three databases, their disks (which are in memory),
/// terraform.
const EACH: u64 = 6 << 30;

/// A turn, held while a story runs. The kernel releases it when the process dies.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code)] File);

/// Waits until one of this machine's turns is free. `OB_LAB_TURN` names other lock files;
/// `OB_LAB_TURNS` sets their number.
///
/// # Errors
/// A lock file cannot be made.
pub fn take() -> Result<Turn> {
    let path = std::env::var_os("OB_LAB_TURN")
        .map_or_else(|| std::env::temp_dir().join("ob-lab.turn"), PathBuf::from);
    let given = std::env::var("OB_LAB_TURNS").ok().and_then(|n| n.parse().ok());
    let turns = (1..=given.unwrap_or_else(carried).max(1))
        .map(|n| {
            let path = PathBuf::from(format!("{}.{n}", path.display()));
            let file = File::options().create(true).append(true).open(&path);
            file.with_context(|| format!("cannot open {}", path.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    loop {
        if let Some(free) = turns.iter().position(|t| t.try_lock().is_ok()) {
            return Ok(Turn(turns.into_iter().nth(free).context("a turn that was there is gone")?));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How many turns this machine carries: as many as fit into its memory, but at most one more than
/// it has processors. Stories wait for servers most of their time.
fn carried() -> usize {
    let memory = rustix::system::sysinfo();
    let memory = u64::from(memory.mem_unit) * memory.totalram;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    usize::try_from(memory / EACH).unwrap_or(1).min(processors + 1)
}
