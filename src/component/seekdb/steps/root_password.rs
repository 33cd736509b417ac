//! The password of root. seekdb lets nobody but root change it (error 1235 "modify on reserved
//! user", run on 1.4.0.post1), so the last ones are kept in a 0600 file beside our account: a
//! rotation needs no old password from the user.
use super::super::{Instance, server};
use super::account::without;
use crate::base::{Kind, Problem, Secret};
use crate::component::sql::{ACCESS_DENIED, Login, literal};
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Name of the secret in [`Cx::secret`].
pub const SECRET: &str = "root_password_wo";

async fn kept(cx: &Cx, instance: &Instance) -> Result<Vec<Secret>, Problem> {
    let output =
        cx.read(&instance.host, &format!("cat {} 2>/dev/null || :", instance.own("root"))).await?;
    Ok(output.stdout.lines().rev().filter_map(decode).collect())
}

fn decode(line: &str) -> Option<Secret> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(line.trim()).ok()?;
    String::from_utf8(bytes).ok().map(Secret::new)
}

fn encode(secret: &Secret) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(secret.expose())
}

/// Finds a login of root that works: the wanted password, kept ones, none.
pub(super) async fn working_root(cx: &Cx, instance: &Instance) -> Result<Login, Problem> {
    let mut candidates: Vec<Login> =
        cx.secret(SECRET).iter().map(|s| Login::new("root", s)).collect();
    candidates.extend(kept(cx, instance).await?.iter().map(|s| Login::new("root", s)));
    candidates.push(Login::fresh_root());
    for login in candidates {
        match server::open(cx, instance, &login).await? {
            Ok(session) => {
                session.close().await;
                return Ok(login);
            }
            Err(error) if error.code() == Some(ACCESS_DENIED) => {}
            Err(error) => {
                return Err(error.explain(
                    &format!("log in as root to seekdb {}", instance.show()),
                    &server::place(instance),
                ));
            }
        }
    }
    Err(Problem::new(Kind::User, format!("cannot log in as root to seekdb {}", instance.show()))
        .place(server::place(instance))
        .why("neither the configured password nor a kept one works: it was changed on the server")
        .fix("set root_password_wo to the password that is in force and raise root_password_wo_version"))
}

/// Keeps the new password on the host before it is set.
#[derive(Clone, Debug)]
pub struct KeepRootPassword {
    /// Which one.
    pub instance: Instance,
}

#[async_trait]
impl Step for KeepRootPassword {
    fn kind(&self) -> &'static str {
        "keep_root_password"
    }
    fn title(&self) -> String {
        format!("keep root's password of {} for its next rotation", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("append <{SECRET}> to {}/.ob/root (0600)", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let wanted = wanted(cx)?;
        Ok(if kept(cx, &self.instance).await?.first() == Some(wanted) {
            Check::Done
        } else {
            Check::Needed("it is not the last one kept".into())
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        cx.effect(
            self,
            &keeping(&self.instance.own("root"), &encode(wanted(cx)?)),
            Duration::from_secs(30),
        )
        .await
        .map(drop)
    }
}

/// Shell: `line` becomes the last one of the kept ones in `file`. Only what is built into sh sees
/// it: it is in no argv.
fn keeping(file: &str, line: &str) -> String {
    format!(
        "umask 077; {{ tail -n 3 {file} 2>/dev/null | while IFS= read -r ob_old; do [ \"$ob_old\" = {line} ] || printf '%s\\n' \"$ob_old\"; done; printf '%s\\n' {line}; }} | ob_put {file}"
    )
}

fn wanted(cx: &Cx) -> Result<&Secret, Problem> {
    cx.secret(SECRET).ok_or_else(|| Problem::internal("root_password_wo is not at hand"))
}

/// Sets root's password.
#[derive(Clone, Debug)]
pub struct SetRootPassword {
    /// Which one.
    pub instance: Instance,
}

#[async_trait]
impl Step for SetRootPassword {
    fn kind(&self) -> &'static str {
        "set_root_password"
    }
    fn title(&self) -> String {
        format!("set root's password of {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("ALTER USER 'root' IDENTIFIED BY <{SECRET}>")]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let login = Login::new("root", wanted(cx)?);
        Ok(match server::open(cx, &self.instance, &login).await? {
            Ok(session) => {
                session.close().await;
                Check::Done
            }
            Err(error) if error.code() == Some(ACCESS_DENIED) => {
                Check::Needed("its login is refused".into())
            }
            Err(error) => Check::Unknown(error.to_string()),
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let password = wanted(cx)?.expose().to_owned();
        let root = working_root(cx, &self.instance).await?;
        let statement = format!("ALTER USER 'root' IDENTIFIED BY {}", literal(&password));
        server::dangerous(cx, self, &self.instance, &root, &[statement])
            .await
            .map_err(|p| without(p, &password))
    }
}

#[cfg(test)]
mod tests {
    use super::keeping;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn the_last_passwords_are_kept_and_none_is_an_argument_of_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for program in ["tail", "cat", "grep", "sed", "awk", "printf"] {
            let shim = format!(
                "#!/bin/sh\necho \"{program} $*\" >> {}\nPATH=/usr/bin:/bin exec {program} \"$@\"\n",
                at("ran")
            );
            std::fs::write(at(program), shim).unwrap();
            std::fs::set_permissions(at(program), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let keep = |line: &str| {
            let script = format!(
                "ob_put() {{ cat > {0}.tmp && /bin/mv {0}.tmp {0}; }}; {1}",
                at("root"),
                keeping(&at("root"), line)
            );
            assert!(
                Command::new("/bin/sh")
                    .args(["-c", &script])
                    .env("PATH", dir.path())
                    .status()
                    .unwrap()
                    .success()
            );
            std::fs::read_to_string(at("root")).unwrap()
        };
        assert_eq!(keep("QQ=="), "QQ==\n");
        assert_eq!(keep("Qg=="), "QQ==\nQg==\n");
        assert_eq!(keep("QQ=="), "Qg==\nQQ==\n");
        assert_eq!(keep("QQ=="), "Qg==\nQQ==\n");
        assert_eq!((keep("Qw=="), keep("RA==")).1, "Qg==\nQQ==\nQw==\nRA==\n");
        assert_eq!(keep("RQ=="), "QQ==\nQw==\nRA==\nRQ==\n");
        let ran = std::fs::read_to_string(at("ran")).unwrap();
        assert!(ran.contains("tail -n 3") && !ran.contains("=="), "{ran}");
    }
}
