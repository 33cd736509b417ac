//! HashiCorp's own acceptance harness, terraform-plugin-testing, drives the provider
//! (judges/plugin-testing, in Go).
use lab::scope::all;
use lab::story::{Story, login};
use lab::terraform::{Source, Terraform, default_program, provider};
use lab::{command, may_make_hosts, outside, run, seekdb};
use std::path::PathBuf;
use std::time::Duration;

const TESTS: [&str; 3] = ["TestClusterAndItsObjects", "TestHost", "TestStandby"];

/// The binary to test: the release build when everything is tried, and otherwise the one that cargo
/// built beside this test.
fn judged() -> PathBuf {
    let debug = provider().unwrap();
    if !all() {
        return debug;
    }
    let release = debug
        .parent()
        .and_then(|d| d.parent())
        .unwrap()
        .join("release")
        .join(debug.file_name().unwrap());
    assert!(
        release.is_file(),
        "{} is not built: cargo build --release --locked --bin terraform-provider-ob",
        release.display()
    );
    release
}

#[test]
fn the_harness_of_terraform_finds_nothing_wrong_with_any_resource() {
    let what = "terraform-plugin-testing";
    if !may_make_hosts(what) || !outside::has_go(what) {
        return;
    }
    let program = default_program();
    let terraform = outside::on_path(&program)
        .unwrap_or_else(|| panic!("there is no {} on the PATH", program.display()));
    // Built before the lab takes its turn, so that other stories do not wait for a compiler.
    let harness = outside::go_tests(
        &outside::repository().join("acceptance-tests/judges/plugin-testing"),
        "judge-plugin-testing",
    )
    .unwrap();
    let wheel = seekdb::fetch(seekdb::DEFAULT).unwrap();
    let s = Story::new(2).unwrap();
    let tf =
        Terraform::with_provider(&s.dir.path().join("judge"), Source::Mirror, &judged()).unwrap();
    let info = s.lab.info();
    let mut harness =
        command([harness.display().to_string().as_str(), "-test.v", "-test.timeout=9m"]);
    harness.current_dir(tf.work()).envs([
        ("TF_ACC", "1".to_owned()),
        ("TF_ACC_TERRAFORM_PATH", terraform.display().to_string()),
        ("TF_CLI_CONFIG_FILE", tf.cli_config().display().to_string()),
        ("CHECKPOINT_DISABLE", "1".into()),
        // The harness switches the plugin's TLS off.
        ("OB_PLUGIN_ALLOW_PLAINTEXT", "1".into()),
        ("OB_JUDGE_HOST_A", s.host(0).address().to_string()),
        ("OB_JUDGE_HOST_B", s.host(1).address().to_string()),
        ("OB_JUDGE_USER", login::user()),
        ("OB_JUDGE_KEY", info.key.display().to_string()),
        ("OB_JUDGE_KNOWN_HOSTS", info.known_hosts.display().to_string()),
        ("OB_JUDGE_WHEEL", wheel.path.display().to_string()),
        ("OB_JUDGE_WHEEL_SHA256", wheel.sha256),
    ]);
    let out = run(&mut harness, b"", Duration::from_secs(580)).unwrap();
    assert_eq!(out.status, 0, "{}{}", out.stdout, out.stderr);
    for test in TESTS {
        let line = out
            .stdout
            .lines()
            .find(|l| l.starts_with(&format!("--- PASS: {test} ")))
            .unwrap_or_else(|| panic!("{test} did not pass: {}", out.stdout));
        s.say(line);
    }
    assert!(!out.stdout.contains("--- SKIP"), "{}", out.stdout);
    for host in [0, 1] {
        s.clean(host, &[]).unwrap();
    }
}
