//! Our SQL account: first a random password in a file of the run user, then the account itself,
//! which a login proves.
use super::super::server::{self, On};
use super::super::{ACCOUNT, ACCOUNT_FROM, about};
use super::{facts_of, id};
use crate::base::sql::literal;
use crate::base::{Problem, Secret};
use crate::component::sql::Login;
use crate::engine::{
    Check, Cx, Effect, Form, Host, Name, Node, Sql, Step, StepId, Template, Values,
};
use async_trait::async_trait;

/// The shell function that makes each password that nobody gives.
pub(super) const MAKE_PASSWORD: &str = include_str!("make_password.sh");
/// Name of the value: what the file of our account holds.
pub(super) const PASSWORD: Name = Name("account");

/// Makes the password file on the host (mode 0600), if there is none.
#[derive(Clone, Debug)]
pub struct WriteAccount {
    /// The instance.
    pub node: Node,
}

#[async_trait]
impl Step for WriteAccount {
    fn id(&self) -> StepId {
        id("write_account", &self.node)
    }
    fn title(&self) -> String {
        format!("make a password for {ACCOUNT} of {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.node, "write_account.sh", MAKE_PASSWORD))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(if facts_of(cx, &self.node).await?.account.is_some() {
            Check::Done
        } else {
            Check::Needed("there is none".into())
        })
    }
}

/// Creates the account in the server, logged in as root with whichever of root's passwords works.
#[derive(Clone, Debug)]
pub struct CreateAccount {
    /// The instance.
    pub node: Node,
    /// The server is new, and root's password was set just before: who got in without one is still
    /// in, so root's other sessions are ended. Those of a server that is adopted go on.
    pub new: bool,
}

#[async_trait]
impl Step for CreateAccount {
    fn id(&self) -> StepId {
        id("create_account", &self.node)
    }
    fn title(&self) -> String {
        format!("create account {ACCOUNT} in {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let sql = Sql::new(On::root(&self.node), statements(self.new));
        Effect::Sql(Sql { end_others: self.new, ..sql })
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let login = server::account(cx, &self.node).await?;
        server::accepts(cx, &self.node, &login).await
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let own = server::account(cx, &self.node).await?;
        Ok(own.password.map(|p| Values::default().with(PASSWORD, p)))
    }
}

/// What an account's file holds: the password, and on a line of its own the one that is to follow.
fn file(login: &Login) -> Option<Secret> {
    let password = login.password.as_ref()?;
    Some(match &login.next {
        Some(next) => Secret::new(format!("{}\n{}", password.expose(), next.expose())),
        None => password.clone(),
    })
}

/// The value of a step that copies the file of a member's account.
pub(super) async fn copied(cx: &Cx, from: &Node) -> Result<Option<Values>, Problem> {
    let from = server::account(cx, from).await?;
    Ok(file(&from).map(|p| Values::default().with(PASSWORD, p)))
}

/// The account as statements name it.
pub(super) fn name() -> String {
    format!("{}@{}", literal(ACCOUNT), literal(ACCOUNT_FROM))
}

/// What makes the account. In a new server one of that name was made by somebody else: it goes, and
/// with it whoever is in by it.
fn statements(new: bool) -> Vec<Template> {
    let user = name();
    let drop = new.then(|| Template::from(format!("DROP USER IF EXISTS {user}")));
    drop.into_iter()
        .chain([
            Template::from(format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY "))
                .and(PASSWORD, Form::Sql),
            Template::from(format!("ALTER USER {user} IDENTIFIED BY ")).and(PASSWORD, Form::Sql),
            Template::from(format!("GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION")),
        ])
        .collect()
}

/// Copies the account's password file to another member of a group: accounts replicate, files do
/// not.
#[derive(Clone, Debug)]
pub struct CopyAccount {
    /// The member whose account it is.
    pub from: Node,
    /// The member that gets the file.
    pub to: Node,
}

#[async_trait]
impl Step for CopyAccount {
    fn id(&self) -> StepId {
        id("copy_account", &self.to)
    }
    fn title(&self) -> String {
        format!("copy the account of {} to {}", self.from.show(), self.to.show())
    }
    fn host(&self) -> &Host {
        &self.to.host
    }
    fn effect(&self) -> Effect {
        let password = Template::value(PASSWORD);
        Effect::Shell(about!(self.to, "copy_account.sh").arg(password))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let from = server::account(cx, &self.from).await?;
        Ok(if facts_of(cx, &self.to).await?.login(ACCOUNT) == Some(from) {
            Check::Done
        } else {
            Check::Needed("it is another one".into())
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        copied(cx, &self.from).await
    }
}

#[cfg(test)]
mod tests {
    use super::MAKE_PASSWORD;
    use crate::base::secret::kinds;
    use crate::base::shell::quote;
    use std::collections::BTreeSet;
    use std::process::Command;

    /// Runs a program that makes a password in a directory of an instance; returns what it wrote.
    fn made(program: &str, args: &str, file: &str, before: Option<&str>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(file);
        if let Some(before) = before {
            std::fs::write(&at, before).unwrap();
        }
        let own = quote(&dir.path().display().to_string());
        let put = "ob_put() { cat > \"$1.tmp\" && mv \"$1.tmp\" \"$1\"; }";
        let script = format!("{put}; own={own}; set -- {args}\n{MAKE_PASSWORD}\n{program}");
        assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
        std::fs::read_to_string(at).unwrap()
    }

    #[test]
    fn each_password_that_is_made_satisfies_any_usual_policy_and_is_safe_everywhere() {
        use base64::Engine;
        let account = made(include_str!("write_account.sh"), "x", "account", None);
        let root = made(include_str!("make_root_password.sh"), "x", "root", None);
        assert_eq!(root.lines().count(), 1, "{root}");
        let root = base64::engine::general_purpose::STANDARD.decode(root.trim()).unwrap();
        let offered =
            made(include_str!("offer_password.sh"), "x leave old", "account", Some("older"));
        let (old, offered) = offered.split_once('\n').unwrap();
        assert_eq!(old, "old");
        let all = [account, String::from_utf8(root).unwrap(), offered.to_owned()];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 3, "{all:?}");
        for made in all {
            assert_eq!((kinds(&made), made.len()), ([10, 10, 8, 4], 32), "{made:?}");
            assert!(made.starts_with(|c: char| c.is_ascii_alphabetic()), "no option: {made:?}");
        }
    }

    #[test]
    fn a_password_that_was_made_before_stays() {
        let kept = made(include_str!("write_account.sh"), "x", "account", Some("Former1"));
        assert_eq!(kept, "Former1");
        let kept = made(include_str!("make_root_password.sh"), "x", "root", Some("QQ==\n"));
        assert_eq!(kept, "QQ==\n");
    }
}
