//! Two runners on two sides of a cut: each has its own state and reaches only its own side. At most
//! one of them acts, and nothing is lost or opened twice. Once the network is whole again, the same
//! command finishes the job.
use lab::may_make_hosts;
use lab::story::{Config, Story, nothing_lost, trail, words};
use lab::terraform::{Running, Terraform};
use lab::writer::{self, Writer};
use std::time::Duration;

const APPLY: &[&str] = &["apply", "-auto-approve", "-no-color"];
const LIMIT: Duration = Duration::from_secs(200);
const SOON: Duration = Duration::from_secs(30);

/// A lab with `members` databases, and two more hosts from which the two runners act, each with the
/// same state.
struct Cut {
    s: Story,
    one: Terraform,
    two: Terraform,
    members: usize,
}

impl Cut {
    fn deploy(config: &Config) -> Self {
        let members = config.clusters.len();
        let mut s = Story::new(members + 2).unwrap();
        s.tf = s.tf.clone().from_host(&s.host(members)).unwrap().env("OB_FAULT_TTL", "12");
        let two = s
            .other_state("two")
            .unwrap()
            .from_host(&s.host(members + 1))
            .unwrap()
            .env("OB_FAULT_TTL", "12");
        s.apply(config).unwrap();
        s.settled().unwrap();
        std::fs::copy(s.tf.work().join("terraform.tfstate"), two.work().join("terraform.tfstate"))
            .unwrap();
        Self { one: s.tf.clone(), two, members, s }
    }

    /// Cuts every link between the first runner's side, which has these members, and the second
    /// runner's side.
    fn cut(&self, first: &[usize]) {
        let sides = |side: &[usize], runner: usize| {
            side.iter().copied().chain([runner]).map(|h| self.s.host(h)).collect::<Vec<_>>()
        };
        let second: Vec<usize> = (0..self.members).filter(|m| !first.contains(m)).collect();
        for here in sides(first, self.members) {
            sides(&second, self.members + 1).iter().for_each(|there| here.cut_from(there).unwrap());
        }
    }

    /// Both runners apply at the same time, each its own configuration.
    fn both(&self, one: &Config, two: &Config) -> [(i32, String); 2] {
        for (tf, config) in [(&self.one, one), (&self.two, two)] {
            tf.write("main.tf", &config.render(&self.s.lab).unwrap()).unwrap();
        }
        let runs = [self.one.start(APPLY).unwrap(), self.two.start(APPLY).unwrap()];
        runs.map(ended)
    }

    fn writer(&self) -> Writer {
        let servers = (0..self.members).map(|h| self.s.root(h)).collect();
        let writer = Writer::start(writer::Config { servers, ..writer::Config::new([]) }).unwrap();
        writer.wait_for(100, SOON).unwrap();
        writer
    }

    fn writable(&self) -> Vec<bool> {
        (0..self.members).map(|h| self.s.writable(h).unwrap()).collect()
    }

    /// How many effects have begun, by all journals.
    fn effects(&self) -> usize {
        trail::count(&trail::read(&self.s.lab).unwrap(), ob::engine::journal::Event::Begin)
            .values()
            .sum()
    }

    /// Demands that both states see the same truth, and that nothing is left to do.
    fn agree(&self, primary: &str, epoch: u64) {
        for tf in [&self.one, &self.two] {
            tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"])
                .unwrap()
                .ok()
                .unwrap();
            tf.settled().unwrap();
            let state = tf.state_json().unwrap();
            let all = state["values"]["root_module"]["resources"].as_array().unwrap();
            let group = &all.iter().find(|r| r["address"] == "ob_standby.g").unwrap()["values"];
            assert_eq!(
                (group["current_primary"].as_str(), group["epoch"].as_u64()),
                (Some(primary), Some(epoch))
            );
        }
        trail::never_interleaved(&self.s.lab).unwrap();
    }
}

fn ended(run: Running) -> (i32, String) {
    let out = run.wait(LIMIT).unwrap();
    (out.status, words(&out))
}

/// Proves: of two hosts both are needed. Neither side of a cut moves the role, not even in the
/// middle of a move. Afterwards both runners ask for the move at once, and it is made once.
#[test]
fn neither_side_of_a_cut_pair_moves_the_role_and_the_same_command_does_it_afterwards() {
    if !may_make_hosts("a cut through a pair") {
        return;
    }
    let pair = Config { protect: false, ..Config::pair() };
    let cut = Cut::deploy(&pair);
    let (s, next) = (&cut.s, pair.primary("b"));
    let writer = cut.writer();
    cut.cut(&[0]);
    let before = cut.effects();
    let [one, two] = cut.both(&next, &next);
    assert!(
        one.0 != 0 && one.1.contains("annot switch over to \"b\"") && one.1.contains("unreachable"),
        "it says whom it cannot reach: {one:?}"
    );
    assert!(
        two.0 != 0 && two.1.contains("he primary \"a\" of group \"g\" cannot be asked"),
        "it says whom it cannot reach: {two:?}"
    );
    assert_eq!((cut.effects(), cut.writable()), (before, vec![true, false]), "nobody acted");
    s.lab.heal().unwrap();
    s.say(
        "cut between the runners before they began: neither acted, each named the side it could \
         not reach",
    );

    // Now a cut in the middle of a move: fenced, and not promoted yet.
    let mark = s.dir.path().join("cut.mark");
    let mut run = cut
        .one
        .clone()
        .env("OB_FAULT", "promote:decided")
        .env("OB_FAULT_MARK", mark.display().to_string())
        .start(APPLY)
        .unwrap();
    run.wait_file(&mark, LIMIT).unwrap();
    cut.cut(&[0]);
    let before = cut.effects();
    let two = ended(cut.two.start(APPLY).unwrap());
    assert!(two.0 != 0 && two.1.contains("\"a\""), "it says whom it cannot reach: {two:?}");
    assert_eq!(cut.effects(), before, "the second runner did nothing");
    std::fs::remove_file(&mark).unwrap();
    let one = ended(run);
    assert!(
        one.0 != 0 && (one.1.contains("h2") || one.1.contains("lease")),
        "it says what it could not reach: {one:?}"
    );
    assert_eq!(cut.writable(), [false, false], "nobody was opened");
    s.lab.heal().unwrap();
    s.say(
        "cut in the middle of a switchover: the first runner stopped, the second was refused, \
         nobody was opened",
    );

    let [one, two] = cut.both(&next, &next);
    for (status, text) in [&one, &two] {
        assert!(
            *status == 0 || text.contains("run the same command again"),
            "done, or refused with the way out: {text}"
        );
    }
    assert!(one.0 == 0 || two.0 == 0, "one of them works: {one:?} {two:?}");
    writer.wait_for(100, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!(
        (report.moves.len(), cut.writable()),
        (2, vec![false, true]),
        "one move: {:?}",
        report.moves
    );
    for tf in [&cut.one, &cut.two] {
        tf.apply().unwrap();
    }
    cut.agree("b", 2);
    s.say(&format!(
        "whole again, both at once: exit status {} and {}, one move, {} rows acknowledged, 0 \
         lost, never two writable in {} probes",
        one.0, two.0, report.acknowledged, report.probes
    ));
}

/// Proves: of three hosts two are enough. When both sides ask for different moves, only the side
/// with two acts. The member that missed the move is pointed at the new primary, and the other
/// runner's same command then finishes its own move.
#[test]
fn only_the_side_with_two_of_three_moves_the_role() {
    if !may_make_hosts("a cut through three") {
        return;
    }
    let trio = Config { protect: false, ..Config::trio() };
    let cut = Cut::deploy(&trio);
    let (s, to_c, to_b) = (&cut.s, trio.clone().primary("c"), trio.primary("b"));
    let writer = cut.writer();
    cut.cut(&[0, 2]);
    let [one, two] = cut.both(&to_c, &to_b);
    assert_eq!(one.0, 0, "the side with two of three acts: {one:?}");
    assert!(
        two.0 != 0 && two.1.contains("he primary \"a\" of group \"g\" cannot be asked"),
        "the other one is refused: {two:?}"
    );
    assert_eq!(cut.writable(), [false, false, true]);
    writer.wait_for(100, SOON).unwrap();
    s.lab.heal().unwrap();
    s.say(
        "cut between the runners: the side with two of three moved the role to c, the other was \
         refused",
    );

    let why = cut.two.plan().unwrap().expect("its move is planned");
    assert!(
        why.contains("switch over from c to b"),
        "the truth is seen, and the move that is left: {why}"
    );
    let out = cut.two.run(APPLY).unwrap();
    assert_eq!(out.status, 0, "the same command finishes: {}", words(&out));
    writer.wait_for(100, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!(
        report.moves.iter().map(|m| m.1).collect::<Vec<_>>(),
        [0, 2, 1],
        "{:?}",
        report.moves
    );
    assert_eq!(cut.writable(), [false, true, false]);
    cut.one.write("main.tf", &to_b.render(&s.lab).unwrap()).unwrap();
    cut.one.apply().unwrap();
    cut.agree("b", 3);
    s.say(&format!(
        "whole again: the second runner's move to b, {} rows acknowledged, 0 lost, never two \
         writable in {} probes",
        report.acknowledged, report.probes
    ));
}
