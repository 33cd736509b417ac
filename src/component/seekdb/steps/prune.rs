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

/// Prints cached files that no package links to.
const LOOSE: &str = r#"find "$OB_STATE/cache" -maxdepth 1 -type f ! -name '*.stamp' ! -name '*.partial' -links 1 2>/dev/null
"#;

/// Prints the directories of packages and of cached files, where they are empty: a removal that was
/// cut leaves them.
const EMPTY: &str = r#"for d in "$OB_STATE/packages" "$OB_STATE/cache"; do [ -d "$d" ] && [ -z "$(ls -A "$d")" ] && echo "$d"; done
"#;

/// Prints the unused package directories: those that no other instance links to and no process runs
/// from. None while an instance is being made that has no package yet: what it is about to use may
/// be there already.
const UNUSED: &str = r#"used=" "; for h in "$OB_STATE"/objects/*/home; do [ -e "$h" ] || continue; case $h in */"$leaving"/home) continue ;; esac; b=$(cat "$h"); l=$(readlink "$b/.ob/package" 2>/dev/null) || exit 0; used="$used${l##*/} "; done
for e in /proc/[0-9]*/exe; do l=$(readlink "$e" 2>/dev/null); case $l in "$OB_STATE"/packages/*) l=${l#"$OB_STATE"/packages/}; used="$used${l%%/*} " ;; esac; done
for d in "$OB_STATE"/packages/*; do [ -d "$d" ] || continue; case $used in *" ${d##*/} "*) ;; *) echo "$d" ;; esac; done
"#;

/// Prints all that is to be removed when the object `leaving` goes.
fn removable(leaving: &str) -> String {
    format!("leaving={}\n( {UNUSED}{LOOSE}{EMPTY} ); :", quote(leaving))
}

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
        let unused = cx
            .read(&self.instance.host, &format!("{}{}", gate::LIB, removable(&self.instance.key())))
            .await?
            .stdout
            .lines()
            .count();
        Ok(if unused == 0 { Check::Done } else { Check::Needed(format!("{unused} are not used")) })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // Twice: a file is loose once the last package with it is gone.
        let body = format!(
            "leaving={leaving}\nfor pass in 1 2; do ( {UNUSED}{LOOSE} ) | while read -r d; do rm -rf \"$d\" \"$d.stamp\"; done; done\nrmdir \"$OB_STATE/packages\" \"$OB_STATE/cache\" 2>/dev/null\n:",
            leaving = quote(&self.instance.key())
        );
        cx.effect(self, &body, Duration::from_secs(60)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// What is to be removed from a state directory, without its path.
    fn left(state: &Path) -> Vec<String> {
        let script =
            format!("OB_STATE={}; {}", quote(&state.display().to_string()), removable("cluster.a"));
        let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(out.status.success());
        String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(|l| l.strip_prefix(&format!("{}/", state.display())).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_removal_that_was_cut_anywhere_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        assert!(left(dir.path()).is_empty(), "a host without packages");
        fs::create_dir_all(at("packages/old")).unwrap();
        fs::create_dir_all(at("cache")).unwrap();
        fs::write(at("cache/d1"), "x").unwrap();
        fs::write(at("cache/d1.stamp"), "x").unwrap();
        fs::hard_link(at("cache/d1"), at("packages/old/seekdb")).unwrap();
        assert_eq!(left(dir.path()), ["packages/old"], "whole");
        fs::remove_dir_all(at("packages/old")).unwrap();
        assert_eq!(left(dir.path()), ["cache/d1", "packages"], "cut before the cached file");
        fs::remove_dir(at("packages")).unwrap();
        fs::remove_file(at("cache/d1")).unwrap();
        fs::remove_file(at("cache/d1.stamp")).unwrap();
        assert_eq!(left(dir.path()), ["cache"], "cut before the directory");
        fs::create_dir_all(at("packages/new")).unwrap();
        fs::create_dir_all(at("objects/cluster.b")).unwrap();
        fs::write(at("objects/cluster.b/home"), at("nowhere").display().to_string()).unwrap();
        assert!(left(dir.path()).is_empty(), "while another instance is being made");
    }
}
