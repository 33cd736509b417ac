//! The provider plugin and nothing else; terraform or tofu starts it. `--debug` serves for a
//! debugger.
use ob::base::Problem;
use ob::transport::Pool;
use std::process::ExitCode;

fn main() -> ExitCode {
    let debug = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--debug" | "-debug") => true,
        Some("--version") => {
            println!("terraform-provider-ob {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!(
                "{}",
                Problem::user(format!("unknown argument {other:?}"))
                    .fix("start it without arguments, with --debug or with --version")
            );
            return ExitCode::from(2);
        }
    };
    let registry =
        ob::provider::registry(std::sync::Arc::new(|ssh, cancel| Pool::new(ssh, cancel)));
    match ob::provider::serve::run(registry, debug) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(ob::protocol::host::NOT_A_PLUGIN_STATUS)
        }
    }
}
