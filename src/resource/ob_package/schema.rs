//! The attributes of `data.ob_package`.
use crate::resource::ob_cluster::PackageRef;
use crate::schema::build::{STRING, list_of, map, map_of, not_empty, number, object, string};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `data.ob_package`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageData {
    /// Archives.
    pub files: Value<Vec<Value<Archive>>>,
    /// Directory name on hosts.
    pub id: Value<String>,
    /// Software.
    pub name: Value<String>,
    /// Version.
    pub version: Value<String>,
    /// Architecture.
    pub arch: Value<String>,
    /// What clusters take.
    pub package: Value<PackageRef>,
}

/// One archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    /// Path.
    pub path: Value<String>,
    /// URL.
    pub url: Value<String>,
    /// Digest.
    pub sha256: Value<String>,
}

impl PackageData {
    /// Makes everything that is read unknown.
    pub(super) fn unknown(&mut self) {
        for value in [&mut self.id, &mut self.arch, &mut self.name, &mut self.version] {
            if value.is_null() {
                *value = Value::Unknown;
            }
        }
        self.package = Value::Unknown;
    }
}

fn sha256(text: &str) -> Result<(), String> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err("a sha256 has 64 hexadecimal digits, as sha256sum prints it".into())
    }
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    // The shape of `ob_cluster.package`; a test compares the two.
    let file = [
        ("source", string("sha256 of the archive it comes from.").computed()),
        ("member", string("Name in the archive.").computed()),
        ("size", number("Size in bytes.").computed()),
        ("sha256", string("Digest of the file.").computed()),
        ("mode", string("Permission bits, octal.").computed()),
    ];
    let package = [
        ("id", string("Directory name on hosts.").computed()),
        ("name", string("Software.").computed()),
        ("version", string("Version.").computed()),
        ("arch", string("Architecture.").computed()),
        (
            "sources",
            map("Archives: path on the machine that runs Terraform, or URL, by sha256.", STRING)
                .computed(),
        ),
        ("files", map_of("Files by the name they get on hosts.", file).computed()),
    ];
    Schema::new(
        0,
        "Software out of one or more archives, as `ob_cluster` takes it. Reading it changes \
         nothing: hosts get the files when something uses them, once, and each digest is verified \
         there.\n\nAn archive is a wheel, zip, tar (plain, gzip, xz, zstd) or rpm, known by its \
         content. For seekdb the `manylinux` wheel of `pylibseekdb` is enough: the server and the \
         one library it needs are taken from it. Archives with members that lead elsewhere (`..`, \
         absolute names, links), devices, duplicate names, or more than 100 times their own size \
         (64 MiB are always allowed, 16 GiB never exceeded) are refused.",
    )
    .attr(
        "files",
        list_of(
            "The archives that make up the package; the first one names it.",
            [
                (
                    "path",
                    string(
                        "Path on the machine that runs Terraform; relative to the folder it runs \
                         in, so `${path.module}/…` is best. The same path must hold the same file \
                         at apply. One of `path` and `url`.",
                    )
                    .optional()
                    .check(not_empty),
                ),
                (
                    "url",
                    string(
                        "Where to download it, `https://…` or `http://…`, without a login in it; \
                         `HTTPS_PROXY` and `NO_PROXY` are read. It is kept in \
                         `~/.cache/terraform-provider-ob` (`XDG_CACHE_HOME`) under its digest, \
                         and fetched again where it is missing, at apply too.",
                    )
                    .optional(),
                ),
                (
                    "sha256",
                    string(
                        "Digest of the archive. It must be set: without it, the error says which \
                         digest the file has, for you to compare.",
                    )
                    .optional()
                    .check(sha256),
                ),
            ],
        )
        .required()
        .at_least(1),
    )
    .attr(
        "name",
        string(
            "Software, for instance `seekdb`; from the archive's metadata or file name when not \
             set.",
        )
        .optional_computed()
        .check(not_empty),
    )
    .attr(
        "version",
        string("Version; from the archive's metadata or file name when not set.")
            .optional_computed()
            .check(not_empty),
    )
    .attr("arch", string("`x86_64`, `aarch64` or `noarch`.").computed())
    .attr(
        "id",
        string("Directory name on hosts: name, version and a digest over all files.").computed(),
    )
    .attr(
        "package",
        object("The package: `ob_cluster.x.package = data.ob_package.y.package`.", package)
            .computed(),
    )
}
