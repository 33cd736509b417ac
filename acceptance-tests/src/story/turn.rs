//! Heavy stories take turns: cargo runs test functions of one program side by side, and two
//! programs may run at once.
use anyhow::{Context, Result};
use std::fs::File;

/// Held while a heavy story runs; the kernel gives it back when its process dies.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code)] File);

/// Waits until no other heavy story runs on this machine. `OB_LAB_TURN` names another lock file.
///
/// # Errors
/// The lock file cannot be made.
pub fn take() -> Result<Turn> {
    let path = std::env::var_os("OB_LAB_TURN")
        .map_or_else(|| std::env::temp_dir().join("ob-lab.turn"), Into::into);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(Turn(file))
}
