//! Two runs on one object: one waits or is refused by name, their effects never interleave, and a
//! run that slept through a take-over does nothing when it wakes up.
use lab::process::until;
use lab::story::{Config, Story, nothing_lost, trail, words};
use lab::terraform::{Running, Terraform};
use lab::writer::{self, Writer};
use lab::{may_make_hosts, sql};
use ob::engine::journal::Event;
use rustix::process::Signal;
use std::time::Duration;

const APPLY: &[&str] = &["apply", "-auto-approve", "-no-color"];
const LIMIT: Duration = Duration::from_secs(150);

fn ended(run: Running) -> (i32, String) {
    let out = run.wait(LIMIT).unwrap();
    (out.status, words(&out))
}

/// Proves: two applies of one configuration, from two states at once, have the result of one.
#[test]
fn two_applies_at_once_from_two_states_do_not_interleave() {
    if !may_make_hosts("two applies at once") {
        return;
    }
    let s = Story::new(1).unwrap();
    let config = Config { protect: false, ..Config::single() };
    s.write(&config).unwrap();
    let other: Terraform = s.other_state("other").unwrap();
    other.write("main.tf", &config.render(&s.lab).unwrap()).unwrap();
    let (one, two) = (s.tf.start(APPLY).unwrap(), other.start(APPLY).unwrap());
    let (one, two) = (ended(one), ended(two));
    for (status, text) in [&one, &two] {
        assert!(
            *status == 0
                || (text.contains("is being changed by somebody else") && text.contains("held by")),
            "waits, or is refused by name: {text}"
        );
    }
    assert!(one.0 == 0 || two.0 == 0, "one of them works");
    trail::never_interleaved(&s.lab).unwrap();
    let begun = trail::count(&trail::read(&s.lab).unwrap(), Event::Begin);
    assert!(begun.values().all(|n| *n == 1), "each effect once: {begun:?}");
    if two.0 == 0 {
        other.settled().unwrap();
    }
    s.tf.apply().unwrap();
    s.settled().unwrap();
    s.say(&format!(
        "two applies at once: {} effects, each once, none interleaved; exit status {} and {}",
        begun.len(),
        one.0,
        two.0
    ));
}

/// Stops a provider at `point` of a switchover, lets another run take over and finish, and wakes
/// the sleeper up.
fn sleeper(s: &Story, config: &Config, to: &str, kind: &str, point: &str) {
    let mark = s.dir.path().join(format!("{kind}.mark"));
    let tf =
        s.tf.clone()
            .env("OB_FAULT", format!("{kind}:{point}"))
            .env("OB_FAULT_MARK", mark.display().to_string());
    let next = config.clone().primary(to);
    s.write(&next).unwrap();
    let other = s.other_state(&format!("other-{kind}")).unwrap();
    other.write("main.tf", &next.render(&s.lab).unwrap()).unwrap();
    std::fs::copy(s.tf.work().join("terraform.tfstate"), other.work().join("terraform.tfstate"))
        .unwrap();
    let writer = Writer::start(writer::Config {
        servers: vec![s.root(0), s.root(1)],
        ..writer::Config::new([])
    })
    .unwrap();
    writer.wait_for(50, LIMIT).unwrap();

    let mut run = tf.start(APPLY).unwrap();
    run.wait_file(&mark, LIMIT).unwrap();
    let frozen = run.providers();
    frozen.iter().for_each(|p| p.signal(Signal::STOP));
    std::fs::remove_file(&mark).unwrap();

    let out = other.run(APPLY).unwrap();
    assert_eq!(
        out.status,
        0,
        "the other run takes over after the lease's time and finishes: {}",
        words(&out)
    );
    let heir = usize::from(to == "b");
    assert!(s.writable(heir).unwrap() && !s.writable(1 - heir).unwrap());
    let before = trail::read(&s.lab).unwrap().iter().map(|j| j.lines.len()).sum::<usize>();
    let epoch = |s: &Story| s.host(heir).exec(&format!("cat /data/{to}/.ob/group")).unwrap().stdout;
    let noted = epoch(s);

    frozen.iter().for_each(|p| p.signal(Signal::CONT));
    let (status, text) = ended(run);
    assert!(
        status != 0 && (text.contains("stopped") || text.contains("Stopped")),
        "the sleeper is told that it lost the object: {text}"
    );
    assert!(until(Duration::from_secs(20), || frozen.iter().all(|p| !p.alive())));
    let journals = trail::read(&s.lab).unwrap();
    assert_eq!(journals.iter().map(|j| j.lines.len()).sum::<usize>(), before, "it wrote nothing");
    assert_eq!(epoch(s), noted, "it moved no role");
    assert!(s.writable(heir).unwrap() && !s.writable(1 - heir).unwrap());
    writer.wait_for(50, LIMIT).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    trail::never_interleaved(&s.lab).unwrap();
    // The sleeper's state is behind. A refresh shows what is true, and no steps.
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    s.say(&format!(
        "frozen at {kind}:{point}, taken over, woken: it wrote nothing, promoted nothing; \
         {} rows acknowledged, 0 lost",
        report.acknowledged
    ));
}

/// Proves: a run that is frozen between its check and its statement, and wakes up after another run
/// took over, has no effect.
#[test]
fn a_run_that_slept_through_a_take_over_writes_nothing_and_promotes_nothing() {
    if !may_make_hosts("a frozen run") {
        return;
    }
    let mut s = Story::new(2).unwrap();
    s.tf = s.tf.clone().env("OB_FAULT_TTL", "12");
    let config = Config { protect: false, ..Config::pair() };
    s.apply(&config).unwrap();
    sleeper(&s, &config, "b", "promote", "decided");
    s.tf.apply().unwrap();
    s.tf.settled().unwrap();
    sleeper(&s, &config.clone().primary("b"), "a", "fence", "decided");
    assert!(sql::query(s.root(1), "select 1").is_ok());
}
