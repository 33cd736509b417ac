//! Bad input: each mistake gives one clear error that says what, where, why and how to fix it. The
//! mistake breaks nothing, and the next apply after the fix works. No secret is anywhere where it
//! can be read.
use lab::story::config::{KERNEL, PASSWORD, hcl};
use lab::story::{Config, Story, login, words};
use lab::{HostKeys, Options, may_make_hosts, sql};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Removes what a failed create has left, its note included (`ob gone`).
const GONE: &str = "rm -rf /data/* /root/.ob/objects/*/home /home/*/.ob/objects/*/home";

/// Demands exactly one error, with all its parts and these words in it.
fn one_clear_error(name: &str, s: &Story, config: &Config, say: &[&str]) {
    s.write(config).unwrap();
    let begun = Instant::now();
    let out = s.tf.run(&["apply", "-auto-approve", "-no-color"]).unwrap();
    assert_ne!(out.status, 0, "{name}: it worked: {}", out.stdout);
    let text = words(&out);
    let error = text.split_once("Error: ").unwrap_or_else(|| panic!("{name}: no error: {text}")).1;
    assert_eq!(text.matches("Error: ").count(), 1, "{name}: one error: {text}");
    for part in ["why ", "fix "].iter().chain(say) {
        assert!(
            error.to_lowercase().contains(&part.to_lowercase()),
            "{name}: the error does not say {part:?}: {error}"
        );
    }
    assert!(
        !error.contains("internal")
            && !text.contains("stack backtrace")
            && !text.contains("panicked"),
        "{name}: {text}"
    );
    assert!(begun.elapsed() < Duration::from_secs(90), "{name}: took {:?}", begun.elapsed());
    assert!(s.tainted().unwrap().is_empty(), "{name}");
    s.say(&format!("{name}: {}", error.chars().take(150).collect::<String>()));
}

/// Demands that nothing of ours runs or lies on the host.
fn untouched(name: &str, s: &Story) {
    s.clean(0, &[&login::own("cache"), &login::own("packages")])
        .unwrap_or_else(|e| panic!("{name}: {e:#}"));
}

#[test]
fn each_mistake_gives_one_clear_error_and_the_next_apply_after_the_fix_works() {
    if !may_make_hosts("bad input") {
        return;
    }
    let s = Story::with(Options { hosts: 2, host_keys: HostKeys::PerHost, ..Options::default() })
        .unwrap();
    let good = Config { protect: false, ..Config::single() };
    let dir = s.dir.path();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).display().to_string()
    };

    // Mistakes that are found before anything is reached or written.
    let huge = good.clone().parameter("a", "memory_limit", "900G");
    one_clear_error(
        "memory_limit larger than the host",
        &s,
        &huge,
        &["memory_limit", "900G", "more than its host has"],
    );
    one_clear_error(
        "memory_limit too small",
        &s,
        &good.clone().parameter("a", "memory_limit", "512M"),
        &["memory_limit", "512M", "1G"],
    );
    one_clear_error(
        "a read-only parameter",
        &s,
        &good.clone().parameter("a", "data_dir", "/x"),
        &["data_dir"],
    );
    let known = std::fs::read_to_string(&s.lab.info().known_hosts).unwrap();
    let (one, two) = (s.host(0).address().to_string(), s.host(1).address().to_string());
    let other: String = known
        .lines()
        .filter(|l| l.starts_with(&two))
        .map(|l| l.replacen(&two, &one, 1) + "\n")
        .collect();
    one_clear_error(
        "wrong host key",
        &s,
        &Config { known_hosts: Some(file("wrong_known_hosts", &other)), ..good.clone() },
        &["host key", &one],
    );
    let plan = s.tf.run(&["plan", "-no-color"]).unwrap();
    let said = words(&plan);
    assert!(
        plan.status == 0
            && said.contains("Warning: Host key")
            && said.contains("planned as if nothing of it were there"),
        "{said}"
    );
    one_clear_error(
        "unknown host key",
        &s,
        &Config { known_hosts: Some(file("empty_known_hosts", "")), ..good.clone() },
        &["host key", &one],
    );
    // What the host forbids is found before the package is sent.
    for (name, forbid, allow, say) in [
        (
            "a base_dir with noexec",
            "mkdir -p /data && mount -t tmpfs -o noexec,mode=755 tmpfs /data",
            "umount /data",
            &["no program may run in /data/a", "noexec"][..],
        ),
        (
            "a read-only disk",
            "mkdir -p /data && mount -t tmpfs -o ro,mode=755 tmpfs /data",
            "umount /data",
            &["nothing can be written in /data/a", "read-only"],
        ),
        (
            "a cron that does not know the user",
            "echo nobody > /etc/cron.allow",
            "rm /etc/cron.allow",
            &["could not start with its host", "cron.allow"],
        ),
    ] {
        s.host(0).exec(forbid).unwrap().ok().unwrap();
        let asked = format!("su {} -s /bin/sh -c 'crontab -l'", login::user());
        let denied = s.host(0).exec(&asked).unwrap().stderr.contains("not allowed");
        if denied || !forbid.contains("cron") {
            one_clear_error(name, &s, &good, say);
            let sent = format!("ls {}/* 2>/dev/null", login::own("cache"));
            assert_eq!(s.host(0).exec(&sent).unwrap().stdout, "", "{name}: nothing was sent");
        } else {
            s.say(&format!("{name}: this cron lets {} do what it wants", login::user()));
        }
        s.host(0).exec(allow).unwrap().ok().unwrap();
        s.host(0).exec(GONE).unwrap();
    }
    let key = dir.join("stranger").display().to_string();
    lab::run(
        &mut lab::command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key]),
        b"",
        Duration::from_secs(20),
    )
    .unwrap()
    .ok()
    .unwrap();
    one_clear_error(
        "a key without rights",
        &s,
        &Config { key: Some(key), ..good.clone() },
        &[&one, &login::user()],
    );
    s.host(0).kill().unwrap();
    one_clear_error("host down", &s, &good, &[&one]);
    s.host(0).boot().unwrap();
    untouched("before anything", &s);

    // Mistakes that are found on the way.
    let mut not_a_package = good.clone();
    let text = file("notes.whl", "these are notes and no package");
    let wheel = lab::seekdb::fetch(lab::seekdb::DEFAULT).unwrap().path.display().to_string();
    not_a_package.clusters.get_mut("a").unwrap().package =
        Some(lab::story::config::package(lab::seekdb::DEFAULT).unwrap().replace(&wheel, &text));
    one_clear_error("not a package", &s, &not_a_package, &["h1", "declared"]);

    s.host(0)
        .exec(&format!("{GONE}; mkdir -p /data/a && echo precious > /data/a/rows"))
        .unwrap()
        .ok()
        .unwrap();
    one_clear_error(
        "a directory with somebody's data",
        &s,
        &good,
        &["/data/a", "not empty", "import"],
    );
    assert_eq!(
        s.host(0).exec("cat /data/a/rows").unwrap().stdout,
        "precious\n",
        "nothing was changed"
    );
    s.host(0).exec(GONE).unwrap().ok().unwrap();

    s.host(0)
        .exec(
            "/usr/sbin/sshd -f /dev/null -h /etc/ssh/lab_host_key -o Port=2881 -o \
             PidFile=/run/second.pid",
        )
        .unwrap()
        .ok()
        .unwrap();
    one_clear_error("port taken", &s, &good, &["2881", "taken", &one]);
    s.host(0).exec("kill $(cat /run/second.pid)").unwrap().ok().unwrap();

    // The configuration that fixes all of them. Its provider is killed on the way.
    s.write(&good).unwrap();
    let mark = s.dir.path().join("begun.mark");
    let mut run =
        s.tf.clone()
            .env("OB_FAULT", "start_server:decided")
            .env("OB_FAULT_MARK", mark.display().to_string())
            .start(&["apply", "-auto-approve", "-no-color"])
            .unwrap();
    run.wait_file(&mark, Duration::from_secs(120)).unwrap();
    run.kill_provider().unwrap();
    assert_ne!(run.wait(Duration::from_secs(60)).unwrap().status, 0);
    let said = s.apply(&good).unwrap();
    assert!(
        said.to_lowercase().contains("resumes the creation"),
        "what was begun is resumed, and said so: {said}"
    );
    s.settled().unwrap();
    assert!(s.writable(0).unwrap(), "root logs in with the password of every quote character");

    // Somebody else, with another state, wants the same directory.
    let theirs = s.other_state("theirs").unwrap();
    theirs
        .write(
            "main.tf",
            &Config { owner: "others".into(), ..good.clone() }.render(&s.lab).unwrap(),
        )
        .unwrap();
    let out = theirs.run(&["apply", "-auto-approve", "-no-color"]).unwrap();
    let text = words(&out);
    assert!(
        out.status != 0
            && text.contains("belongs to somebody else")
            && text.contains("owner \"stories\""),
        "{text}"
    );
    s.settled().unwrap();
    s.say("other owner's mark: refused by name, nothing changed");

    // A journal that is cut in half costs a hint, and no more.
    s.host(0)
        .exec(&format!(
            "for f in {}/*/journal/*.log; do n=$(stat -c %s $f); truncate -s $((n/2)) $f; done",
            login::own("objects")
        ))
        .unwrap()
        .ok()
        .unwrap();
    s.settled().unwrap();
    let mut changed = good.clone().parameter("a", "open_cursors", "66");
    s.apply(&changed).unwrap();
    s.settled().unwrap();
    s.say("journal cut in half: the next apply works");

    // A parameter that the server refuses leaves nothing behind: the server's next start must not
    // fail on it.
    one_clear_error(
        "a parameter that does not exist",
        &s,
        &changed.clone().parameter("a", "no_such_thing", "1"),
        &["no_such_thing", "does not exist"],
    );
    s.write(&changed).unwrap();
    s.settled().unwrap();
    let start = s.host(0).exec("cat /data/a/.ob/start").unwrap().stdout;
    assert!(!start.contains("no_such_thing"), "the start script still asks for it: {start}");
    changed = changed.parameter("a", "stack_size", "1M");
    s.apply(&changed).unwrap();
    s.settled().unwrap();

    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
}

#[test]
fn a_full_disk_is_named_and_once_there_is_room_the_same_command_goes_on() {
    if !may_make_hosts("a full disk") {
        return;
    }
    let s =
        Story::with(Options { hosts: 1, disk: Some(3500 << 20), ..Options::default() }).unwrap();
    let config = Config { protect: false, ..Config::single() };
    for (name, left) in
        [("full before the package is there", 60), ("full before the store is there", 160)]
    {
        s.host(0)
            .exec(&format!(
                "n=$(df -m --output=avail /var | tail -n 1); \
                 fallocate -l $((n - {left}))M /var/filler"
            ))
            .unwrap()
            .ok()
            .unwrap();
        one_clear_error(name, &s, &config, &["h1"]);
        s.host(0).exec("rm /var/filler").unwrap().ok().unwrap();
    }
    let left = s
        .host(0)
        .exec(
            "ls -la /data/a/.ob /data/a/log; cat /data/a/.ob/mark; \
             grep -ao 'server_start.*/14.*' /data/a/log/seekdb.log | cut -c1-80",
        )
        .unwrap()
        .stdout;
    s.apply(&config).unwrap_or_else(|e| panic!("{e:#}; what the failed start left: {left}"));
    s.settled().unwrap();
    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
}

/// A configuration in which everything that may be unknown before apply is unknown.
fn all_unknown(s: &Story) -> String {
    let config = Config { protect: false, ..Config::single() };
    let text = config.render(&s.lab).unwrap();
    let text = text
        .replace("name       = \"a\"", "name       = terraform_data.name.output")
        .replace("base_dir = \"/data/a\"", "base_dir = terraform_data.dir.output")
        .replace(
            &format!("address = \"{}\"", s.host(0).address()),
            "address = terraform_data.address.output",
        )
        .replace("memory_limit = \"2G\"", "memory_limit = terraform_data.memory.output")
        .replace(
            &format!("root_password_wo         = {}", hcl(PASSWORD)),
            "root_password_wo         = terraform_data.password.output",
        );
    let data = [
        ("name", "a".to_owned()),
        ("dir", "/data/a".into()),
        ("address", s.host(0).address().to_string()),
        ("memory", "2G".into()),
        ("password", "from-terraform-data".into()),
    ];
    let key = s.lab.info().key.display().to_string();
    let text = text.replace(
        &format!("private_key_file = {}", hcl(&key)),
        "private_key = terraform_data.key.output",
    );
    let key = format!(
        "resource \"terraform_data\" \"key\" {{\n  input = sensitive(file({}))\n  \
         triggers_replace = [1]\n}}\n",
        hcl(&key)
    );
    let data = data.iter().map(|(k, v)| {
        format!("resource \"terraform_data\" \"{k}\" {{\n  input = {}\n}}\n", hcl(v))
    });
    text + &key + &data.collect::<String>()
}

#[test]
fn unknown_values_long_temporary_directories_and_backtraces_are_no_trouble() {
    if !may_make_hosts("unknown values") {
        return;
    }
    let mut s = Story::new(1).unwrap();
    let long = s.dir.path().join("t".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    s.tf = s.tf.clone().env("TMPDIR", long.display().to_string()).env("RUST_BACKTRACE", "1");
    s.tf.write("main.tf", &all_unknown(&s)).unwrap();
    assert!(s.tf.plan().unwrap().unwrap().contains("7 to add"));
    s.tf.apply().unwrap();
    s.settled().unwrap();
    // A key that is being replaced is known at apply alone: nothing is looked at before.
    let again = all_unknown(&s).replace("triggers_replace = [1]", "triggers_replace = [2]");
    s.tf.write("main.tf", &again).unwrap();
    let plan = s.tf.plan().unwrap().unwrap();
    assert!(
        plan.contains("1 to add, 0 to change, 1 to destroy") && plan.contains("not known before"),
        "{plan}"
    );
    s.tf.apply().unwrap();
    s.settled().unwrap();
    sql::query(
        lab::sql::Login { password: Some("from-terraform-data".into()), ..s.root(0) },
        "select 1",
    )
    .unwrap();
    let mut bad = Config { protect: false, ..Config::single() };
    bad.owner = "others".into();
    let theirs = s
        .other_state("theirs")
        .unwrap()
        .env("RUST_BACKTRACE", "1")
        .env("TMPDIR", long.display().to_string());
    theirs.write("main.tf", &bad.render(&s.lab).unwrap()).unwrap();
    let text = words(&theirs.run(&["apply", "-auto-approve", "-no-color"]).unwrap());
    assert!(text.contains("belongs to somebody else") && !text.contains("backtrace"), "{text}");
    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
    s.say("unknown everything, TMPDIR of 120 characters, RUST_BACKTRACE=1: deployed and destroyed");
}

/// Looks at the command lines and environments of all processes of this machine, with those of its
/// hosts, while `work` runs.
fn watched(needles: &[String], work: impl FnOnce()) -> (usize, Vec<String>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, needles) = (stop.clone(), needles.to_vec());
    let own = std::process::id().to_string();
    let watch = std::thread::spawn(move || {
        let (mut looks, mut found) = (0, Vec::new());
        while !stopped.load(Ordering::Relaxed) {
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let pid = entry.file_name().to_string_lossy().into_owned();
                if pid == own || !pid.bytes().all(|b| b.is_ascii_digit()) {
                    continue;
                }
                for file in ["cmdline", "environ"] {
                    let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
                    let text = String::from_utf8_lossy(&text);
                    found.extend(needles.iter().filter(|n| text.contains(n.as_str())).map(|_| {
                        format!(
                            "/proc/{pid}/{file}: {}",
                            text.chars().take(200).collect::<String>()
                        )
                    }));
                }
            }
            looks += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        (looks, found)
    });
    work();
    stop.store(true, Ordering::Relaxed);
    watch.join().unwrap()
}

fn search(where_: &str, bytes: &[u8], needles: &[String], found: &mut Vec<String>) {
    let text = String::from_utf8_lossy(bytes);
    found.extend(
        needles
            .iter()
            .filter(|n| text.contains(n.as_str()))
            .map(|n| format!("{where_} holds {n:?}")),
    );
}

/// The forms in which a secret could appear: as it is, and in base64 with any number of bytes
/// before it.
fn forms(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    for before in 0..3 {
        let padded = format!("{}{secret}", "x".repeat(before));
        let out = lab::run(
            &mut lab::command(["base64", "-w0"]),
            padded.as_bytes(),
            Duration::from_secs(5),
        )
        .unwrap()
        .stdout;
        // Only the groups of three bytes that hold nothing but the secret.
        let (from, to) = (if before == 0 { 0 } else { 4 }, padded.len() / 3 * 4);
        all.push(out[from..to].to_owned());
    }
    all
}

#[test]
fn no_secret_is_in_state_plan_trace_journal_or_any_process_of_a_host() {
    if !may_make_hosts("secrets") {
        return;
    }
    let mut s = Story::new(2).unwrap();
    let trace = s.dir.path().join("trace.log");
    s.tf = s.tf.clone().env("TF_LOG", "TRACE").env("TF_LOG_PATH", trace.display().to_string());
    let key = std::fs::read_to_string(&s.lab.info().key).unwrap();
    let mut needles = forms(KERNEL);
    needles.push(key.lines().nth(2).unwrap().to_owned());
    let config = Config { protect: false, ..Config::pair() };
    s.write(&config).unwrap();
    let (looks, mut found) = watched(&needles, || {
        s.tf.run(&["plan", "-out=saved.plan"]).unwrap().ok().unwrap();
        s.tf.run(&["apply", "-auto-approve", "saved.plan"]).unwrap().ok().unwrap();
        s.apply(&config.clone().primary("b")).unwrap();
    });
    let account = s.host(0).exec("cat /data/a/.ob/account").unwrap().ok().unwrap();
    assert!(account.len() >= 16, "the service account's password");
    needles.extend(forms(&account));
    let modes = s
        .host(0)
        .exec(&format!(
            "stat -c '%a %n' /data/a/.ob/account /data/a/.ob/root /data/a/.ob {}",
            login::own("")
        ))
        .unwrap()
        .ok()
        .unwrap();
    assert!(modes.lines().all(|l| l.starts_with("600 ") || l.starts_with("700 ")), "{modes}");
    assert!(looks > 20, "{looks} looks at every process");

    let work = s.tf.work();
    for name in ["terraform.tfstate", "terraform.tfstate.backup"] {
        search(name, &std::fs::read(work.join(name)).unwrap(), &needles, &mut found);
    }
    let unzip = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                 [sys.stdout.buffer.write(z.read(n)) for n in z.namelist() if n in ('tfplan', \
                 'tfstate')]";
    let plan = lab::run(
        &mut lab::command(["python3", "-c", unzip, &work.join("saved.plan").display().to_string()]),
        b"",
        Duration::from_secs(20),
    )
    .unwrap();
    assert!(plan.stdout.len() > 1000, "the plan was read: {}", plan.stderr);
    search("saved.plan", plan.stdout.as_bytes(), &needles, &mut found);
    let log = std::fs::read(&trace).unwrap();
    assert!(log.len() > 10_000, "a trace was written");
    search("trace", &log, &needles, &mut found);
    let mut files = 0;
    for host in s.lab.hosts() {
        for file in host
            .exec(&format!("find {} /data/*/log /tmp /var/log -type f", login::own("objects")))
            .unwrap()
            .ok()
            .unwrap()
            .lines()
        {
            files += 1;
            search(
                &format!("{}:{file}", host.name()),
                &std::fs::read(host.path(file)).unwrap_or_default(),
                &needles,
                &mut found,
            );
        }
    }
    assert!(files > 10, "{files} files on hosts");
    assert!(Path::new(&work).exists() && found.is_empty(), "secrets found:\n{}", found.join("\n"));
    s.say(&format!(
        "no secret in state, plan, {} KB of trace, {files} files on hosts, {looks} looks at every \
         process",
        log.len() / 1024
    ));
}
