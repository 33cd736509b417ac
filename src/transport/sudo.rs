//! Root rights by named commands.

/// The shell function `root`.
pub const ROOT: &str = "root() { [ -n \"${ob_uid:-}\" ] || ob_uid=$(id -u); if [ \"$ob_uid\" = 0 ]; then \"$@\"; else sudo -n -- \"$@\"; fi; }\n";
