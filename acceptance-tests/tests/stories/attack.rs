//! A hostile host and hostile neighbours: what docs/security.md promises about them, on real
//! servers. Each test names the lines that it proves.
use super::break_glass::Operator;
use lab::story::blow::{Blow, Point, Strike, Struck, strike};
use lab::story::{Config, Story, login, words};
use lab::{may_make_hosts, sql};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const APPLY: [&str; 3] = ["apply", "-auto-approve", "-no-color"];

/// What a host says of the server in a directory: its pid, which changes with any restart.
fn pid(s: &Story, host: usize, name: &str) -> String {
    s.host(host).exec(&format!("cat /data/{name}/run/seekdb.pid")).unwrap().ok().unwrap()
}

/// Rewrites one of our files on a host with a sed expression.
fn forge(s: &Story, host: usize, file: &str, expression: &str) {
    let line = format!("cp -p {file} {file}.was && sed -i '{expression}' {file}");
    s.host(host).exec(&line).unwrap().ok().unwrap();
}

fn restore(s: &Story, host: usize, file: &str) {
    s.host(host).exec(&format!("mv {file}.was {file}")).unwrap().ok().unwrap();
}

fn says(text: &str, all: &[&str]) {
    for word in all {
        assert!(text.contains(word), "it does not say {word:?}: {text}");
    }
}

/// Both members take writes: `ob standby diff` shows what each has and the other has not, and `ob
/// status` no lag.
fn compared(s: &Story) {
    let operator = Operator::of(&s.lab);
    let (state, kit) = (s.tf.work().join("terraform.tfstate"), s.tf.work().join("kit.json"));
    let kit = kit.to_str().unwrap();
    operator.run(&["kit", "--state", state.to_str().unwrap(), "--out", kit]).ok().unwrap();
    for (member, table) in [("a", "rows"), ("b", "mine")] {
        let args = ["standby", "diff", "--group", kit, "--member", member];
        let diff = operator.json(&args, 2);
        assert_eq!((&diff[0]["table"], &diff[1]), (&table.into(), &serde_json::Value::Null));
        assert_eq!(diff[0]["only_there"], 1, "{diff}");
    }
    let status = operator.json(&["status", "--group", kit], 2);
    for member in status["members"].as_array().unwrap() {
        assert!(member["behind_ms"].is_null(), "{status}");
    }
}

/// "A mark of another owner or creation stops every effect", "a file of ours that cannot be read
/// stops every effect", "a note moves no role by itself", "a note alone stops nobody who takes
/// writes", "a member that leaves knows no password of those that stay".
#[test]
fn a_member_that_forges_its_files_gets_nothing() {
    if !may_make_hosts("a hostile member") {
        return;
    }
    let s = Story::new(2).unwrap();
    let mut config = Config { protect: false, ..Config::pair() };
    s.apply(&config).unwrap();
    sql::query(s.root(0), "create database shop").unwrap();
    sql::query(s.root(0), "create table shop.rows (n int)").unwrap();
    sql::query(s.root(0), "insert into shop.rows values (1)").unwrap();
    let (before, creation) = (pid(&s, 0, "a"), s.attribute("ob_cluster.a", "creation_id").unwrap());
    let rows = |s: &Story| sql::query(s.root(0), "select n from shop.rows").unwrap();

    // The mark of the primary's directory says that it is somebody else's.
    let mark = "/data/a/.ob/mark";
    let change = config.clone().parameter("a", "stack_size", "1M");
    forge(&s, 0, mark, "s/\"owner\":\"stories\"/\"owner\":\"others\"/");
    let text = s.refused(&change).unwrap();
    says(&text, &["it is not proved to be ours", "of owner \"others\""]);
    restore(&s, 0, mark);
    forge(&s, 0, mark, "s/\"creation\":\"[^\"]*\"/\"creation\":\"01KBD4F6H2Q0T8M5S3W7Z9XCVE\"/");
    says(&s.refused(&change).unwrap(), &["is not what was made there"]);
    let text = s.fails(&["destroy", "-auto-approve", "-no-color"]).unwrap();
    says(&text, &["is not what was made there"]);
    restore(&s, 0, mark);
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    assert_eq!(s.attribute("ob_cluster.a", "creation_id").unwrap(), creation, "never copied");

    // Files that no run of ours wrote.
    for (expression, word) in
        [("s/\"format\":1/\"format\":99/", "newer version"), ("s/.*/{half/", "cannot be read")]
    {
        forge(&s, 0, mark, expression);
        says(&s.refused(&change).unwrap(), &["cannot be read", word]);
        restore(&s, 0, mark);
    }
    let long =
        format!("cp -p {mark} {mark}.was && head -c 6000000 /dev/zero | tr '\\0' x > {mark}");
    s.host(0).exec(&long).unwrap().ok().unwrap();
    says(&s.refused(&change).unwrap(), &["cannot be read"]);
    restore(&s, 0, mark);
    let gate = &login::own("objects/at%2Fdata%2Fa/gate");
    for expression in ["s/^number=.*/number=9223372036854775806/", "s/^number=.*/number=abc/"] {
        forge(&s, 0, gate, expression);
        says(&s.refused(&change).unwrap(), &["gate of cluster.a cannot be read"]);
        restore(&s, 0, gate);
    }
    assert_eq!((pid(&s, 0, "a"), rows(&s)), (before.clone(), vec![vec!["1".to_owned()]]));
    s.write(&config).unwrap();
    s.settled().unwrap();
    s.say("forged marks and gates: refused by name, nothing done");

    // A note of another owner's group is no note of this one.
    let note = "/data/b/.ob/group";
    forge(
        &s,
        1,
        note,
        "s/\"authority\":\"stories\"/\"authority\":\"others\"/; s/\"epoch\":1/\"epoch\":7/",
    );
    let plan = words(&s.tf.run(&["plan", "-no-color"]).unwrap());
    says(&plan, &["its note is of group \"g\" of owner \"others\""]);
    assert!(!plan.contains("rebuild the standbys"), "{plan}");
    restore(&s, 1, note);
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();

    // The standby says that it is the primary since epoch 999, and opens itself.
    forge(&s, 1, note, "s/\"epoch\":1/\"epoch\":999/; s/\"primary\":\"a\"/\"primary\":\"b\"/");
    let text = s.fails(&APPLY).unwrap();
    says(&text, &["take writes without being its one primary", "rebuild = {", "epoch = 999"]);
    sql::query(s.root(1), "alter system activate standby").unwrap();
    let text = s.fails(&APPLY).unwrap();
    says(&text, &["\"a\" and \"b\" take writes", "rebuild = {"]);
    let text = s.fails(&["destroy", "-auto-approve", "-no-color", "-target=ob_standby.g"]).unwrap();
    says(&text, &["take writes without being its one primary"]);
    assert_eq!((pid(&s, 0, "a"), rows(&s)), (before.clone(), vec![vec!["1".to_owned()]]));
    sql::query(s.root(0), "insert into shop.rows values (2)").unwrap();
    sql::query(s.root(1), "create table shop.mine (n int)").unwrap();
    sql::query(s.root(1), "insert into shop.mine values (7)").unwrap();
    compared(&s);
    sql::query(s.root(0), "delete from shop.rows where n = 2").unwrap();
    s.say("a note of epoch 999 and a standby that opened itself: the primary goes on");

    // A person chooses. The consent is void for another creation of the group.
    let consent = |creation: &str| {
        let text = config.render(&s.lab).unwrap();
        let rebuild = format!(
            "  primary = \"a\"\n  rebuild = {{ member = \"b\", epoch = 999, creation = \
             \"{creation}\" }}\n"
        );
        s.tf.write("main.tf", &text.replace("  primary = \"a\"\n", &rebuild)).unwrap();
    };
    consent("01KBD4F6H2Q0T8M5S3W7Z9XCVE");
    says(&s.fails(&APPLY).unwrap(), &["take writes without being its one primary"]);
    consent(s.attribute("ob_standby.g", "creation").unwrap().as_str().unwrap());
    s.tf.apply().unwrap();
    assert!(s.writable(0).unwrap() && !s.writable(1).unwrap());
    assert_eq!((pid(&s, 0, "a"), rows(&s)), (before, vec![vec!["1".to_owned()]]));
    s.settled().unwrap();
    s.say("by consent the false one was rebuilt, and its store is set aside");

    // Who is a member gets into no other one, and who left knows no password any more.
    let account = |host: usize, name: &str| {
        let line = format!("head -n 1 /data/{name}/.ob/account");
        s.host(host).exec(&line).unwrap().ok().unwrap().trim().to_owned()
    };
    let known = account(1, "b");
    assert_eq!(known, account(0, "a"));
    let service = sql::Login {
        at: s.host(0).at(2881),
        user: "ob_service".into(),
        password: Some(known.clone()),
    };
    let refused = sql::query(service, "select 1").unwrap_err();
    assert!(format!("{refused:#}").contains("denied"), "{refused:#}");
    config.group = None;
    s.apply(&config).unwrap();
    assert_ne!(known, account(0, "a"), "another password");
    s.settled().unwrap();
    s.tf.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    s.say("the password that the former member knows is no password any more");
}

/// "root has a password from the first second on that can be had", "whoever was in a new server
/// before that is found".
#[test]
fn who_gets_into_a_new_server_first_is_found_and_put_out() {
    if !may_make_hosts("a first start under attack") {
        return;
    }
    let s = Story::new(1).unwrap();
    let config = Config { protect: false, ..Config::single() };
    let render = |s: &Story| {
        let text = config.render(&s.lab).unwrap();
        let plain = |l: &&str| !l.contains("root_password_wo");
        text.lines().filter(plain).collect::<Vec<_>>().join("\n")
    };
    s.tf.write("main.tf", &render(&s)).unwrap();
    let open = sql::Login { password: None, ..s.root(0) };

    // Tries all the time to get in as root without a password.
    let stop = Arc::new(AtomicBool::new(false));
    let attacker = std::thread::spawn({
        let (open, stop) = (open.clone(), stop.clone());
        move || {
            let mut inside: Option<(Instant, Instant)> = None;
            while !stop.load(Ordering::Relaxed) {
                if sql::query(open.clone(), "select 1").is_ok() {
                    let now = Instant::now();
                    inside = Some((inside.map_or(now, |(first, _)| first), now));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            inside.map_or(Duration::ZERO, |(first, last)| last - first)
        }
    });
    s.tf.apply().unwrap();
    stop.store(true, Ordering::Relaxed);
    let window = attacker.join().unwrap();
    assert!(sql::query(open.clone(), "select 1").is_err(), "root has a password nobody gave");
    s.settled().unwrap();
    s.say(&format!("root could log in without a password for {} ms", window.as_millis()));
    s.tf.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();

    // The run dies right after the start; somebody gets in, and stays in.
    let at = Strike {
        kind: "start_server".into(),
        point: Point::Verified,
        blow: Blow::KillProvider,
        host: 0,
    };
    let struck = strike(&s, &APPLY, &at, || Ok(())).unwrap();
    assert!(matches!(struck, Struck::Hit(_)), "{struck:?}");
    for statement in [
        "create user backdoor identified by 'x'",
        "grant all privileges on *.* to backdoor with grant option",
        "create role helper",
        "create user ob_service identified by 'x'",
        "create table test.left (n int)",
        "alter system set _enable_newsort = False",
        "set global max_allowed_packet = 4194304",
        "alter system set syslog_level = 'ERROR'",
    ] {
        sql::query(open.clone(), statement).unwrap();
    }
    let text = s.fails(&APPLY).unwrap();
    says(
        &text,
        &[
            "is not as a new server is",
            "user or role backdoor@%",
            "user or role helper@%",
            "table left",
            "variable max_allowed_packet",
            "user or role ob_service@%",
            "parameter",
        ],
    );
    assert!(sql::query(open, "select 1").is_err(), "root's password was set first");
    s.say("a user, a role, a table, a variable and a parameter of somebody else: found by name");
}

/// "Every user of the host is kept out of the rows", "only the package that was declared is
/// started", "a home of several machines holds no gate", "no two objects need the same", "a name
/// is a name".
#[test]
fn files_packages_homes_and_names_are_what_they_should_be() {
    if !may_make_hosts("files that others touched") {
        return;
    }
    let s = Story::new(1).unwrap();
    let config = Config { protect: false, ..Config::single() };

    // Two objects that need the same, and a name that is a program.
    let mut both = config.clone();
    both.clusters.insert("b".into(), lab::story::Cluster::new("b", 0, true));
    s.write(&both).unwrap();
    says(&s.fails(&["plan", "-no-color"]).unwrap(), &["ort 2881 is asked for twice"]);
    let member = |name: &str, port: u16| {
        format!(
            "{{ instance = {{ engine = \"seekdb\", name = \"{name}\", host = {{ name = \"h\", \
             address = \"local\" }}, base_dir = \"/d{port}\", sql_port = {port}, rpc_port = 2, \
             package = \"p\" }} }}"
        )
    };
    let touched = s.dir.path().join("touched");
    let hostile = format!("x$(touch {})", touched.display()).replace("${", "$${");
    let mut named = config.clone();
    named.more = format!(
        "resource \"ob_standby\" \"x\" {{\n  name = \"x\"\n  primary = \"a\"\n  members = {{ a = \
         {}, b = {} }}\n}}\n",
        member("a", 1),
        member(&hostile, 3)
    );
    s.write(&named).unwrap();
    says(&s.fails(&["plan", "-no-color"]).unwrap(), &["a name has 1 to 64 of the characters"]);
    assert!(!touched.exists());

    // Below a directory of somebody else's, that one would start what it likes.
    let mut below = config.clone();
    if let Some(a) = below.clusters.get_mut("a") {
        a.base_dir = "/data/neighbour/a".into();
    }
    let neighbour = "mkdir -p /data/neighbour && chown nobody /data/neighbour";
    s.host(0).exec(neighbour).unwrap().ok().unwrap();
    says(&s.refused(&below).unwrap(), &["is not safe from others", "/data/neighbour belongs to"]);
    s.host(0).exec("rmdir /data/neighbour").unwrap().ok().unwrap();

    s.apply(&config).unwrap();
    s.settled().unwrap();
    // Another user of the host reads nothing.
    let find = "find /data/a -maxdepth 2 ! -type l -perm /o=rwx ! -name a";
    let as_nobody = format!("setpriv --reuid=65534 --clear-groups {find}");
    let found = s.host(0).exec(&as_nobody).unwrap();
    assert!(!found.stdout.contains("/data/a/store/"), "{found:?}");
    s.host(0).exec("chmod o+rx /data/a/store /data/a/log").unwrap().ok().unwrap();
    let plan = words(&s.tf.run(&["plan", "-no-color"]).unwrap());
    says(&plan, &["to other users: 1 step", "exposed"]);
    s.tf.apply().unwrap();
    s.settled().unwrap();
    let modes = s.host(0).exec("stat -c %a /data/a/store /data/a/log").unwrap().ok().unwrap();
    assert!(modes.lines().all(|m| m.ends_with('0')), "{modes}");

    // The package is lost; the server is down, and its program was changed.
    let gone = format!("rm -rf {} {}", login::own("packages"), login::own("cache"));
    s.host(0).exec(&gone).unwrap().ok().unwrap();
    let plan = words(&s.tf.run(&["plan", "-no-color"]).unwrap());
    says(&plan, &["place the package of seekdb"]);
    s.tf.apply().unwrap();
    s.settled().unwrap();
    let kill = "kill -9 $(cat /data/a/run/seekdb.pid); while [ -d /proc/$(cat \
                /data/a/run/seekdb.pid) ]; do sleep 0.1; done";
    let tamper = "f=$(readlink -f /data/a/.ob/package)/seekdb; cp $f $f.x && printf x >> $f.x && \
                  mv $f.x $f";
    let sum = "sha256sum < /data/a/.ob/package/seekdb";
    let whole = s.host(0).exec(sum).unwrap().ok().unwrap();
    s.host(0).exec(&format!("{kill}; {tamper}")).unwrap().ok().unwrap();
    assert_ne!(s.host(0).exec(sum).unwrap().ok().unwrap(), whole);
    s.tf.apply().unwrap();
    assert_eq!(s.host(0).exec(sum).unwrap().ok().unwrap(), whole, "never started as it was");
    s.settled().unwrap();
    s.say("open files, a lost package and a changed program: seen, and mended by the next apply");

    // The home came from another machine.
    let machine = login::own("machine");
    s.host(0).exec(&format!("echo other > {machine}")).unwrap().ok().unwrap();
    let text = s.refused(&config.clone().parameter("a", "stack_size", "1M")).unwrap();
    says(&text, &["is another machine's", "a home that several machines share"]);
    s.host(0).exec(&format!("rm {machine}")).unwrap().ok().unwrap();
    s.write(&config).unwrap();
    s.settled().unwrap();
}
