//! `ob completion`: a script with which a shell completes commands and options.
use super::Cli;
use super::output::{End, Out};
use crate::base::Problem;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// For which shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell. For bash: `source <(ob completion bash)`.
    shell: Shell,
}

/// Runs `ob completion`.
///
/// # Errors
/// stdout cannot be written.
pub fn run(out: &Out, args: &Args) -> Result<End, Problem> {
    out.print(script(args.shell).trim_end())?;
    Ok(End::Done)
}

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "ob", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
