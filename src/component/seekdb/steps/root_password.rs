//! The password of root: that of the configuration, or else a random one that is made on the host.
//! A server without one would let everybody in who reaches its port.
//!
//! On 1.4 only root may change it (error 1235 "modify on reserved user", run on 1.4.0.post1). So
//! the last passwords are kept in a 0600 file beside our account, and a rotation needs no old
//! password from the user. On 1.3 our account may change it.
use super::super::server::{self, On};
use super::super::{Dialect, about};
use super::account::MAKE_PASSWORD;
use super::id;
use crate::base::{Kind, Problem, Secret};
use crate::component::database::Root;
use crate::component::sql::{ACCESS_DENIED, Login, native_digest};
use crate::engine::mark::Stage;
use crate::engine::{
    Check, Cx, Effect, Form, Host, Name, Node, Sql, Step, StepId, Template, Values,
};
use async_trait::async_trait;
use std::collections::BTreeSet;

/// Name of the new password in [`Cx::secret`].
pub const SECRET: &str = "root_password_wo";
/// Name of the value: the new password.
const PASSWORD: Name = Name(SECRET);
/// Name of the value: the password that was made on the host.
const MADE: Name = Name("root's password, made on the host");
/// Name of the value: the password in force and the new one, encoded, a line each.
const LINE: Name = Name("root_password_wo, encoded");
/// Name of the value: all of root's kept passwords, encoded, a line each.
const LINES: Name = Name("root's kept passwords, encoded");

async fn kept(cx: &Cx, node: &Node) -> Result<Vec<Secret>, Problem> {
    let output = cx.read(&node.host, &about!(node, "kept_root_passwords.sh")).await?;
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

/// Which of root's kept passwords is in force. `None` when none is, or when our account cannot ask:
/// it is not made yet, or the server does not answer.
async fn in_force(cx: &Cx, node: &Node) -> Result<Option<Secret>, Problem> {
    let known = kept(cx, node).await?;
    let Ok(mut session) = server::session(cx, node).await else { return Ok(None) };
    let digests = server::root_digests(&mut session).await.unwrap_or_default();
    session.close().await;
    Ok(known.into_iter().find(|p| digests.contains(&native_digest(p))))
}

/// What became of root's password on a server of this build that keeps these digests. The kept
/// passwords are read after the digests: a rotation keeps the new password before it sets it, so
/// one that another run makes meanwhile is not taken for a change by somebody else.
pub async fn root_now(cx: &Cx, node: &Node, build: &str, digests: &BTreeSet<String>) -> Root {
    if digests.is_empty() {
        return Root::Unknown;
    }
    let ours = Dialect::of_version(build).is_some_and(|d| d.sets_root_password);
    judge(digests, &kept(cx, node).await.unwrap_or_default(), ours)
}

fn judge(digests: &BTreeSet<String>, kept: &[Secret], ours: bool) -> Root {
    // What is proved in another way has no digest that we know.
    let known =
        |digest: &String| digest.is_empty() || digest.len() == 41 && digest.starts_with('*');
    if kept.is_empty() || !digests.iter().all(known) {
        Root::Unknown
    } else if kept.iter().any(|p| digests.contains(&native_digest(p))) {
        Root::Kept
    } else if digests.contains("") {
        Root::Open
    } else {
        Root::Changed { ours }
    }
}

/// Finds a login of root that works: tries the wanted password, then the kept ones, then none.
///
/// # Errors
/// None of them works, or the server does not answer.
pub async fn working_root(cx: &Cx, node: &Node) -> Result<Login, Problem> {
    let mut candidates: Vec<Secret> = cx.secret(SECRET).cloned().into_iter().collect();
    for kept in kept(cx, node).await? {
        if !candidates.contains(&kept) {
            candidates.push(kept);
        }
    }
    let logins = candidates.iter().map(|password| Login::new("root", password));
    for login in logins.chain([Login::fresh_root()]) {
        match server::open(cx, node, &login).await? {
            Ok(session) => {
                session.close().await;
                return Ok(login);
            }
            Err(error) if error.code() == Some(ACCESS_DENIED) => {}
            Err(error) => {
                return Err(error
                    .explain(&format!("log in as root to seekdb {}", node.show()), &node.place()));
            }
        }
    }
    Err(Problem::new(Kind::User, format!("cannot log in as root to seekdb {}", node.show()))
        .place(node.place())
        .why("neither the configured password nor a kept one works: it was changed on the server")
        .fix(
            "set root_password_wo to the password that is in force and raise \
             root_password_wo_version",
        ))
}

/// Where root's password comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootPassword {
    /// From the configuration.
    Given,
    /// It is made on the host, at random, and stays there.
    Made,
}

impl RootPassword {
    /// Name of the value that a statement sets.
    fn name(self) -> Name {
        match self {
            Self::Given => PASSWORD,
            Self::Made => MADE,
        }
    }
    /// The password that is to be in force; `None` while it is not made yet.
    async fn wanted(self, cx: &Cx, node: &Node) -> Result<Option<Secret>, Problem> {
        match self {
            Self::Given => wanted(cx).cloned().map(Some),
            Self::Made => Ok(kept(cx, node).await?.into_iter().next()),
        }
    }
}

/// Keeps the new password on the host, before it is set.
#[derive(Clone, Debug)]
pub struct KeepRootPassword {
    /// The instance.
    pub node: Node,
    /// Where the password comes from.
    pub from: RootPassword,
}

#[async_trait]
impl Step for KeepRootPassword {
    fn id(&self) -> StepId {
        id("keep_root_password", &self.node)
    }
    fn title(&self) -> String {
        format!("keep root's password of {} for its next rotation", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(match self.from {
            RootPassword::Given => {
                about!(self.node, "keep_root_password.sh").arg(Template::value(LINE))
            }
            RootPassword::Made => about!(self.node, "make_root_password.sh", MAKE_PASSWORD),
        })
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if self.from == RootPassword::Made && complete(cx, &self.node).await? {
            return Ok(Check::Done);
        }
        let last = kept(cx, &self.node).await?.into_iter().next();
        Ok(match (self.from, last) {
            (RootPassword::Made, Some(_)) => Check::Done,
            (RootPassword::Given, Some(last)) if last == *wanted(cx)? => Check::Done,
            (RootPassword::Made | RootPassword::Given, _) => {
                Check::Needed("it is not the last one kept".into())
            }
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        Ok(Some(match self.from {
            RootPassword::Given => {
                // The one in force is kept anew. However many passwords the server refuses, none of
                // them pushes it out.
                let now = in_force(cx, &self.node).await?;
                let lines: Vec<_> = now.iter().chain([wanted(cx)?]).map(encode).collect();
                Values::default().with(LINE, Secret::new(lines.join("\n")))
            }
            RootPassword::Made => Values::default(),
        }))
    }
}

/// Copies root's kept passwords to another member of a group: whoever has the role later needs them
/// to set another one. The password itself comes by replication.
#[derive(Clone, Debug)]
pub struct CopyRootPasswords {
    /// The member that has them.
    pub from: Node,
    /// The member that gets them.
    pub to: Node,
}

#[async_trait]
impl Step for CopyRootPasswords {
    fn id(&self) -> StepId {
        id("copy_root_passwords", &self.to)
    }
    fn title(&self) -> String {
        format!("keep root's passwords of {} with {}, too", self.from.show(), self.to.show())
    }
    fn host(&self) -> &Host {
        &self.to.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.to, "copy_root_passwords.sh").arg(Template::value(LINES)))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let known = kept(cx, &self.from).await?;
        Ok(if known.is_empty() || kept(cx, &self.to).await? == known {
            Check::Done
        } else {
            Check::Needed("it does not have them".into())
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let known = kept(cx, &self.from).await?;
        let lines: Vec<_> = known.iter().rev().map(encode).collect();
        Ok((!lines.is_empty())
            .then(|| Values::default().with(LINES, Secret::new(lines.join("\n")))))
    }
}

/// The server was made before, and its state is lost: a password that nobody gave is not set on it.
async fn complete(cx: &Cx, node: &Node) -> Result<bool, Problem> {
    let mark = super::facts_of(cx, node).await?.mark;
    Ok(mark.is_some_and(|m| m.stage == Stage::Complete))
}

fn wanted(cx: &Cx) -> Result<&Secret, Problem> {
    cx.secret(SECRET).ok_or_else(|| Problem::internal("root_password_wo is not at hand"))
}

/// Sets root's password.
#[derive(Clone, Debug)]
pub struct SetRootPassword {
    /// The instance.
    pub node: Node,
    /// Where the password comes from.
    pub from: RootPassword,
    /// The server is new: root has no password yet, and our account is not made.
    pub new: bool,
    /// The server's dialect.
    pub dialect: &'static Dialect,
}

#[async_trait]
impl Step for SetRootPassword {
    fn id(&self) -> StepId {
        id("set_root_password", &self.node)
    }
    fn title(&self) -> String {
        format!("set root's password of {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let statement =
            Template::from("ALTER USER 'root' IDENTIFIED BY ").and(self.from.name(), Form::Sql);
        let ours = self.dialect.sets_root_password && !self.new;
        let on = if ours { On::service(&self.node) } else { On::root(&self.node) };
        Effect::Sql(Sql::new(on, [statement]))
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let password = self.from.wanted(cx, &self.node).await?;
        Ok(password.map(|p| Values::default().with(self.from.name(), p)))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if self.from == RootPassword::Made && complete(cx, &self.node).await? {
            return Ok(Check::Done);
        }
        let Some(password) = self.from.wanted(cx, &self.node).await? else {
            return Ok(Check::Unknown("the password that was made is not there".into()));
        };
        let login = Login::new("root", &password);
        server::accepts(cx, &self.node, &login).await
    }
}

#[cfg(test)]
mod tests {
    use super::{Root, Secret, judge};
    use crate::base::shell::quote;
    use crate::component::sql::native_digest;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn the_last_passwords_are_kept_and_none_is_an_argument_of_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for program in ["tail", "cat", "grep", "sed", "awk", "printf"] {
            let shim = format!(
                "#!/bin/sh\necho \"{program} $*\" >> {}\nPATH=/usr/bin:/bin exec {program} \
                 \"$@\"\n",
                at("ran")
            );
            std::fs::write(at(program), shim).unwrap();
            std::fs::set_permissions(at(program), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let keep = |line: &str| {
            let put = "ob_put() { cat > \"$1.tmp\" && /bin/mv \"$1.tmp\" \"$1\"; }";
            let (own, line) = (quote(&dir.path().display().to_string()), quote(line));
            let program = include_str!("keep_root_password.sh");
            let script = format!("{put}; own={own}; set -- x {line}\n{program}");
            let mut shell = Command::new("/bin/sh");
            let status = shell.args(["-c", &script]).env("PATH", dir.path()).status().unwrap();
            assert!(status.success());
            std::fs::read_to_string(at("root")).unwrap()
        };
        assert_eq!(keep("QQ=="), "QQ==\n");
        assert_eq!(keep("Qg=="), "QQ==\nQg==\n");
        assert_eq!(keep("QQ=="), "Qg==\nQQ==\n");
        assert_eq!(keep("QQ=="), "Qg==\nQQ==\n");
        assert_eq!((keep("Qw=="), keep("RA==")).1, "Qg==\nQQ==\nQw==\nRA==\n");
        assert_eq!(keep("RQ=="), "QQ==\nQw==\nRA==\nRQ==\n");
        // The one in force comes with each new one.
        assert_eq!(keep("QQ==\nRg=="), "RA==\nRQ==\nQQ==\nRg==\n");
        assert_eq!((keep("QQ==\nRw=="), keep("QQ==\nSA==")).1, "Rg==\nRw==\nQQ==\nSA==\n");
        let ran = std::fs::read_to_string(at("ran")).unwrap();
        assert!(ran.contains("tail -n 4") && !ran.contains("=="), "{ran}");
    }

    #[test]
    fn a_change_by_somebody_else_is_told_and_nothing_is_guessed() {
        let digest = |text: &str| native_digest(&Secret::new(text));
        let (ours, changed) = (true, Root::Changed { ours: true });
        for (server, kept, want) in [
            (vec![digest("b")], &["a", "b"][..], Root::Kept),
            // Another host from which root may come has another password.
            (vec![digest("x"), digest("a")], &["a"], Root::Kept),
            (vec![digest("x")], &["a", "b"], changed),
            (vec![String::new()], &["a"], Root::Open),
            (vec![digest("x")], &[], Root::Unknown),
            (vec!["$A$005$abc".into()], &["a"], Root::Unknown),
            (vec!["*AB".into()], &["a"], Root::Unknown),
        ] {
            let kept: Vec<_> = kept.iter().copied().map(Secret::new).collect();
            let server = server.into_iter().collect();
            assert_eq!(judge(&server, &kept, ours), want, "{server:?}");
        }
    }
}
