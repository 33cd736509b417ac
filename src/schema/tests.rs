//! Tables for the builder, the paths, the validators and the codec.
use super::build::*;
use super::codec::{self, Decoded, Refused};
use super::tree::{self, Tree};
use super::*;
use crate::base::Problem;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rmpv::Value as V;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Zone {
    region: Value<String>,
    count: Value<i64>,
}
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Ssh {
    user: Value<String>,
    key_wo: Value<String>,
}
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct State {
    name: Value<String>,
    size: Value<i64>,
    on: Value<bool>,
    tags: Value<Vec<Value<String>>>,
    flags: Value<Vec<Value<String>>>,
    labels: Value<BTreeMap<String, Value<i64>>>,
    zones: Value<BTreeMap<String, Value<Zone>>>,
    steps: Value<Vec<Value<Zone>>>,
    pool: Value<Vec<Value<Zone>>>,
    ssh: Value<Ssh>,
}

fn zone() -> [Named; 2] {
    [
        ("region", string("Region.").optional().one_of(&["sh", "bj"])),
        ("count", number("How many.").optional().range(1..=9)),
    ]
}

fn schema() -> Schema {
    Schema::new(3, "A thing.")
        .attr("name", string("Name.").required().check(object_name))
        .attr("size", number("Size.").optional_computed().range(1..=100))
        .attr("on", boolean("On.").optional())
        .attr("tags", list("Tags.", STRING).optional().one_of(&["a", "b"]))
        .attr("flags", set("Flags.", STRING).optional())
        .attr("labels", map("Labels.", NUMBER).optional().keys(object_name))
        .attr("zones", map_of("Zones.", zone()).required().keys(object_name).at_least(1))
        .attr("steps", list_of("Steps.", zone()).optional())
        .attr("pool", set_of("Pool.", zone()).optional())
        .attr(
            "ssh",
            object(
                "Ssh.",
                [
                    ("user", string("User.").optional()),
                    ("key_wo", string("Key.").optional().write_only().check(not_empty)),
                ],
            )
            .optional(),
        )
}

fn json(text: &str) -> Tree {
    fn tree_of(j: &serde_json::Value) -> Tree {
        match j {
            serde_json::Value::String(s) if s == "?" => V::Ext(0, vec![0]),
            serde_json::Value::String(s) if s == "?12" => V::Ext(12, vec![0x81, 1, 0xc2]),
            serde_json::Value::Array(a) => V::Array(a.iter().map(tree_of).collect()),
            serde_json::Value::Object(o) => {
                V::Map(o.iter().map(|(k, v)| (V::from(k.as_str()), tree_of(v))).collect())
            }
            serde_json::Value::Number(n) => n
                .as_i64()
                .map(V::from)
                .or(n.as_u64().map(V::from))
                .unwrap_or_else(|| V::F64(n.as_f64().unwrap())),
            serde_json::Value::Bool(b) => V::from(*b),
            serde_json::Value::Null => V::Nil,
            serde_json::Value::String(s) => V::from(s.as_str()),
        }
    }
    tree_of(&serde_json::from_str(text).unwrap())
}

/// A whole configuration, with `changes` in it.
fn config(changes: &str) -> Tree {
    let mut base = json(
        r#"{"name":"a","size":5,"on":true,"tags":["a"],"flags":["y","x"],"labels":{"k":1},"zones":{"z1":{"region":"sh","count":1}},"steps":[],"pool":[],"ssh":null}"#,
    );
    let V::Map(new) = json(changes) else { panic!("not an object") };
    let V::Map(old) = &mut base else { panic!("not an object") };
    for (k, v) in new {
        old.retain(|(o, _)| *o != k);
        if v != V::from("-") {
            old.push((k, v));
        }
    }
    base
}

fn decode(tree: &Tree) -> (Result<Option<Decoded<State>>, Refused>, Vec<String>) {
    let mut diags = Diagnostics::default();
    let out = codec::decode(&schema(), "configuration", &tree::write(tree), &mut diags);
    (out, diags.errors.iter().map(|d| format!("{} | {}", d.attribute, d.detail)).collect())
}

#[test]
fn every_bad_value_is_named_by_its_path() {
    for (name, changes, want) in [
        (
            "a number for a string",
            r#"{"name":1}"#,
            &["name | a string is needed, this is a number"][..],
        ),
        ("a fraction", r#"{"size":1.5}"#, &["size | a whole number is needed, 1.5 has a fraction"]),
        ("a whole float", r#"{"size":2.0}"#, &[]),
        ("a decimal string", r#"{"size":"12"}"#, &[]),
        (
            "a decimal string with a fraction",
            r#"{"size":"1.25"}"#,
            &["size | a whole number is needed, 1.25 has a fraction"],
        ),
        (
            "too big as text",
            r#"{"size":"92233720368547758070"}"#,
            &["size | 92233720368547758070 is too large"],
        ),
        (
            "too big as u64",
            r#"{"size":18446744073709551615}"#,
            &["size | 18446744073709551615 is larger than"],
        ),
        ("an exponent", r#"{"size":"1e300"}"#, &["size | 1e300 is too large or has a fraction"]),
        ("no number at all", r#"{"size":"big"}"#, &["size | a number is needed, this is a string"]),
        ("a string for a bool", r#"{"on":"true"}"#, &["on | a bool is needed, this is a string"]),
        (
            "inside a map of objects",
            r#"{"zones":{"z.1":{"region":true,"count":1.5}}}"#,
            &["zones[\"z.1\"].count | a whole number", "zones[\"z.1\"].region | a string"],
        ),
        (
            "inside a list of objects",
            r#"{"steps":[{"region":"sh","count":1},{"region":1,"count":1}]}"#,
            &["steps[1].region | a string"],
        ),
        (
            "inside a set the path stops at the set",
            r#"{"pool":[{"region":1,"count":1}]}"#,
            &["pool | a string"],
        ),
        ("inside a list", r#"{"tags":["a",1]}"#, &["tags[1] | a string"]),
        ("inside a map", r#"{"labels":{"k":"x"}}"#, &["labels[\"k\"] | a number"]),
        ("a list for a map", r#"{"zones":[]}"#, &["zones | a map is needed, this is a list"]),
        ("missing", r#"{"name":"-"}"#, &["name | the attribute is missing"]),
        (
            "missing inside",
            r#"{"zones":{"z":{"region":"sh"}}}"#,
            &["zones[\"z\"].count | the attribute is missing"],
        ),
        ("too much", r#"{"colour":"red"}"#, &["colour | the schema has no such attribute"]),
        ("all at once", r#"{"name":1,"size":1.5,"on":3}"#, &["name |", "on |", "size |"]),
        (
            "unknown is never wrong",
            r#"{"name":"?","size":"?12","zones":"?","tags":["?"],"ssh":"?12","pool":["?","?"]}"#,
            &[],
        ),
        ("unknown inside", r#"{"zones":{"z1":"?","z2":{"region":"?12","count":"?"}}}"#, &[]),
    ] {
        let (out, found) = decode(&config(changes));
        assert_eq!(out.is_ok(), want.is_empty(), "{name}: {found:?}");
        assert_eq!(found.len(), want.len(), "{name}: {found:?}");
        for (f, w) in found.iter().zip(want) {
            let (path, text) = w.split_once(" |").unwrap();
            assert!(
                f.starts_with(&format!("{path} |")) && f.contains(text),
                "{name}: {f:?} is not {w:?}"
            );
        }
    }
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    for bytes in [&[0x81][..], &[0xc0, 0xc0], &[0x01]] {
        let mut diags = Diagnostics::default();
        assert!(
            codec::decode::<State>(&schema(), "state", bytes, &mut diags).is_err(),
            "{bytes:?}"
        );
        assert_eq!(diags.errors.len(), 1, "{bytes:?}");
    }
    let mut diags = Diagnostics::default();
    assert!(
        codec::decode::<State>(&schema(), "state", &[], &mut diags).unwrap().is_none(),
        "no bytes are null"
    );
}

#[test]
fn unknown_null_and_value_are_told_apart() {
    let (out, _) = decode(&config(
        r#"{"name":"?12","size":null,"zones":{"z1":"?","z2":{"region":"?","count":2}}}"#,
    ));
    let state = out.unwrap().unwrap().state;
    assert_eq!((state.name, state.size), (Value::Unknown, Value::Null));
    let zones = state.zones.unwrap();
    assert_eq!(zones["z1"], Value::Unknown);
    assert_eq!(zones["z2"], Value::Value(Zone { region: Value::Unknown, count: Value::Value(2) }));
}

#[test]
fn equal_sets_and_maps_have_equal_trees() {
    let a =
        decode(&config(r#"{"flags":["x","y","x"],"labels":{"a":1,"b":2}}"#)).0.unwrap().unwrap();
    let b = decode(&config(r#"{"flags":["y","x"],"labels":{"b":2,"a":1}}"#)).0.unwrap().unwrap();
    assert_eq!(a.tree, b.tree);
    let c = decode(&config(r#"{"flags":["y","?","?"]}"#)).0.unwrap().unwrap();
    assert_eq!(
        tree::get(&c.tree, "flags").as_array().unwrap().len(),
        3,
        "two unknown elements may become two values"
    );
}

#[test]
fn random_states_survive_the_round_trip() {
    let mut rng = StdRng::seed_from_u64(1);
    for round in 0..300 {
        let state = random_state(&mut rng);
        let mut diags = Diagnostics::default();
        let tree = codec::encode(&schema(), "state", &state, &mut diags)
            .unwrap_or_else(|_| panic!("round {round}: {diags:?}"));
        let V::Map(all) = &tree else { panic!("not an object") };
        assert_eq!(all.len(), 10, "every attribute is present");
        let back: Decoded<State> =
            codec::decode(&schema(), "state", &tree::write(&tree), &mut diags).unwrap().unwrap();
        assert_eq!(back.tree, tree, "round {round}");
        let again = codec::encode(&schema(), "state", &back.state, &mut diags).unwrap();
        assert_eq!(again, tree, "round {round}");
    }
}

fn some<T>(rng: &mut StdRng, make: impl FnOnce(&mut StdRng) -> T) -> Value<T> {
    match rng.random_range(0..5) {
        0 => Value::Null,
        1 => Value::Unknown,
        _ => Value::Value(make(rng)),
    }
}
fn text(rng: &mut StdRng) -> String {
    (0..rng.random_range(0..9))
        .map(|_| ['a', '"', '\'', 'ä', '\0', '\n', '中', '?'][rng.random_range(0..8)])
        .collect()
}
fn many<T>(rng: &mut StdRng, mut make: impl FnMut(&mut StdRng) -> T) -> Vec<T> {
    (0..rng.random_range(0..4)).map(|_| make(rng)).collect()
}
fn random_zone(rng: &mut StdRng) -> Zone {
    Zone { region: some(rng, text), count: some(rng, StdRng::random) }
}
fn random_state(rng: &mut StdRng) -> State {
    State {
        name: some(rng, text),
        size: some(rng, |r| if r.random() { r.random() } else { r.random_range(-300..300) }),
        on: some(rng, StdRng::random),
        tags: some(rng, |r| many(r, |r| some(r, text))),
        flags: some(rng, |r| many(r, |r| some(r, text))),
        labels: some(rng, |r| {
            many(r, |r| (text(r), some(r, StdRng::random))).into_iter().collect()
        }),
        zones: some(rng, |r| many(r, |r| (text(r), some(r, random_zone))).into_iter().collect()),
        steps: some(rng, |r| many(r, |r| some(r, random_zone))),
        pool: some(rng, |r| many(r, |r| some(r, random_zone))),
        ssh: some(rng, |r| Ssh { user: some(r, text), key_wo: some(r, text) }),
    }
}

#[test]
fn a_state_that_does_not_fit_its_schema_is_our_bug_and_says_where() {
    #[derive(Serialize)]
    struct Half {
        name: Value<i64>,
    }
    let mut diags = Diagnostics::default();
    assert!(
        codec::encode(&schema(), "planned state", &Half { name: Value::Value(1) }, &mut diags)
            .is_err()
    );
    assert!(diags.errors.iter().any(|d| d.attribute.to_string() == "name"), "{diags:?}");
    assert!(diags.errors.iter().all(|d| d.detail.contains("bug of the provider")), "{diags:?}");
}

#[test]
fn validators_find_everything_at_once() {
    for (name, changes, want) in [
        ("all is well", "{}", &[][..]),
        ("a bad name", r#"{"name":"a/b"}"#, &["name"]),
        ("out of range", r#"{"size":101}"#, &["size"]),
        ("one of a list", r#"{"tags":["a","c","d"]}"#, &["tags", "tags"]),
        (
            "bad keys",
            r#"{"labels":{"a/b":1},"zones":{"z/":{"region":"gz","count":0}}}"#,
            &["labels[\"a/b\"]", "zones[\"z/\"]", "zones[\"z/\"].count", "zones[\"z/\"].region"],
        ),
        ("too few", r#"{"zones":{}}"#, &["zones"]),
        (
            "in lists and sets",
            r#"{"steps":[{"region":"gz","count":1}],"pool":[{"region":"gz","count":1}]}"#,
            &["pool.region", "steps[0].region"],
        ),
        ("write-only, hidden", r#"{"ssh":{"user":null,"key_wo":" "}}"#, &["ssh.key_wo"]),
        (
            "unknown and null are never wrong",
            r#"{"name":"?","size":null,"tags":["?"],"zones":{"z1":"?","z2":{"region":"?","count":null}},"steps":"?"}"#,
            &[],
        ),
    ] {
        let decoded = decode(&config(changes)).0.unwrap().unwrap();
        let mut diags = Diagnostics::default();
        check::validate(&schema(), &decoded.tree, &mut diags);
        let paths: Vec<_> = diags.errors.iter().map(|d| d.attribute.to_string()).collect();
        assert_eq!(paths, want, "{name}");
        assert!(
            diags.errors.iter().all(|d| !d.summary.is_empty() && !d.detail.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn what_another_resource_gives_is_checked_at_the_plan_alone() {
    let inner = || [("name", string("").required().one_of(&["a"]))];
    let schema = Schema::new(0, "")
        .attr("own", object("", inner()).required())
        .attr("one", object("", inner()).required().reference())
        .attr("many", map_of("", inner()).required().reference());
    let config = serde_json::json!({
        "own": { "name": "x" }, "one": { "name": "x" }, "many": { "k": { "name": "x" } }
    });
    let mut diags = Diagnostics::default();
    let tree = codec::from_json(&schema, "configuration", &config, &mut diags).ok().unwrap();
    let wrong = |check: fn(&Schema, &Tree, &mut Diagnostics)| {
        let mut diags = Diagnostics::default();
        check(&schema, &tree, &mut diags);
        diags.errors.iter().map(|d| d.attribute.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(wrong(check::validate), ["own.name"]);
    assert_eq!(wrong(check::references), ["many[\"k\"].name", "one.name"]);
}

#[test]
fn write_only_values_are_refused_for_old_callers_and_cleared_in_states() {
    let mut tree =
        decode(&config(r#"{"ssh":{"user":"u","key_wo":"hunter2"}}"#)).0.unwrap().unwrap().tree;
    let mut diags = Diagnostics::default();
    check::refuse_write_only(&schema(), &tree, &mut diags);
    assert_eq!(diags.errors.len(), 1);
    assert!(!format!("{diags:?}").contains("hunter2"));
    check::clear_write_only(&schema(), &mut tree);
    assert!(!format!("{tree:?}").contains("hunter2"));
    assert_eq!(tree::get(tree::get(&tree, "ssh"), "user").as_str(), Some("u"));
}

#[test]
fn stored_states_of_older_shape_are_filled_and_trimmed() {
    let mut diags = Diagnostics::default();
    let old = serde_json::json!({"name":"a","gone":1,"zones":{"z1":{"region":"sh"}},"size":7});
    let tree = codec::from_json(&schema(), "stored state", &old, &mut diags).unwrap();
    let state: Decoded<State> = codec::typed("stored state", tree, &mut diags).unwrap();
    assert_eq!(state.state.size, Value::Value(7));
    assert_eq!(
        state.state.zones.unwrap()["z1"],
        Value::Value(Zone { region: Value::Value("sh".into()), count: Value::Null })
    );
    assert!(
        codec::from_json(&schema(), "stored state", &serde_json::json!({"name":1}), &mut diags)
            .is_err()
    );
    assert_eq!(diags.errors[0].attribute.to_string(), "name");
}

#[test]
fn paths_of_plain_words_become_attributes_keys_and_indexes() {
    for (words, want) in [
        (&["name"][..], "name"),
        (&["zones", "z1", "region"], "zones[\"z1\"].region"),
        (&["labels", "k"], "labels[\"k\"]"),
        (&["steps", "1", "count"], "steps[1].count"),
        (&["tags", "0"], "tags[0]"),
        (&["ssh", "user"], "ssh.user"),
        (&["pool", "0", "region"], "pool"),
        (&["name", "x"], "name"),
        (&["nothing"], ""),
        (&["zones", "z1", "nothing"], "zones[\"z1\"]"),
        (&["steps", "x"], "steps"),
    ] {
        let path = schema().path(words);
        assert_eq!(path.to_string(), want, "{words:?}");
        assert_eq!(schema().resolve(&path), path, "{words:?}: a right path stays");
    }
}

#[test]
fn diagnostics_carry_no_backtrace() {
    let d = report::diagnostic(Problem::user("cannot do it").why("no").attribute(["zones", "z1"]));
    assert_eq!((d.summary.as_ref(), d.detail.as_ref()), ("Cannot do it", "why    no"));
    assert_eq!(
        report::diagnostic(Problem::user("ob_host cannot be imported")).summary,
        "ob_host cannot be imported"
    );
}

#[test]
fn no_source_uses_the_constructors_that_append_backtraces() {
    let banned = [
        "Diagnostic::new(",
        "Diagnostic::root(",
        "Diagnostic::short(",
        ".root_error(",
        ".root_warning(",
        ".error_short(",
        ".warning_short(",
        "root_error_short(",
        ".internal_error()",
        "diags.error(",
        "diags.warning(",
    ];
    let mut dirs = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs")
                && !path.ends_with("schema/tests.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                for word in banned {
                    assert!(!text.contains(word), "{} uses {word}", path.display());
                }
            }
        }
    }
}

#[test]
fn lint_finds_what_is_wrong_with_a_schema() {
    assert_eq!(schema().lint(), Vec::<String>::new());
    let bad = Schema::new(1, " ")
        .attr("a", string(""))
        .attr("b", string("b").computed().write_only())
        .attr("c", set_of("c", [("x", string("x").optional().write_only())]).optional())
        .attr("d", string("d").required())
        .attr("d", string("d").required())
        .attr("Name", string("n").required());
    let want = [
        "Name is not a name Terraform takes: a-z first, then a-z, 0-9, _",
        "a has no documentation",
        "a is neither required, optional nor computed",
        "b is write-only and computed",
        "c.x is write-only inside a set",
        "d is declared twice",
        "the schema has no documentation",
    ];
    assert_eq!(bad.lint(), want);
}

#[test]
fn a_value_that_is_nested_too_deep_is_an_error_and_no_overflow() {
    let nested = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
    assert!(tree::read(&nested(40)).is_ok());
    for levels in [201, 383, 100_000] {
        assert!(tree::read(&nested(levels)).is_err(), "{levels}");
    }
}
