//! The break-glass commands of `ob` on a real pair: terraform deploys the pair, its state goes
//! away, and `ob` alone moves the role.
use lab::story::{login, turn};
use lab::terraform::{Source, Terraform};
use lab::writer::{Config, Writer};
use lab::{Host, Lab, command, may_make_hosts, run, seekdb};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SERVES: Duration = Duration::from_secs(60);

/// The `ob` program beside the provider.
pub(crate) fn ob() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors()
        .find(|d| d.join("terraform-provider-ob").exists())
        .expect("cargo build --workspace builds ob")
        .join("ob")
}

/// Somebody who runs `ob` with the lab's key.
pub(crate) struct Operator {
    lab: PathBuf,
    known_hosts: PathBuf,
    user: String,
}

impl Operator {
    pub(crate) fn of(lab: &Lab) -> Self {
        Self::named(lab, &login::user())
    }
    /// Who logs in as `user`.
    pub(crate) fn named(lab: &Lab, user: &str) -> Self {
        let info = lab.info();
        let (lab, known_hosts) = (info.key.clone(), info.known_hosts.clone());
        Self { lab, known_hosts, user: user.to_owned() }
    }
    pub(crate) fn run(&self, args: &[&str]) -> lab::Output {
        self.run_knowing(&self.known_hosts, args)
    }
    /// As [`Self::run`], with another file of known hosts.
    pub(crate) fn run_knowing(&self, known: &Path, args: &[&str]) -> lab::Output {
        let (key, known) = (self.lab.display().to_string(), known.display().to_string());
        let program = ob().display().to_string();
        let mut words = vec![program.as_str()];
        words.extend(args);
        words.extend(["--identity", &key, "--known-hosts", &known, "--user", &self.user]);
        let mut command = command(words);
        command.env_remove("SSH_AUTH_SOCK");
        let out = run(&mut command, b"", Duration::from_secs(240)).unwrap();
        println!("$ ob {}\n{}{}", args.join(" "), out.stdout, out.stderr);
        out
    }
    pub(crate) fn json(&self, args: &[&str], status: i32) -> serde_json::Value {
        let mut args = args.to_vec();
        args.push("--json");
        let out = self.run(&args);
        assert_eq!(out.status, status, "{}{}", out.stdout, out.stderr);
        serde_json::from_str(&out.stdout).unwrap()
    }
}

fn hosts() -> Lab {
    let lab = Lab::up(2).unwrap();
    lab.hosts().iter().for_each(|h| login::admit(h).unwrap());
    lab
}

/// One `ob_cluster` per host and a group of both.
fn configuration(lab: &Lab, key: &Path, known_hosts: &Path) -> String {
    let wheel = seekdb::fetch(seekdb::DEFAULT).unwrap();
    let cluster = |name: &str, host: &Host, more: &str| {
        format!(
            "resource \"ob_cluster\" \"{name}\" {{\n name = \"{name}\"\n engine = \"seekdb\"\n \
             package = data.ob_package.seekdb.package\n \
             zones = {{ z1 = {{ servers = {{ s1 = {{ host = {{ name = {:?}, address = \"{}\", \
             port = {} }}, base_dir = \"/data/{name}\" }} }} }} }}\n \
             parameters = {{ datafile_size = \"256M\", log_disk_size = \"2G\", memory_limit = \
             \"2G\" }}\n{more}}}\n",
            host.name(),
            host.address(),
            host.port()
        )
    };
    format!(
        "terraform {{\n required_providers {{ ob = {{ source = \"oceanbase/ob\" }} }}\n}}\n\
         provider \"ob\" {{\n owner = \"break-glass\"\n \
         ssh = {{ identities = {{ lab = {{ user = {:?}, private_key_file = {:?} }} }}, \
         known_hosts_file = {:?} }}\n}}\ndata \"ob_package\" \"seekdb\" {{\n \
         files = [{{ path = {:?}, sha256 = {:?} }}]\n}}\n{}{}resource \"ob_standby\" \"g\" {{\n \
         name = \"g\"\n members = {{ a = {{ instance = ob_cluster.a.instance }}, b = {{ instance \
         = ob_cluster.b.instance }} }}\n primary = \"a\"\n}}\n",
        login::user(),
        key,
        known_hosts,
        wheel.path,
        wheel.sha256,
        cluster(
            "a",
            &lab.host(0),
            " root_password_wo = \"lab-root\"\n root_password_wo_version = 1\n"
        ),
        cluster("b", &lab.host(1), " initialize = false\n"),
    )
}

#[test]
fn the_role_moves_and_fails_over_without_terraform_and_its_state() {
    if !may_make_hosts("break-glass") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = hosts();
    let (a, b) = (lab.host(0), lab.host(1));
    let dir = tempfile::tempdir().unwrap();
    let tf = Terraform::new(dir.path(), Source::Override).unwrap();
    let operator = Operator::of(&lab);
    tf.write("main.tf", &configuration(&lab, &lab.info().key, &lab.info().known_hosts)).unwrap();
    tf.apply().unwrap();
    tf.settled().unwrap();

    // A switchover is planned, and made later by somebody else.
    let text = configuration(&lab, &lab.info().key, &lab.info().known_hosts);
    let (late, to_b) =
        (dir.path().join("late"), text.replace("primary = \"a\"", "primary = \"b\""));
    let late = late.to_str().unwrap();
    tf.write("main.tf", &to_b).unwrap();
    tf.run(&["plan", "-no-color", "-out", late]).unwrap().ok().unwrap();
    tf.write("main.tf", &text).unwrap();

    // A kit from the state and a kit from a member alone name the same group.
    let state = tf.work().join("terraform.tfstate");
    let kit = dir.path().join("kit.json");
    let (state_file, kit_file) =
        (state.to_str().unwrap().to_owned(), kit.to_str().unwrap().to_owned());
    let from_state = operator.json(&["kit", "--state", &state_file], 0);
    let aside = dir.path().join("state.aside");
    std::fs::rename(&state, &aside).unwrap();
    let host = format!("{}@{}:{}", login::user(), a.address(), a.port());
    assert_eq!(operator.run(&["kit", "--host", &host, "--out", &kit_file]).status, 0);
    let from_host: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&kit).unwrap()).unwrap();
    for part in ["group", "owner", "members", "packages"] {
        assert_eq!(from_state[part], from_host[part], "{part}");
    }
    let group = ["--group", kit_file.as_str()];

    // Through a bastion: the kit knows the way and the keys, so another machine needs no more.
    let far = dir.path().join("far.json").display().to_string();
    let behind = format!("{}@{}:{}", login::user(), b.address(), b.port());
    let made = operator.run(&["kit", "--host", &behind, "--bastion", &host, "--out", &far]);
    assert_eq!(made.status, 0);
    let nothing = dir.path().join("nothing");
    let status = operator.run_knowing(&nothing, &["status", "--group", &far]);
    assert_eq!(status.status, 0, "{status:?}");
    let direct = operator.run_knowing(&nothing, &["doctor", "--host", &behind, "--json"]);
    assert!(direct.status == 1 && direct.stdout.contains("SHA256:"), "{direct:?}");

    let status = operator.json(&["status", group[0], group[1]], 0);
    assert_eq!((&status["primary"], &status["healthy"]), (&"a".into(), &true.into()));

    // Without an answer nothing is done. A wrong epoch is refused, and so is a failover while the
    // primary answers.
    assert_eq!(operator.run(&["switchover", group[0], group[1], "--to", "b"]).status, 4);
    assert_eq!(
        operator
            .run(&["failover", group[0], group[1], "--to", "b", "--epoch", "1", "--yes"])
            .status,
        4
    );

    let login =
        lab::sql::Login { at: a.at(2881), user: "root".into(), password: Some("lab-root".into()) };
    let other = lab::sql::Login { at: b.at(2881), ..login.clone() };
    let mut config = Config::new([a.at(2881), b.at(2881)]);
    config.servers = vec![login.clone(), other.clone()];
    config.patience = Duration::from_millis(500);
    let writer = Writer::start(config).unwrap();
    writer.wait_for(100, SERVES).unwrap();
    let moved = operator.json(&["switchover", group[0], group[1], "--to", "b", "--yes"], 0);
    assert!(moved["done"].as_array().unwrap().len() > 5, "{moved}");
    writer.wait_for(50, SERVES).unwrap();
    let report = writer.stop().unwrap();
    assert!(
        report.lost.is_empty() && report.two_writable.is_empty() && report.acknowledged >= 150,
        "{report:?}"
    );
    let status = operator.json(&["status", group[0], group[1]], 0);
    assert_eq!((&status["primary"], &status["epoch"]), (&"b".into(), &2.into()));

    // Terraform gets its state back. A switchover that was planned before has been made already.
    std::fs::rename(&aside, &state).unwrap();
    let late = tf.run(&["apply", "-no-color", late]).unwrap();
    let said = lab::story::words(&late);
    assert!(late.status != 0 && said.contains("has changed since the plan"), "{said}");
    assert!(said.contains("the role is at"), "{said}");

    // It sees the new truth, and plans no step.
    tf.settled().unwrap();
    std::fs::rename(&state, &aside).unwrap();

    // The primary's host loses its power. It alone has one row, which is looked for later.
    lab::sql::query(other.clone(), "create table ob_lab.mine (n int primary key, t varchar(20))")
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    a.cut_from(&b).unwrap();
    lab::sql::query(other.clone(), "insert into ob_lab.mine values (7, 'only with b')").unwrap();
    b.kill().unwrap();
    lab.heal().unwrap();
    assert_eq!(
        operator.json(&["status", group[0], group[1]], 2)["primary"],
        serde_json::Value::Null
    );
    assert_eq!(operator.run(&["switchover", group[0], group[1], "--to", "a", "--yes"]).status, 4);
    assert_eq!(
        operator
            .run(&["failover", group[0], group[1], "--to", "a", "--epoch", "1", "--yes"])
            .status,
        4,
        "void at another epoch"
    );
    let out = operator.run(&["failover", group[0], group[1], "--to", "a", "--epoch", "2", "--yes"]);
    assert!(out.status == 0 && out.stderr.contains("may have lost rows"), "{out:?}");
    let asked = out.stderr.find("the log of \"a\" ends at 20").expect("the estimate comes first");
    assert!(out.stderr.find("may have lost rows").is_some_and(|at| asked < at), "{out:?}");
    let status = operator.json(&["status", group[0], group[1]], 2);
    assert_eq!((&status["primary"], &status["epoch"]), (&"a".into(), &3.into()));

    // The old host is back: its store is stale, and nothing of ours starts it.
    b.boot().unwrap();
    assert_eq!(operator.run(&["start", group[0], group[1], "b", "--yes"]).status, 4);
    assert_eq!(
        operator.run(&["start", group[0], group[1], "--yes"]).status,
        0,
        "the others are fine"
    );
    assert!(lab::sql::query(other.clone(), "select 1").is_err());
    let diff = operator.json(&["standby", "diff", group[0], group[1], "--member", "b", "--yes"], 2);
    let mine = diff
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["table"] == "mine")
        .expect("the row that only b has");
    assert_eq!(
        (&mine["only_there"], &mine["rows"][0][1]),
        (&1.into(), &"only with b".into()),
        "{diff}"
    );
    assert!(
        b.exec("ls /data/b/.ob").unwrap().ok().unwrap().lines().all(|l| !l.starts_with("diff-")),
        "the copy is gone"
    );
    assert!(b.exec("pgrep -x seekdb").unwrap().stdout.trim().is_empty(), "no server is left");

    let list = operator.json(&["operation", "list", group[0], group[1]], 0);
    let titles: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|o| (o["title"].as_str().unwrap(), o["state"].as_str().unwrap()))
        .collect();
    for wanted in [
        ("create standby.g", "done"),
        ("switch over standby.g", "done"),
        ("fail over standby.g", "done"),
    ] {
        assert!(titles.contains(&wanted), "{wanted:?} in {titles:?}");
    }
    let id = list.as_array().unwrap().iter().find(|o| o["title"] == "fail over standby.g").unwrap()
        ["operation"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = operator.run(&["operation", "show", &id, group[0], group[1]]);
    assert!(
        shown.status == 0 && shown.stdout.starts_with("fail over standby.g   done"),
        "{shown:?}"
    );
    assert_eq!(
        operator.run(&["operation", "abandon", &id, group[0], group[1], "--yes"]).status,
        4,
        "it ended well"
    );
    assert_eq!(operator.run(&["watch", &id, group[0], group[1]]).status, 0);
    assert_eq!(operator.run(&["doctor", group[0], group[1]]).status, 1, "a stale member is bad");

    // Terraform builds the member again and keeps its old store; the rows are found there as well.
    std::fs::rename(&aside, &state).unwrap();
    tf.apply().unwrap();
    tf.settled().unwrap();
    operator.json(&["status", group[0], group[1]], 0);
    let diff = operator.json(
        &["standby", "diff", group[0], group[1], "--member", "b", "--aside", "epoch-3", "--yes"],
        2,
    );
    assert!(
        diff.as_array().unwrap().iter().any(|t| t["table"] == "mine" && t["only_there"] == 1),
        "{diff}"
    );
    operator.json(&["status", group[0], group[1]], 0);

    // Once the rows are rescued the store can go, and nothing else can by that command.
    let stores = operator.json(&["aside", "list", group[0], group[1]], 0);
    assert_eq!(
        (&stores[0]["name"], &stores[0]["directory"]),
        (&"epoch-3".into(), &"/data/b".into())
    );
    let remove = |name: &str, more: &[&str]| {
        let args = ["aside", "remove", "/data/b", name, group[0], group[1], "--json"];
        operator.run(&[&args[..], more].concat())
    };
    for (name, more) in [("epoch-3", &[][..]), ("epoch-9", &["--yes"]), ("../store", &["--yes"])] {
        let out = remove(name, more);
        let last = out.stderr.lines().last().unwrap_or_default();
        let said: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!((out.status, &said["level"], &said["exit"]), (4, &"error".into(), &4.into()));
    }
    assert_eq!(remove("epoch-3", &["--yes"]).status, 0);
    assert_eq!(operator.json(&["aside", "list", group[0], group[1]], 0), serde_json::json!([]));
    operator.json(&["status", group[0], group[1]], 0);

    // A member that somebody lets start with its host is named; it would not ask the others.
    let boots = || operator.run(&["doctor", group[0], group[1]]).stdout.contains("boot b");
    assert!(!boots());
    let line = "@reboot /data/b/.ob/start >/dev/null 2>&1 # ob:b:/data/b";
    let user = login::user();
    b.exec(&format!("echo '{line}' | crontab -u {user} -")).unwrap().ok().unwrap();
    assert!(boots());
    b.exec(&format!("crontab -u {user} -r")).unwrap().ok().unwrap();
    assert!(!boots());
}

#[test]
fn an_unfinished_create_can_be_given_up_and_leaves_nothing() {
    if !may_make_hosts("ob operation abandon") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = hosts();
    let a = lab.host(0);
    let dir = tempfile::tempdir().unwrap();
    let tf = Terraform::new(dir.path(), Source::Override).unwrap();
    let operator = Operator::of(&lab);
    tf.write("main.tf", &configuration(&lab, &lab.info().key, &lab.info().known_hosts)).unwrap();
    let mut apply =
        tf.start(&["apply", "-auto-approve", "-no-color", "-target=ob_cluster.a"]).unwrap();
    apply.wait_file(&a.path("/data/a/store/redo"), Duration::from_secs(120)).unwrap();
    let at = format!("{}@{}:{}", login::user(), a.address(), a.port());
    let list = operator.json(&["operation", "list", "--open", "--host", &at], 0);
    let id = list[0]["operation"].as_str().unwrap().to_owned();
    assert_eq!(list[0]["title"], "create cluster.a");
    assert_eq!(
        operator.run(&["operation", "abandon", &id, "--host", &at, "--yes"]).status,
        3,
        "it runs"
    );
    let _ = apply.kill_provider();
    apply.kill_terraform();
    let _ = apply.wait(SERVES);
    // Its process ran on this machine and is gone: its lease need not run out.
    assert!(lab::process::until(Duration::from_secs(15), || operator
        .json(&["operation", "show", &id, "--host", &at], 0)["state"]
        == "cut_off"));
    assert_eq!(
        operator.run(&["doctor", "--host", &at]).status,
        2,
        "an unfinished create is something to do"
    );
    assert_eq!(
        operator.run(&["operation", "abandon", &id, "--host", &at, "--yes"]).status,
        4,
        "there is a store, and it cannot be told what is in it"
    );
    assert!(a.exec("ls -d /data/a/store").unwrap().status == 0, "nothing was touched");
    assert_eq!(
        operator
            .run(&["operation", "abandon", &id, "--host", &at, "--yes", "--allow-data-loss", "a"])
            .status,
        0
    );
    assert!(
        a.exec("ls -d /data/a").unwrap().status != 0
            && a.exec("pgrep -x seekdb").unwrap().stdout.trim().is_empty()
    );
    assert_eq!(operator.json(&["operation", "show", &id, "--host", &at], 0)["state"], "abandoned");
    assert_eq!(
        operator.run(&["operation", "abandon", &id, "--host", &at, "--yes"]).status,
        4,
        "once"
    );
}
