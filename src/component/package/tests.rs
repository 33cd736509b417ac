//! A package's whole life on a host: this machine with a state folder of its own.
use super::archive::making::{M, cpio, file, gz, link, program, rpm, tar, zip, zst};
use super::describe::{Declared, describe};
use super::*;
use crate::base::Problem;
use crate::engine::effect::STATE;
use crate::engine::{Cx, Host};
use crate::transport::files::Place;
use crate::transport::{Connector, Endpoint, Script, Transport, TransportError, local::Local};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A process that has read nothing yet.
fn here() -> Archives {
    Archives::new(None)
}

struct Lab {
    dir: tempfile::TempDir,
    host: Host,
    cx: Cx,
    transport: Arc<dyn Transport>,
}

struct Only(Arc<dyn Transport>);

#[async_trait::async_trait]
impl Connector for Only {
    async fn connect(&self, _: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(self.0.clone())
    }
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("st ate").display().to_string();
        let endpoint = Endpoint {
            name: "here".into(),
            address: "local".parse().unwrap(),
            port: 0,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        };
        let transport: Arc<dyn Transport> =
            Arc::new(Local::new(endpoint.clone(), [("OB_STATE".to_owned(), state)].into()));
        let cx = Cx::new(
            Arc::new(Only(transport.clone())),
            tokio_util::sync::CancellationToken::new(),
            BTreeMap::new(),
        );
        Self { dir, host: Host { endpoint, run_as: String::new() }, cx, transport }
    }
    fn write(&self, name: &str, data: &[u8]) -> Declared {
        let path = self.dir.path().join(name);
        std::fs::write(&path, data).unwrap();
        Declared {
            location: path.display().to_string(),
            sha256: listing::digest(&mut &data[..]).unwrap().1,
        }
    }
    fn at(&self, package: &Package, name: &str) -> PathBuf {
        self.dir.path().join("st ate/packages").join(&package.id).join(name)
    }
    async fn fill(&self, package: &Package) -> Result<(usize, usize), Problem> {
        let values = place::state(&self.cx, &self.host, package).await?;
        let state = crate::engine::Template::value(STATE).fill(&values)?;
        let files = place::files(package);
        let to = Place {
            run_as: String::new(),
            cache: format!("{state}/cache"),
            dest: format!("{state}/{}", files.folder),
            deep: false,
        };
        let specs = files.specs(&here());
        let placed = crate::transport::files::place(&self.transport, &to, &specs).await?;
        Ok((placed.sent, placed.linked))
    }
    async fn publish(&self, package: &Package) -> Result<(), String> {
        let out = {
            let program = place::publish(package).script(&Default::default()).unwrap();
            let script = format!("{}{program}", crate::engine::gate::LIB);
            self.transport.run(&Script::new(script)).await.unwrap()
        };
        if out.ok() { Ok(()) } else { Err(out.tail()) }
    }
    async fn place(&self, package: &Package) -> (usize, usize) {
        let done = self.fill(package).await.unwrap();
        self.publish(package).await.unwrap();
        done
    }
    async fn there(&self, package: &Package) -> bool {
        place::is_there(&self.cx, &self.host, package).await.unwrap()
    }
    async fn bad(&self, package: &Package) -> Vec<String> {
        place::verify_deep(&self.cx, &self.host, package).await.unwrap()
    }
}

/// Writes into a file in place, keeping its size and its mtime.
fn tamper(path: &Path) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"evil", 3).unwrap();
    file.set_modified(before).unwrap();
}

fn wheel(version: &str, server: &[u8]) -> Vec<u8> {
    let info = format!("pylibseekdb-{version}.dist-info");
    zip(&[
        file("pylibseekdb/__init__.py", b"#"),
        program("pylibseekdb/seekdb", server),
        file("pylibseekdb/libaio.so.1", b"the same library in each version"),
        file("pylibseekdb/libseekdb.so", b"for python"),
        file(
            &format!("{info}/METADATA"),
            format!("Metadata-Version: 2.4\nName: pylibseekdb\nVersion: {version}\n\nVersion: 9\n")
                .as_bytes(),
        ),
        file(
            &format!("{info}/WHEEL"),
            b"Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n",
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_sent_once_shared_rolled_back_to_and_tampering_is_noticed() {
    let lab = Lab::new();
    let big: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let w1 = lab.write("v1.whl", &wheel("1.4.0", &big));
    let w2 = lab.write("v2.whl", &wheel("1.4.0.post1", b"another server"));
    let v1 = describe(&here(), &[w1.clone()], None, None).await.unwrap();
    let v2 = describe(&here(), &[w2], None, None).await.unwrap();
    assert_eq!(
        (v1.name.as_str(), v1.version.as_str(), v1.arch.as_str()),
        ("seekdb", "1.4.0", "x86_64")
    );
    assert_eq!(
        v1.files.iter().map(|(n, f)| (n.as_str(), f.mode)).collect::<Vec<_>>(),
        [("libaio.so.1", 0o644), ("seekdb", 0o755)]
    );
    assert!(v1.id.starts_with("seekdb-1.4.0-"), "{}", v1.id);

    assert!(!lab.there(&v1).await);
    assert_eq!(lab.fill(&v1).await.unwrap(), (2, 2));
    assert!(!lab.there(&v1).await, "not whole before it was published");
    lab.publish(&v1).await.unwrap();
    assert!(lab.there(&v1).await);
    assert_eq!(std::fs::read(lab.at(&v1, "seekdb")).unwrap(), big);
    assert_eq!(
        std::fs::metadata(lab.at(&v1, "seekdb")).unwrap().permissions().mode() & 0o777,
        0o755
    );
    assert_eq!(
        std::fs::metadata(lab.dir.path().join("st ate/packages")).unwrap().permissions().mode()
            & 0o777,
        0o700
    );
    assert_eq!(lab.place(&v1).await, (0, 0), "placed twice, sent once");

    // The second version shares the library: one file is sent, and the first version's look does
    // not take the new link of the library for a change.
    assert_eq!(lab.place(&v2).await, (1, 2));
    assert!(lab.there(&v2).await && lab.there(&v1).await);

    // Places the first version again, from a machine that no longer has its archive.
    std::fs::remove_file(&w1.location).unwrap();
    assert_eq!(lab.place(&v1).await, (0, 0));
    std::fs::remove_dir_all(lab.at(&v1, "")).unwrap();
    assert!(!lab.there(&v1).await);
    assert_eq!(lab.place(&v1).await, (0, 2), "linked from the cache");
    assert!(lab.there(&v1).await && lab.there(&v2).await);

    // Somebody writes into the server, keeping size and mtime, within the same second.
    assert!(lab.bad(&v2).await.is_empty());
    tamper(&lab.at(&v2, "seekdb"));
    assert!(!lab.there(&v2).await);
    assert_eq!(lab.bad(&v2).await, ["seekdb"]);
    assert!(lab.publish(&v2).await.unwrap_err().contains("changed by somebody"));
    assert_eq!(lab.place(&v2).await, (1, 1));
    assert!(lab.there(&v2).await && lab.bad(&v2).await.is_empty());
    // Somebody writes into the shared library: both packages notice, one file is sent, both are
    // right again.
    std::fs::write(&w1.location, wheel("1.4.0", &big)).unwrap();
    tamper(&lab.at(&v1, "libaio.so.1"));
    assert!(!lab.there(&v1).await && !lab.there(&v2).await);
    assert_eq!((lab.place(&v1).await.0, lab.place(&v2).await.0), (1, 0));
    assert!(lab.there(&v1).await && lab.there(&v2).await);
    // Another mode, a link instead of a file, a missing file.
    for damage in ["chmod 600 seekdb", "mv seekdb x && ln -s x seekdb", "rm seekdb"] {
        let done = std::process::Command::new("sh")
            .arg("-c")
            .arg(damage)
            .current_dir(lab.at(&v1, ""))
            .status()
            .unwrap();
        assert!(
            done.success() && !lab.there(&v1).await && lab.bad(&v1).await == ["seekdb"],
            "{damage}"
        );
        lab.place(&v1).await;
        assert!(lab.there(&v1).await, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_changed_since_the_plan_is_refused_by_both_digests() {
    let lab = Lab::new();
    for data in [wheel("1.4.0", b"server"), gz(&tar(&[program("seekdb-1/bin/seekdb", b"server")]))]
    {
        let declared = lab.write("seekdb-1.4.0.tar.gz", &data);
        let package = describe(&here(), &[declared.clone()], None, None).await.unwrap();
        let other = [data.as_slice(), b"more"].concat();
        let now = lab.write("seekdb-1.4.0.tar.gz", &other);
        let problem = lab.fill(&package).await.unwrap_err().to_string();
        assert!(
            problem.contains(&now.sha256)
                && problem.contains(&declared.sha256)
                && problem.contains("seekdb-1.4.0.tar.gz"),
            "{problem}"
        );
        std::fs::remove_file(&declared.location).unwrap();
        let problem = lab.fill(&package).await.unwrap_err().to_string();
        assert!(
            problem.contains("No such file") && problem.contains(&declared.location),
            "{problem}"
        );
        let left = || {
            std::fs::read_dir(lab.dir.path().join("st ate/cache"))
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect::<Vec<_>>()
        };
        assert!(left().is_empty(), "{:?}", left());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_the_plan_says_is_refused_on_the_host() {
    let lab = Lab::new();
    let mut package =
        describe(&here(), &[lab.write("a.whl", &wheel("1.4.0", b"server"))], None, None)
            .await
            .unwrap();
    let good = package.files["seekdb"].sha256.clone();
    package.files.get_mut("seekdb").unwrap().sha256 = "0".repeat(64);
    let problem = lab.fill(&package).await.unwrap_err().to_string();
    assert!(problem.contains(&good) && problem.contains(&"0".repeat(64)), "{problem}");
    package.id = "../x".into();
    assert!(
        lab.fill(&package)
            .await
            .unwrap_err()
            .to_string()
            .contains("cannot place a package with the id")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_placers_at_once_on_one_host_all_end_well() {
    let lab = Arc::new(Lab::new());
    let many: Vec<M> =
        (0..30).map(|n| file(&format!("top/f{n}"), &vec![n; 10_000 * usize::from(n)])).collect();
    let a = Arc::new(
        describe(&here(), &[lab.write("tool-1-x86_64.tar.gz", &gz(&tar(&many)))], None, None)
            .await
            .unwrap(),
    );
    let b = Arc::new(
        describe(
            &here(),
            &[lab.write("tool-2-x86_64.tar.zst", &zst(&tar(&many[..20])))],
            None,
            None,
        )
        .await
        .unwrap(),
    );
    assert_eq!((a.files.len(), b.files.len(), a.files.contains_key("f7")), (30, 20, true));
    let mut jobs = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (lab, package) = (lab.clone(), if n % 2 == 0 { a.clone() } else { b.clone() });
        jobs.spawn(async move { lab.place(&package).await });
    }
    while let Some(done) = jobs.join_next().await {
        done.unwrap();
    }
    for package in [&a, &b] {
        assert!(lab.bad(package).await.is_empty());
        lab.place(package).await;
        assert!(lab.there(package).await);
    }
}

#[tokio::test]
async fn archives_become_packages_or_say_why_not() {
    let lab = Lab::new();
    let bins = rpm(
        "oceanbase-ce",
        &gz(&cpio(&[
            program("./home/admin/oceanbase/bin/observer", b"o"),
            link("./usr/lib/.build-id/x", b'2', "../../../home/admin/oceanbase/bin/observer"),
            link("./home/admin/oceanbase/bin/obs", b'2', "/home/admin/oceanbase/bin/observer"),
            link("./home/admin/oceanbase/aio.so", b'2', "lib/libaio.so.1"),
        ])),
    );
    let libs = rpm(
        "oceanbase-ce-libs",
        &cpio(&[
            file("./home/admin/oceanbase/lib/libaio.so.1.0.1", b"l"),
            link("./home/admin/oceanbase/lib/libaio.so.1", b'2', "libaio.so.1.0.1"),
        ]),
    );
    let both = [lab.write("a.rpm", &bins), lab.write("b.rpm", &libs)];
    let package = describe(&here(), &both, None, None).await.unwrap();
    assert_eq!(
        (package.name.as_str(), package.version.as_str(), package.arch.as_str()),
        ("oceanbase-ce", "1.4.0-7.el8", "x86_64")
    );
    // A link into another archive becomes a file of that archive.
    assert_eq!(
        (package.files["aio.so"].source.as_str(), package.files["bin/obs"].source.as_str()),
        (both[1].sha256.as_str(), both[0].sha256.as_str())
    );
    assert_eq!(
        package
            .files
            .iter()
            .map(|(n, f)| (n.as_str(), f.member.as_str(), f.mode))
            .collect::<Vec<_>>(),
        [
            ("aio.so", "home/admin/oceanbase/lib/libaio.so.1.0.1", 0o644),
            ("bin/obs", "home/admin/oceanbase/bin/observer", 0o755),
            ("bin/observer", "home/admin/oceanbase/bin/observer", 0o755),
            ("lib/libaio.so.1", "home/admin/oceanbase/lib/libaio.so.1.0.1", 0o644),
            ("lib/libaio.so.1.0.1", "home/admin/oceanbase/lib/libaio.so.1.0.1", 0o644),
        ]
    );
    assert_eq!(package.sources.len(), 2);
    let folders = std::cell::Cell::new(0);
    let tool = |name: &str, members: &[M]| {
        folders.set(folders.get() + 1);
        std::fs::create_dir(lab.dir.path().join(folders.get().to_string())).unwrap();
        lab.write(&format!("{}/{name}", folders.get()), &tar(members))
    };
    let x = program("t/x", b"1");
    for (archives, name, version, want) in [
        (
            vec![tool("t-1-x86_64.tar", &[x.clone()]), tool("t-2-x86_64.tar", &[x.clone()])],
            None,
            None,
            "different versions",
        ),
        (
            vec![tool("t-1-x86_64.tar", &[x.clone()]), tool("t-1-aarch64.tar", &[x.clone()])],
            None,
            None,
            "different machines",
        ),
        (
            vec![tool("t-1.tar", &[x.clone()]), tool("u-1.tar", &[program("t/x", b"2")])],
            None,
            None,
            "different files \"x\"",
        ),
        (vec![tool("t.tar", &[x.clone()])], None, None, "cannot tell the name"),
        (vec![tool("t.tar", &[x.clone()])], Some("t"), None, "cannot tell the version"),
        (
            vec![tool("t.tar", &[x.clone()])],
            Some("t"),
            Some("1/../.."),
            "the version of a package cannot be",
        ),
        (vec![tool("t-1.tar", &[link("t", b'5', "")])], None, None, "holds no file"),
        (
            vec![tool("t-1.tar", &[link("t/l", b'2', "gone")])],
            None,
            None,
            "which no archive of the package has",
        ),
        (
            vec![tool("t-1.tar", &[link("a", b'2', "b"), link("b", b'2', "a")])],
            None,
            None,
            "which no archive of the package has",
        ),
        (
            vec![lab.write(
                "w.whl",
                &zip(&[
                    file("pylibseekdb-1.dist-info/METADATA", b"Name: pylibseekdb\nVersion: 1\n"),
                    file("pylibseekdb-1.dist-info/WHEEL", b"Tag: x\n"),
                ]),
            )],
            None,
            None,
            "holds no seekdb",
        ),
        (
            vec![Declared { sha256: String::new(), ..tool("t-1.tar", &[x.clone()]) }],
            None,
            None,
            &format!("set sha256 = \"{}\"", tool("t-1.tar", &[x.clone()]).sha256),
        ),
        (
            vec![Declared { sha256: "0".repeat(64), ..tool("t-1.tar", &[x.clone()]) }],
            None,
            None,
            &format!("set sha256 = \"{}\"", tool("t-1.tar", &[x.clone()]).sha256),
        ),
        (
            vec![Declared { location: "/no/such".into(), sha256: String::new() }],
            None,
            None,
            "No such file",
        ),
        (
            vec![Declared { location: "/".into(), sha256: String::new() }],
            None,
            None,
            "it is no file",
        ),
    ] {
        let problem = describe(&here(), &archives, name, version).await.expect_err(want);
        assert!(
            problem.to_string().contains(want)
                && !problem.fix.is_empty()
                && !problem.attribute.is_empty(),
            "{want}: {problem}"
        );
    }
    let named = describe(&here(), &[tool("t.tar", &[x])], Some("t"), Some("3")).await.unwrap();
    assert_eq!((named.id.starts_with("t-3-"), named.arch.as_str()), (true, "noarch"));
}

/// The real wheel, when `OB_TEST_WHEEL` names it.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_seekdb_wheel_is_a_package() {
    let Ok(path) = std::env::var("OB_TEST_WHEEL") else {
        eprintln!(
            "SKIPPED the_real_seekdb_wheel_is_a_package: set OB_TEST_WHEEL to the manylinux wheel \
             of pylibseekdb"
        );
        return;
    };
    let sha256 = listing::digest(&mut std::fs::File::open(&path).unwrap()).unwrap().1;
    let began = std::time::Instant::now();
    let package =
        describe(&here(), &[Declared { location: path, sha256 }], None, None).await.unwrap();
    eprintln!("described in {:?}", began.elapsed());
    assert_eq!(package.files.keys().collect::<Vec<_>>(), ["libaio.so.1", "seekdb"]);
    let lab = Lab::new();
    let began = std::time::Instant::now();
    assert_eq!(lab.place(&package).await, (2, 2));
    eprintln!("placed in {:?}", began.elapsed());
    let began = std::time::Instant::now();
    assert!(lab.there(&package).await);
    eprintln!("checked in {:?}", began.elapsed());
}
