//! What holds data goes only when its configuration lets it go, whatever makes Terraform destroy
//! it: core plans no destroy of what it replaces, so no plan can refuse one.
use crate::break_glass::Operator;
use lab::story::{Config, Story, login, words};
use lab::{may_make_hosts, seekdb, sql};
use std::time::Duration;

/// A row that must outlive whatever a test tries.
fn one_row(s: &Story) {
    for statement in [
        "create database shop",
        "create table shop.rows (n int)",
        "insert into shop.rows values (1)",
    ] {
        sql::query(s.root(0), statement).unwrap();
    }
}

/// Runs a command that would destroy something protected, and demands that it is refused by name
/// and that nothing has changed.
fn refused(s: &Story, how: &str, args: &[&str], object: &str) {
    let text = s.fails(args).unwrap();
    for word in [object, "is protected from destroy", "deletion_protection", "nothing was changed"]
    {
        assert!(text.contains(word), "{how}: the error does not say {word:?}: {text}");
    }
    let rows = sql::query(s.root(0), "select n from shop.rows").unwrap();
    assert_eq!(rows, [["1"]], "{how}");
    assert!(s.writable(0).unwrap() && !s.writable(1).unwrap(), "{how}");
    s.say(&format!("{how}: refused, {object}, and the row is there"));
}

#[test]
fn no_replace_destroys_what_is_protected() {
    if !may_make_hosts("replaces of what is protected") {
        return;
    }
    let s = Story::new(2).unwrap();
    let mut config = Config::pair();
    let trigger =
        |input: &str| format!("resource \"terraform_data\" \"x\" {{\n  input = \"{input}\"\n}}\n");
    config.more = trigger("1");
    if let Some(a) = config.clusters.get_mut("a") {
        a.more = "lifecycle {\n    replace_triggered_by = [terraform_data.x]\n  }\n".into();
    }
    s.apply(&config).unwrap();
    one_row(&s);

    let apply = ["apply", "-auto-approve", "-no-color"];
    let replace = |address: &str| -> Vec<String> {
        apply.iter().map(|a| (*a).to_owned()).chain([format!("-replace={address}")]).collect()
    };
    for (address, object) in [
        ("ob_cluster.a", "Cluster \"a\""),
        ("ob_standby.g", "Group \"g\""),
        ("ob_cluster.b", "Cluster \"b\""),
    ] {
        let args = replace(address);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(&s, &format!("-replace={address}"), &args, object);
        s.settled().unwrap();
    }

    s.tf.run(&["taint", "ob_standby.g"]).unwrap().ok().unwrap();
    refused(&s, "taint", &apply, "Group \"g\"");
    s.tf.run(&["untaint", "ob_standby.g"]).unwrap().ok().unwrap();
    s.settled().unwrap();

    config.more = trigger("2");
    s.write(&config).unwrap();
    refused(&s, "replace_triggered_by", &apply, "Cluster \"a\"");
    config.more = trigger("1");
    s.write(&config).unwrap();
    s.settled().unwrap();
}

/// Ends the server of a host and moves its directory away, as a disk that is not mounted.
fn unmounted(s: &Story, host: usize, name: &str) {
    let line = format!(
        "kill -9 $(cat /data/{name}/run/seekdb.pid); while [ -d /proc/$(cat \
         /data/{name}/run/seekdb.pid) ]; do sleep 0.1; done; mkdir -p /away && mv /data/{name} \
         /away/{name}"
    );
    s.host(host).exec(&line).unwrap().ok().unwrap();
}

/// A cleaner of old files took it: the server runs, and nothing is removed under it.
#[test]
fn a_server_without_its_pid_file_is_no_stopped_one() {
    if !may_make_hosts("a lost pid file") {
        return;
    }
    let s = Story::new(1).unwrap();
    let mut config = Config { protect: false, ..Config::single() };
    config.clusters.get_mut("a").unwrap().allow = vec!["a".into()];
    s.apply(&config).unwrap();
    one_row(&s);
    s.host(0).exec("rm /data/a/run/seekdb.pid").unwrap().ok().unwrap();
    s.settled().unwrap();
    s.tf.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    let left = s.host(0).exec("pgrep -x seekdb; ls -d /data/a").unwrap();
    assert_eq!(left.stdout, "", "its process ended before its store went");
}

#[test]
fn a_directory_that_is_missing_is_no_empty_database() {
    if !may_make_hosts("a missing directory") {
        return;
    }
    let s = Story::new(1).unwrap();
    let config = Config { protect: false, ..Config::single() };
    s.apply(&config).unwrap();
    one_row(&s);
    unmounted(&s, 0, "a");
    let says = |text: &str, how: &str| {
        for word in ["is missing", "may not be mounted", "ob gone /data/a --host"] {
            assert!(text.contains(word), "{how}: it does not say {word:?}: {text}");
        }
    };
    let apply = ["apply", "-auto-approve", "-no-color"];
    says(&s.fails(&["plan", "-no-color"]).unwrap(), "plan");
    says(&s.fails(&apply).unwrap(), "apply");
    says(&s.fails(&["destroy", "-auto-approve", "-no-color"]).unwrap(), "destroy");
    says(
        &s.fails(&["apply", "-auto-approve", "-no-color", "-replace=ob_cluster.a"]).unwrap(),
        "replace",
    );
    // The mount point itself may be there, empty but for what mkfs made.
    s.host(0).exec("mkdir -p /data/a/lost+found").unwrap().ok().unwrap();
    says(&s.fails(&apply).unwrap(), "an empty mount point");
    s.host(0).exec("rmdir /data/a/lost+found /data/a").unwrap().ok().unwrap();
    // Without its state, a create finds the same.
    let state = s.tf.work().join("terraform.tfstate");
    let kept = std::fs::read(&state).unwrap();
    std::fs::remove_file(&state).unwrap();
    says(&s.fails(&apply).unwrap(), "a create without its state");
    assert!(s.addresses().unwrap().is_empty() && s.tainted().unwrap().is_empty());
    std::fs::write(&state, kept).unwrap();

    // It is back: the same command goes on, and the row is there.
    s.host(0).exec("mv /away/a /data/a").unwrap().ok().unwrap();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(sql::query(s.root(0), "select n from shop.rows").unwrap(), [["1"]]);
    s.say("missing: plan, apply, destroy, replace and create were refused; back: the row is there");

    // Gone for good: only a person says so, and not while it is there.
    let (operator, at) =
        (Operator::of(&s.lab), format!("{}:{}", s.host(0).address(), s.host(0).port()));
    let gone = ["gone", "/data/a", "--host", &at, "--yes"];
    let out = operator.run(&gone);
    assert!(out.status != 0 && words(&out).contains("there is something in it"), "{out:?}");
    unmounted(&s, 0, "a");
    operator.run(&gone).ok().unwrap();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert!(sql::query(s.root(0), "select n from shop.rows").is_err(), "a new database");

    // A host that was installed anew knows nothing, not even that something is missing.
    unmounted(&s, 0, "a");
    s.host(0).exec(&format!("mv {} /away/ob", login::own(""))).unwrap().ok().unwrap();
    for args in [&["plan", "-no-color"][..], &apply, &["destroy", "-auto-approve", "-no-color"]] {
        let text = s.fails(args).unwrap();
        for word in ["knows nothing of it", "installed anew", "ob gone /data/a --host"] {
            assert!(text.contains(word), "{args:?}: it does not say {word:?}: {text}");
        }
    }
    // The host's own notes do not know it: the state has to.
    let known = ["gone", "/data/a", "--host", &at, "--yes", "--state", state.to_str().unwrap()];
    let elsewhere = [&["gone", "/data/nothing"], &known[2..]].concat();
    let objects = login::own("objects");
    let left = || s.host(0).exec(&format!("ls {objects} 2>&1; :")).unwrap().ok().unwrap();
    let before = left();
    for args in [&gone[..], &elsewhere] {
        let out = operator.run(args);
        assert!(out.status == 4 && words(&out).contains("knows of no database there"), "{out:?}");
    }
    assert_eq!(left(), before, "a refusal leaves no gate");
    operator.run(&known).ok().unwrap();
    s.apply(&config).unwrap();
    s.settled().unwrap();

    // Who drops our account locks us out; root, whose password is kept, makes it again.
    let account = "drop user 'ob_service'@'127.0.0.1'";
    sql::query(s.root(0), account).unwrap();
    let plan = s.tf.plan().unwrap().expect("the account is planned");
    let plan = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plan.contains("make the account of seekdb \\\"a\\\" again"), "{plan}");
    assert!(plan.contains("refuses the provider's account"), "{plan}");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.say("a host without notes was refused until a person said so; our account was made again");

    // What is not ours is left, named, and in nobody's way.
    s.host(0)
        .exec("echo core > /data/a/core.4711; mkdir /data/a/lost+found")
        .unwrap()
        .ok()
        .unwrap();
    let out = s.tf.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    let text = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("holds what is not ours") && text.contains("core.4711"), "{text}");
    assert_eq!(s.host(0).exec("ls -A /data/a").unwrap().stdout, "core.4711\nlost+found\n");
    let refused = s.fails(&apply).unwrap();
    assert!(refused.contains("not empty") && refused.contains("core.4711"), "{refused}");
    s.host(0).exec("rm /data/a/core.4711").unwrap().ok().unwrap();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.tf.destroy().unwrap();
    s.say("a stray file was left and named; lost+found blocks nothing");
}

#[test]
fn a_member_whose_directory_is_missing_is_not_built_anew() {
    if !may_make_hosts("a missing member") {
        return;
    }
    let s = Story::new(2).unwrap();
    let mut config = Config::pair();
    // The members follow each other on a network of their own.
    for (name, index) in [("a", 0), ("b", 1)] {
        let (host, service) = (s.host(index), format!("10.77.0.{}", index + 1));
        host.exec(&format!("ip addr add {service}/24 dev eth0")).unwrap().ok().unwrap();
        config.clusters.get_mut(name).unwrap().server = Some(format!(
            "host = {{ name = \"h{}\", address = \"{}\", port = {}, service_address = \"{service}\" }}",
            index + 1,
            host.address(),
            host.port()
        ));
    }
    s.apply(&config).unwrap();
    let source = "show parameters like 'log_restore_source'";
    let source = format!("{:?}", sql::query(s.root(1), source).unwrap());
    assert!(source.contains("10.77.0.1:2882"), "{source}");
    unmounted(&s, 1, "b");
    let text = s.fails(&["apply", "-auto-approve", "-no-color"]).unwrap();
    assert!(text.contains("directory of \"b\"") && text.contains("is missing"), "{text}");
    assert!(s.host(1).exec("ls /data/b").unwrap().status != 0, "nothing was made");
    s.host(1).exec("mv /away/b /data/b").unwrap().ok().unwrap();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.say("a member under a missing mount was not built anew, and follows again");
}

#[test]
fn an_import_takes_the_server_of_its_directory_and_no_other() {
    if !may_make_hosts("an import beside another server") {
        return;
    }
    let s = Story::new(1).unwrap();
    let (host, limit) = (s.host(0), Duration::from_secs(60));
    let program = seekdb::share(&s.lab, seekdb::DEFAULT).unwrap();
    // A stranger has the usual port; ours was started with its port in another spelling.
    seekdb::start(&host, &program, "/srv/stranger", 2881, limit).unwrap();
    let line = seekdb::start_line(&program, "/data/a", 3881).replace("--port 3881", "--port=3881");
    host.exec(&format!("su {} -s /bin/sh -c '{line}'", login::user())).unwrap().ok().unwrap();
    sql::wait(host.at(3881), limit).unwrap();

    let mut config = Config::single();
    config.clusters.get_mut("a").unwrap().server = Some(format!(
        "host = {{ name = \"h1\", address = \"{}\", port = {} }}, sql_port = 3881, rpc_port = 3882",
        host.address(),
        host.port()
    ));
    s.write(&config).unwrap();
    let id =
        format!("ssh://{}@{}:{}/data/a?identity=lab", config.user, host.address(), host.port());
    s.tf.run(&["import", "-no-color", "ob_cluster.a", &id]).unwrap().ok().unwrap();
    s.tf.apply().unwrap();
    s.settled().unwrap();
    assert!(sql::query(host.at(3881), "select 1").is_err(), "root of ours has its password");
    let users = "select user from mysql.user order by user";
    let stranger = sql::query(host.at(2881), users).unwrap();
    assert_eq!(stranger, [["root"]], "the stranger has no account of ours, and root's password");
    s.say("the server of the directory was adopted; the one on the usual port was left alone");
}

#[test]
fn a_database_of_its_own_joins_no_group() {
    if !may_make_hosts("a member with a database of its own") {
        return;
    }
    let s = Story::new(2).unwrap();
    let mut config = Config::pair();
    config.protect = false;
    config.clusters.get_mut("b").unwrap().initialize = true;
    let group = config.group.take();
    s.apply(&config).unwrap();
    sql::query(s.root(1), "create database its_own").unwrap();
    let files = "cd /data/b/.ob && cksum account root";
    let before = s.host(1).exec(files).unwrap().stdout;
    config.group = group;
    let why = s.refused(&config).unwrap();
    for word in ["\"b\"", "cannot join group \"g\"", "a database of its own", "initialize = false"]
    {
        assert!(why.contains(word), "it does not say {word:?}: {why}");
    }
    assert_eq!(s.host(1).exec(files).unwrap().stdout, before, "its passwords are its own");
    assert!(!std::path::Path::new(&s.host(1).path("/data/b/.ob/group")).exists());
    sql::query(s.root(1), "create table its_own.t (n int)").unwrap();
    config.group = None;
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.say(
        "a member with a database of its own was refused; its accounts and rows are as they were",
    );
}
