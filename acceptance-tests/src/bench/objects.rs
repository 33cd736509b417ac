//! (e) 200 databases, 200 users and 400 grants: as single resources and as one `ob_access`, beside
//! Terraform's own time and the bare SQL. All run on one server, which is empty again after each
//! way.
use super::{LIMIT, Row, Table, seconds};
use crate::sql::{self, Login};
use crate::terraform::{Source, Terraform};
use crate::{Lab, seekdb};
use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use std::net::SocketAddr;
use std::time::Duration;

const EACH: usize = 200;

/// A server on one lab host.
///
/// # Errors
/// The server does not come up.
pub fn server() -> Result<(Lab, SocketAddr)> {
    let lab = Lab::up(1)?;
    let host = lab.host(0);
    let program = seekdb::share(&lab, seekdb::DEFAULT)?;
    seekdb::start(&host, &program, "/data/db", 2881, Duration::from_secs(120))?;
    let at = host.at(2881);
    Ok((lab, at))
}

/// The provider block, and the server's endpoint as `local.at`.
#[must_use]
pub fn head(at: SocketAddr) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    ob = {{ source = \"oceanbase/ob\" }}\n  }}\n\
         }}\nprovider \"ob\" {{\n  sql = {{ credentials = {{ db = {{ user = \"root\", password = \
         \"\" }} }} }}\n}}\nlocals {{\n  at = {{ address = \"{}\", port = {}, credential = \"db\" \
         }}\n  n  = {{ for i in range({EACH}) : format(\"%03d\", i) => i }}\n}}\n",
        at.ip(),
        at.port()
    )
}

const SINGLE: &str = r#"
resource "ob_database" "d" {
  for_each            = local.n
  name                = "db_${each.key}"
  endpoint            = local.at
  deletion_protection = false
  allow_data_loss     = ["db_${each.key}"]
}
resource "ob_user" "u" {
  for_each            = local.n
  name                = "u_${each.key}"
  password_wo         = "pw"
  password_wo_version = 1
  endpoint            = local.at
}
resource "ob_grant" "g" {
  for_each   = local.n
  user       = ob_user.u[each.key].name
  database   = ob_database.d[each.key].name
  privileges = ["SELECT", "INSERT"]
  endpoint   = local.at
}
resource "ob_grant" "h" {
  for_each   = local.n
  user       = ob_user.u[each.key].name
  database   = ob_database.d[format("%03d", (each.value + 1) % 200)].name
  privileges = ["SELECT"]
  endpoint   = local.at
}
"#;

const SET: &str = r#"
resource "ob_access" "all" {
  endpoint            = local.at
  deletion_protection = false
  allow_data_loss     = [for k, i in local.n : "db_${k}"]
  databases           = { for k, i in local.n : "db_${k}" => {} }
  users               = { for k, i in local.n : "u_${k}" => { password_wo = "pw", password_wo_version = 1 } }
  grants = merge(
    { for k, i in local.n : "g${k}" => { user = "u_${k}", database = "db_${k}", privileges = ["SELECT", "INSERT"] } },
    { for k, i in local.n : "h${k}" => { user = "u_${k}", database = format("db_%03d", (i + 1) % 200), privileges = ["SELECT"] } },
  )
}
"#;

const FLOOR: &str = r#"
resource "terraform_data" "d" {
  for_each = local.n
  input    = { name = "db_${each.key}", protection = false, allow = ["db_${each.key}"], at = local.at }
}
resource "terraform_data" "u" {
  for_each = local.n
  input    = { name = "u_${each.key}", version = 1, at = local.at }
}
resource "terraform_data" "g" {
  for_each = local.n
  input    = { user = terraform_data.u[each.key].output.name, database = terraform_data.d[each.key].output.name, privileges = ["SELECT", "INSERT"], at = local.at }
}
resource "terraform_data" "h" {
  for_each = local.n
  input    = { user = terraform_data.u[each.key].output.name, database = terraform_data.d[format("%03d", (each.value + 1) % 200)].output.name, privileges = ["SELECT"], at = local.at }
}
"#;

/// Creates everything, plans with nothing to do, and destroys.
fn life(config: &str) -> Result<[f64; 3]> {
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    let tf = Terraform::new(dir.path(), Source::Override)?.limit(LIMIT);
    tf.write("main.tf", config)?;
    Ok([
        seconds(|| tf.apply().map(drop))?,
        seconds(|| tf.settled())?,
        seconds(|| tf.destroy().map(drop))?,
    ])
}

/// The same SQL on one connection; three set queries are the read.
fn bare(at: SocketAddr) -> Result<[f64; 3]> {
    let run = |statements: Vec<String>| {
        seconds(|| {
            sql::block(async {
                let mut conn = Login::from(at).connect(Duration::from_secs(10)).await?;
                for s in &statements {
                    conn.query_drop(s).await.with_context(|| s.clone())?;
                }
                Ok(())
            })
        })
    };
    let n = 0..EACH;
    let mut create: Vec<String> =
        n.clone().map(|i| format!("create database `db_{i:03}`")).collect();
    create.extend(n.clone().map(|i| format!("create user 'u_{i:03}'@'%' identified by 'pw'")));
    create.extend(
        n.clone().map(|i| format!("grant select, insert on `db_{i:03}`.* to 'u_{i:03}'@'%'")),
    );
    create.extend(
        n.clone()
            .map(|i| format!("grant select on `db_{:03}`.* to 'u_{i:03}'@'%'", (i + 1) % EACH)),
    );
    let read = [
        "select * from information_schema.schemata",
        "select * from mysql.user",
        "select * from mysql.db",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut remove: Vec<String> = n.clone().map(|i| format!("drop user 'u_{i:03}'@'%'")).collect();
    remove.extend(n.map(|i| format!("drop database `db_{i:03}`")));
    Ok([run(create)?, run(read)?, run(remove)?])
}

/// (e): three tables.
///
/// # Errors
/// The server does not come up.
pub fn all(rounds: usize) -> Result<Vec<Table>> {
    let (_lab, at) = server()?;
    let with = |text: &str| head(at) + text;
    let ways: [(&str, Box<dyn Fn() -> Result<[f64; 3]>>); 4] = [
        ("terraform alone, 800 terraform_data", Box::new(|| life(&with(FLOOR)))),
        ("single resources", Box::new(|| life(&with(SINGLE)))),
        ("bare SQL, one connection", Box::new(|| bare(at))),
        ("one ob_access", Box::new(|| life(&with(SET)))),
    ];
    let mut rows: Vec<[Row; 3]> =
        ways.iter().map(|w| [0; 3].map(|_| Row::of(w.0, Vec::new()))).collect();
    for round in 0..rounds {
        for turn in 0..ways.len() {
            let n = (round + turn) % ways.len();
            match ways[n].1() {
                Ok(took) => {
                    eprintln!("  round {} of {rounds}: {} {took:.2?}", round + 1, ways[n].0);
                    rows[n].iter_mut().zip(took).for_each(|(row, value)| row.values.push(value));
                }
                Err(e) => {
                    eprintln!("  round {} of {rounds}: {} FAILED: {e:#}", round + 1, ways[n].0);
                    rows[n].iter_mut().for_each(|row| row.failed = Some(format!("{e}")));
                }
            }
        }
    }
    let table = |column: usize, what: &str| {
        Table::new(
            format!("(e) 200 databases, 200 users, 400 grants: {what}"),
            rows.iter().map(|r| r[column].clone()).collect(),
        )
    };
    Ok(vec![table(0, "create"), table(1, "plan with nothing to do"), table(2, "destroy")])
}
