//! Tests of the data source by itself.
use super::*;
use crate::schema::{Attribute, AttributeType as T};
use std::collections::HashMap;

fn v(text: &str) -> Value<String> {
    Value::Value(text.to_owned())
}

fn config(archives: Vec<Archive>) -> PackageData {
    PackageData {
        files: Value::Value(archives.into_iter().map(Value::Value).collect()),
        ..PackageData::default()
    }
}

fn shape(kind: &T) -> String {
    let inner = |all: &HashMap<String, Attribute>| {
        let mut all: Vec<_> =
            all.iter().map(|(name, a)| format!("{name}:{}", shape(&a.attr_type))).collect();
        all.sort();
        all.join(",")
    };
    match kind {
        T::AttributeSingle(all) => format!("{{{}}}", inner(all)),
        T::AttributeMap(all) => format!("map({})", inner(all)),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_package_has_the_shape_that_clusters_take() {
    assert_eq!(schema::schema().lint(), Vec::<String>::new());
    let cluster =
        crate::schema::build::object("x", crate::resource::ob_cluster::package_attributes());
    let cluster = Schema::new(0, "x").attr("package", cluster);
    let own = schema::schema();
    let of = |schema: &Schema| shape(&schema.attributes()["package"].attr_type);
    assert_eq!(of(&own), of(&cluster));
    assert!(of(&own).contains("files:map(member:"), "{}", of(&own));
}

#[test]
fn one_of_path_and_url_is_needed_and_unknown_is_neither_wrong_nor_missing() {
    for (archive, want) in [
        (Archive { url: v("https://x/y.whl"), ..Archive::default() }, 0),
        (Archive { url: v("HTTP://x:8080/y.whl?a=b@c"), ..Archive::default() }, 0),
        (Archive { url: v(""), ..Archive::default() }, 1),
        (Archive { url: v("ftp://x/y.whl"), ..Archive::default() }, 1),
        (Archive { url: v("https:///y.whl"), ..Archive::default() }, 1),
        (Archive { url: v("https://me:pw@x/y.whl"), ..Archive::default() }, 1),
        (Archive { url: v("https://me@x/y.whl"), ..Archive::default() }, 1),
        (Archive { url: v("https://[::1]:8080/y.whl"), ..Archive::default() }, 0),
        (Archive { url: v("https://x:99999/y.whl"), ..Archive::default() }, 1),
        (Archive { url: v("https://[::g]/y.whl"), ..Archive::default() }, 1),
        (Archive { url: v("https://x/y.whl"), path: v("y.whl"), ..Archive::default() }, 1),
        (Archive::default(), 1),
        (Archive { path: v("y.whl"), ..Archive::default() }, 0),
        (Archive { path: Value::Unknown, sha256: Value::Unknown, ..Archive::default() }, 0),
        (Archive { url: Value::Unknown, ..Archive::default() }, 0),
    ] {
        let mut diags = Diagnostics::default();
        ObPackage.validate(&config(vec![archive.clone()]), &mut diags);
        assert_eq!(diags.errors.len(), want, "{archive:?}");
        if want > 0 {
            assert!(
                diags.errors[0].attribute.to_string().starts_with("files[0]"),
                "{}",
                diags.errors[0].attribute
            );
        }
    }
    let mut diags = Diagnostics::default();
    ObPackage
        .validate(&PackageData { files: Value::Unknown, ..PackageData::default() }, &mut diags);
    assert!(diags.errors.is_empty());
}

#[tokio::test]
async fn unknown_inputs_give_unknown_answers() {
    for unknown in [
        PackageData { files: Value::Unknown, ..PackageData::default() },
        config(vec![Archive { path: Value::Unknown, ..Archive::default() }]),
        config(vec![Archive { path: v("/x"), sha256: Value::Unknown, ..Archive::default() }]),
        PackageData {
            version: Value::Unknown,
            ..config(vec![Archive { path: v("/x"), ..Archive::default() }])
        },
    ] {
        let found = look(&Archives::new(None), unknown.clone()).await.unwrap();
        assert!(
            found.package.is_unknown() && found.id.is_unknown() && found.arch.is_unknown(),
            "{unknown:?}"
        );
    }
}

#[tokio::test]
async fn a_package_is_read_whole_and_comes_back_as_clusters_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tool-1.2-x86_64.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("bin/tool", zip::write::SimpleFileOptions::default().unix_permissions(0o755))
        .unwrap();
    std::io::Write::write_all(&mut zip, b"abc").unwrap();
    zip.finish().unwrap();
    let path = path.display().to_string();
    let missing =
        look(&Archives::new(None), config(vec![Archive { path: v(&path), ..Archive::default() }]))
            .await
            .unwrap_err();
    assert_eq!(missing.attribute, ["files", "0", "sha256"]);
    let digest = missing.fix.split('"').nth(1).unwrap().to_owned();
    // A digest in upper case means the same.
    let found = look(
        &Archives::new(None),
        config(vec![Archive {
            path: v(&path),
            sha256: v(&digest.to_uppercase()),
            ..Archive::default()
        }]),
    )
    .await
    .unwrap();
    assert_eq!(
        (found.name.clone(), found.version.clone(), found.arch.clone()),
        (v("tool"), v("1.2"), v("x86_64"))
    );
    let Value::Value(package) = &found.package else { panic!("{found:?}") };
    let package = package.package().unwrap();
    assert_eq!(Value::Value(package.id.clone()), found.id);
    assert_eq!(package.sources, [(digest, path)].into());
    let tool = &package.files["tool"];
    assert_eq!(
        (tool.sha256.as_str(), tool.size, tool.mode),
        ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3, 0o755)
    );
}
