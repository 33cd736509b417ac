//! What holds data goes only when its configuration lets it go, whatever makes Terraform destroy
//! it: core plans no destroy of what it replaces, so no plan can refuse one.
use lab::story::{Config, Story};
use lab::{may_make_hosts, sql};

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
    for statement in [
        "create database shop",
        "create table shop.rows (n int)",
        "insert into shop.rows values (1)",
    ] {
        sql::query(s.root(0), statement).unwrap();
    }

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
