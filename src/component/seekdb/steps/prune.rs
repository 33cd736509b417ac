//! Removes packages that no instance on the host starts from, and contents that no package uses.
use super::super::Instance;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Check, Cx, Host, Step, gate};
use async_trait::async_trait;
use std::time::Duration;

/// Removes what is not used any more from `~/.ob/packages` and `~/.ob/cache`.
#[derive(Clone, Debug)]
pub struct PrunePackages {
    /// The instance that is being removed: what only it uses is not used any more.
    pub instance: Instance,
}

/// Prints the unused package directories: those that no other instance links to and no process runs from. None while an
/// instance is being made that has no package yet: what it is about to use may be there already.
const UNUSED: &str = r#"used=" "; for h in "$OB_STATE"/objects/*/home; do [ -e "$h" ] || continue; case $h in */"$leaving"/home) continue ;; esac; b=$(cat "$h"); l=$(readlink "$b/.ob/package" 2>/dev/null) || exit 0; used="$used${l##*/} "; done
for e in /proc/[0-9]*/exe; do l=$(readlink "$e" 2>/dev/null); case $l in "$OB_STATE"/packages/*) l=${l#"$OB_STATE"/packages/}; used="$used${l%%/*} " ;; esac; done
for d in "$OB_STATE"/packages/*; do [ -d "$d" ] || continue; case $used in *" ${d##*/} "*) ;; *) echo "$d" ;; esac; done
"#;

#[async_trait]
impl Step for PrunePackages {
    fn kind(&self) -> &'static str {
        "prune_packages"
    }
    fn title(&self) -> String {
        format!("remove unused packages on {}", self.instance.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec!["rm -rf ~/.ob/packages/<not used by any instance> ~/.ob/cache/<not linked>".into()]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let output = cx.read(&self.instance.host, &format!("{}leaving={}\n( {UNUSED} )", gate::LIB, quote(&self.instance.key()))).await?;
        let unused = output.stdout.lines().count();
        Ok(if unused == 0 { Check::Done } else { Check::Needed(format!("{unused} are not used")) })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!(
            "leaving={leaving}\n( {UNUSED} ) | while read -r d; do rm -rf \"$d\"; done\nif [ -d \"$OB_STATE/cache\" ]; then find \"$OB_STATE/cache\" -maxdepth 1 -type f ! -name '*.stamp' ! -name '*.partial' -links 1 | while read -r f; do rm -f \"$f\" \"$f.stamp\"; done; fi\nrmdir \"$OB_STATE/packages\" \"$OB_STATE/cache\" 2>/dev/null\n:",
            leaving = quote(&self.instance.key())
        );
        cx.effect(self, &body, Duration::from_secs(60)).await.map(drop)
    }
}
