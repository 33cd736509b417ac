//! The SQL account of ours: a random password in a file of the run user, then the account itself,
//! proven by login.
use super::super::{ACCOUNT, Instance, server};
use super::facts_of;
use crate::base::Problem;
use crate::component::sql::{ACCESS_DENIED, Login, literal};
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Makes the password on the host (0600), if there is none.
#[derive(Clone, Debug)]
pub struct WriteAccount {
    /// Which one.
    pub instance: Instance,
}

#[async_trait]
impl Step for WriteAccount {
    fn kind(&self) -> &'static str {
        "write_account"
    }
    fn title(&self) -> String {
        format!("make a password for {ACCOUNT} of {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("write 32 random characters to {}/.ob/account (0600)", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(if facts_of(cx, &self.instance).await?.account.is_some() {
            Check::Done
        } else {
            Check::Needed("there is none".into())
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let file = self.instance.own("account");
        let body = format!(
            "umask 077; [ -s {file} ] || tr -dc A-Za-z0-9 < /dev/urandom | head -c 32 | ob_put {file}"
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}

/// Creates the account in the server while root has no password yet, or with root's password.
#[derive(Clone, Debug)]
pub struct CreateAccount {
    /// Which one.
    pub instance: Instance,
}

#[async_trait]
impl Step for CreateAccount {
    fn kind(&self) -> &'static str {
        "create_account"
    }
    fn title(&self) -> String {
        format!("create account {ACCOUNT} in {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        statements("<account>")
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let login = server::account(cx, &self.instance).await?;
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
        let own = server::account(cx, &self.instance).await?;
        let password = own.password.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default();
        let root = super::root_password::working_root(cx, &self.instance).await?;
        server::dangerous(cx, self, &self.instance, &root, &statements(&literal(&password)))
            .await
            .map_err(|p| without(p, &password))
    }
}

fn statements(password: &str) -> Vec<String> {
    let user = literal(ACCOUNT);
    vec![
        format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {password}"),
        format!("ALTER USER {user} IDENTIFIED BY {password}"),
        format!("GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION"),
    ]
}

/// Takes a secret out of a problem's text, in case a server repeated it.
pub(super) fn without(mut problem: Problem, secret: &str) -> Problem {
    if secret.len() >= 3 {
        problem.why = problem.why.replace(secret, "***");
    }
    problem
}

/// Copies the account's password file to another member of a group (accounts replicate, files do
/// not).
#[derive(Clone, Debug)]
pub struct CopyAccount {
    /// Whose account it is.
    pub from: Instance,
    /// Who gets it.
    pub to: Instance,
}

impl CopyAccount {
    async fn password(&self, cx: &Cx, of: &Instance) -> Result<Option<Login>, Problem> {
        Ok(facts_of(cx, of).await?.login())
    }
}

#[async_trait]
impl Step for CopyAccount {
    fn kind(&self) -> &'static str {
        "copy_account"
    }
    fn title(&self) -> String {
        format!("copy the account of {} to {}", self.from.show(), self.to.show())
    }
    fn host(&self) -> &Host {
        &self.to.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "write {}/.ob/account (0600), as on {}",
            self.to.base_dir, self.from.host.endpoint.name
        )]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let from = server::account(cx, &self.from).await?;
        Ok(if self.password(cx, &self.to).await? == Some(from) {
            Check::Done
        } else {
            Check::Needed("it is another one".into())
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let from = server::account(cx, &self.from).await?;
        let password = from.password.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default();
        // The script goes over stdin and printf is built into sh: the password is in no argv.
        let body = format!(
            "umask 077; printf %s {} | ob_put {}",
            crate::base::shell::quote(&password),
            self.to.own("account")
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}
