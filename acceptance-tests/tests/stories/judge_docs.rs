//! `tfplugindocs validate`, HashiCorp's check of registry pages, over docs/ as `ob schema write`
//! makes them.
use lab::terraform::{Source, Terraform};
use lab::{command, outside, run};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The schemas as terraform prints them, under the only name that the tool looks for.
fn schemas(dir: &Path) -> String {
    let tf = Terraform::new(dir, Source::Override).unwrap();
    tf.write(
        "main.tf",
        "terraform {\n  required_providers {\n    ob = { source = \"oceanbase/ob\" }\n  }\n}\n",
    )
    .unwrap();
    let printed: Value =
        serde_json::from_str(&tf.run(&["providers", "schema", "-json"]).unwrap().ok().unwrap())
            .unwrap();
    let own = &printed["provider_schemas"]["registry.terraform.io/oceanbase/ob"];
    let path = dir.join("schemas.json");
    std::fs::write(
        &path,
        json!({
            "format_version": "1.0",
            "provider_schemas": { "registry.terraform.io/hashicorp/ob": own }
        })
        .to_string(),
    )
    .unwrap();
    path.display().to_string()
}

#[test]
fn the_registry_accepts_the_pages() {
    if !outside::has_go("tfplugindocs") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = outside::tfplugindocs().unwrap().display().to_string();
    let schemas = schemas(dir.path());
    let mut validate = command([
        &program,
        "validate",
        "--provider-name",
        "terraform-provider-ob",
        "--providers-schema",
        &schemas,
    ]);
    let out =
        run(validate.current_dir(outside::repository()), b"", Duration::from_secs(120)).unwrap();
    assert_eq!(out.status, 0, "{}{}", out.stdout, out.stderr);
}
