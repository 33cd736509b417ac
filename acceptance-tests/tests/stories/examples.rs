//! Every example plans under the real terraform, without a network. What an example refers to is
//! taken from the other examples, so together they are one configuration. A type without an example
//! fails.
use lab::terraform::{Source, Terraform, default_program};
use lab::{outside, seekdb};
use ob::provider::{registry, schema_document};
use ob::resource::place::parse_id;
use ob::transport::Pool;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn examples() -> PathBuf {
    outside::repository().join("examples")
}

/// The file of a type's example, and of its import for a resource.
fn files(data: bool, name: &str) -> Vec<PathBuf> {
    if data {
        vec![examples().join("data-sources").join(name).join("data-source.tf")]
    } else {
        ["resource.tf", "import.sh"]
            .iter()
            .map(|f| examples().join("resources").join(name).join(f))
            .collect()
    }
}

/// All registered types; the flag is true for data sources.
fn types() -> Vec<(bool, String)> {
    let document = schema_document(&registry(Arc::new(|ssh, cancel| Pool::new(ssh, cancel))));
    document
        .resources
        .into_keys()
        .map(|n| (false, n))
        .chain(document.data_sources.into_keys().map(|n| (true, n)))
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|l| !l.trim_start().starts_with('#'))
}

/// Addresses that a text defines, such as `ob_host.a` and `data.ob_package.seekdb`.
fn defined(text: &str) -> BTreeSet<String> {
    let block = |line: &str| {
        let words: Vec<_> = line.split('"').collect();
        match words[..] {
            ["resource ", kind, " ", name, ..] => Some(format!("{kind}.{name}")),
            ["data ", kind, " ", name, ..] => Some(format!("data.{kind}.{name}")),
            _ => None,
        }
    };
    lines(text).filter_map(block).collect()
}

/// Addresses and variables that a text refers to.
fn used(text: &str) -> BTreeSet<String> {
    let words =
        lines(text).flat_map(|l| l.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')));
    let address = |word: &str| {
        let depth = if word.starts_with("data.ob_") { 3 } else { 2 };
        let parts: Vec<_> = word.split('.').take(depth).collect();
        let wanted =
            word.starts_with("ob_") || word.starts_with("data.ob_") || word.starts_with("var.");
        (wanted && parts.len() == depth).then(|| parts.join("."))
    };
    words.filter_map(address).collect()
}

/// The files of all examples, by the addresses that they define.
fn index() -> BTreeMap<String, PathBuf> {
    let mut index = BTreeMap::new();
    for (data, name) in types() {
        let file = files(data, &name).remove(0);
        for address in defined(&fs::read_to_string(&file).unwrap_or_default()) {
            assert_eq!(
                index.insert(address.clone(), file.clone()),
                None,
                "{address} is in two examples"
            );
        }
    }
    index
}

/// The example with everything that it refers to, directly or indirectly; passwords get a value.
fn whole(file: &Path, index: &BTreeMap<String, PathBuf>) -> String {
    let mut todo = vec![file.to_owned(), examples().join("provider/provider.tf")];
    let (mut taken, mut variables) = (BTreeMap::new(), BTreeSet::new());
    while let Some(file) = todo.pop() {
        let text = fs::read_to_string(&file).unwrap();
        for address in used(&text) {
            match address.strip_prefix("var.") {
                Some(variable) => drop(variables.insert(variable.to_owned())),
                None => {
                    let found = index.get(&address).unwrap_or_else(|| {
                        panic!("{} refers to {address}, which no example defines", file.display())
                    });
                    if !taken.contains_key(found) {
                        todo.push(found.clone());
                    }
                }
            }
        }
        taken.insert(file, text);
    }
    let variables = variables.iter().map(|v| {
        format!(
            "variable {v:?} {{\n  type      = string\n  default   = \"x\"\n  ephemeral = true\n}}\n"
        )
    });
    taken.into_values().chain(variables).collect::<Vec<_>>().join("\n")
}

/// A terraform that can reach nothing: it runs in a network namespace without any device.
fn offline(dir: &Path) -> Terraform {
    let program = default_program();
    let wrapper = dir.join("terraform-offline");
    fs::write(
        &wrapper,
        format!("#!/bin/sh\nexec unshare --map-root-user --net -- {} \"$@\"\n", program.display()),
    )
    .unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tf = Terraform::new(dir, Source::Override).unwrap().program(&wrapper);
    // The place that the example of ob_package names.
    let wheel = seekdb::fetch(seekdb::DEFAULT).unwrap().path;
    std::os::unix::fs::symlink(&wheel, tf.work().join(wheel.file_name().unwrap())).unwrap();
    tf
}

#[test]
fn every_type_has_an_example_and_every_example_a_type() {
    let types = types();
    let missing: Vec<_> =
        types.iter().flat_map(|(data, name)| files(*data, name)).filter(|f| !f.is_file()).collect();
    assert_eq!(missing, Vec::<PathBuf>::new(), "write these files");
    for (data, folder) in [(false, "resources"), (true, "data-sources")] {
        for entry in fs::read_dir(examples().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                types.contains(&(data, name.clone())),
                "examples/{folder}/{name} is about no type"
            );
        }
    }
}

#[test]
fn every_example_of_a_type_plans_without_a_network() {
    let index = index();
    for (data, name) in types() {
        let file = files(data, &name).remove(0);
        let dir = tempfile::tempdir().unwrap();
        let tf = offline(dir.path());
        tf.write("main.tf", &whole(&file, &index)).unwrap();
        let plan =
            tf.plan().unwrap_or_else(|e| panic!("{}: {e:#}", file.display())).unwrap_or_default();
        for address in defined(&fs::read_to_string(&file).unwrap()) {
            // A data source that can be read at once is no change; the plan mentions it while it
            // reads.
            assert!(plan.contains(&address) || data, "{address} is not in the plan: {plan}");
        }
    }
}

#[test]
fn every_import_command_names_an_object_of_its_example_and_an_id_that_can_be_read() {
    for (_, name) in types().into_iter().filter(|(data, _)| !data) {
        let files = files(false, &name);
        let there = defined(&fs::read_to_string(&files[0]).unwrap());
        let script = fs::read_to_string(&files[1]).unwrap();
        let commands: Vec<_> = lines(&script).filter(|l| !l.is_empty()).collect();
        assert!(!commands.is_empty(), "{name}");
        for line in commands {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            let ["terraform", "import", address, id] = words[..] else { panic!("{name}: {line}") };
            assert!(there.contains(address), "{name}: {address} is not in its example");
            let id = id.trim_matches('\'');
            let place = id.split('#').next().unwrap();
            assert!(place.starts_with("sql://") || parse_id(place).is_ok(), "{name}: {id}");
        }
    }
}

#[test]
fn every_complete_example_plans_without_a_network_once_its_variables_are_set() {
    let wheel = seekdb::fetch(seekdb::DEFAULT).unwrap();
    for entry in fs::read_dir(examples().join("complete")).unwrap() {
        let folder = entry.unwrap().path();
        let dir = tempfile::tempdir().unwrap();
        let mut tf = offline(dir.path());
        for file in fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()) {
            tf.write(
                file.file_name().unwrap().to_str().unwrap(),
                &fs::read_to_string(&file).unwrap(),
            )
            .unwrap();
        }
        let package = wheel.path.display().to_string();
        for (name, value) in [
            ("package", package.as_str()),
            ("package_sha256", &wheel.sha256),
            ("private_key_file", "/dev/null"),
            ("known_hosts_file", "/dev/null"),
        ] {
            tf = tf.env(&format!("TF_VAR_{name}"), value);
        }
        for password in ["root_password", "app_password"] {
            tf = tf.env(&format!("TF_VAR_{password}"), "it's \"secret\"");
        }
        let plan = tf.plan().unwrap_or_else(|e| panic!("{}: {e:#}", folder.display())).unwrap();
        assert!(
            plan.contains("0 to change, 0 to destroy") && !plan.contains("secret\""),
            "{}: {plan}",
            folder.display()
        );
    }
}

/// Proves: `terraform test` of an example passes with a mocked provider and no override, also where
/// SQL objects name the mocked group and server.
#[test]
fn the_test_of_a_complete_example_passes_with_a_mocked_provider() {
    let folder = examples().join("complete/standby");
    let dir = tempfile::tempdir().unwrap();
    let tf = offline(dir.path());
    for file in fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        tf.write(&name, &fs::read_to_string(&file).unwrap()).unwrap();
    }
    let database = |name: &str, target: &str| {
        format!("resource \"ob_database\" \"{name}\" {{\n name = \"{name}\"\n {target}\n}}\n")
    };
    let by_group = "group = { for n, m in ob_standby.pair.members : n => m.instance }";
    let more = database("one", "instance = ob_standby.pair.endpoint") + &database("two", by_group);
    tf.write("more.tf", &more).unwrap();
    let out = tf.run(&["test", "-no-color"]).unwrap();
    assert!(out.status == 0 && out.stdout.contains("2 passed, 0 failed"), "{out:?}");
}
