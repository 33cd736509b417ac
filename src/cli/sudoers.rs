//! `ob sudoers`: the rights that an ordinary login user needs, in two forms. The full form amounts to
//! root; the narrow form does not, and leaves what needs root to an administrator.
use super::output::{End, Out};
use crate::base::Problem;
use crate::component::database::ALL;
use crate::transport::sudo;

/// Whose rights, and which.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Login user.
    #[arg(long)]
    user: String,
    /// User that runs the servers.
    #[arg(long, default_value = "ob")]
    run_as: String,
    /// Prints a program that an administrator runs once as root. It installs the unit `ob@.service`
    /// and the right to enable and start its instances, which does not amount to root.
    #[arg(long)]
    narrow: bool,
}

/// Runs `ob sudoers`.
///
/// # Errors
/// The output cannot be written.
pub fn run(out: &Out, args: &Args) -> Result<End, Problem> {
    if args.narrow {
        let rules = sudo::narrow(&args.user, &args.run_as);
        let unit = ALL[0].template(&args.run_as);
        let data = serde_json::json!({ "sudoers": rules, "ob@.service": unit });
        out.data(&data, || install(&rules, &unit))?;
    } else {
        let rules = sudo::sudoers(&args.user, &args.run_as);
        out.data(&serde_json::json!({ "sudoers": rules }), || rules.clone())?;
    }
    Ok(End::Done)
}

/// A shell program that installs both files. Neither is in force before visudo has found the rules
/// good.
fn install(rules: &str, unit: &str) -> String {
    format!(
        "#!/bin/sh\n\
         # Run this once as root: it lets servers start with the host, and gives no right that\n\
         # amounts to root. What else needs root (`prepare` of ob_host), do by hand or as root.\n\
         set -eu\n\
         new=$(mktemp)\n\
         trap 'rm -f \"$new\"' EXIT\n\
         cat > \"$new\" <<'END'\n{rules}END\n\
         visudo -c -q -f \"$new\"\n\
         install -m 0440 \"$new\" /etc/sudoers.d/ob\n\
         cat > \"$new\" <<'END'\n{unit}END\n\
         install -m 0644 \"$new\" /etc/systemd/system/ob@.service\n\
         [ ! -d /run/systemd/system ] || systemctl daemon-reload"
    )
}
