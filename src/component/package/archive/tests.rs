//! Tables of good and hostile archives, and a storm of damaged ones.
use super::making::*;
use super::*;
use crate::component::package::listing;
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn read(data: &[u8]) -> Result<listing::Listing, ArchiveError> {
    listing::read(&mut on_disk(data), &Limits::default())
}

fn good() -> Vec<M> {
    let long = format!("top/{}/deep.txt", "n".repeat(150));
    vec![
        link("top", b'5', ""),
        program("./top/bin/server", b"ELF\x00\x01"),
        file("top/empty", b""),
        link("top/lib.so", b'2', "bin/../bin/server"),
        file(&long, &vec![7; 5000]),
    ]
}

#[test]
fn every_format_lists_the_same_members_with_the_same_digests() {
    let t = tar(&good());
    let all = [
        ("tar", t.clone()),
        ("tar.gz", gz(&t)),
        ("tar.xz", xz(&t)),
        ("tar.zst", zst(&t)),
        ("zip", zip(&good())),
        ("rpm", rpm("x", &cpio(&good()))),
        ("rpm.gz", rpm("x", &gz(&cpio(&good())))),
        ("rpm.xz", rpm("x", &xz(&cpio(&good())))),
        ("rpm.zst", rpm("x", &zst(&cpio(&good())))),
    ];
    let want = read(&t).unwrap().members;
    assert_eq!(want.len(), 5);
    let server = &want["top/bin/server"];
    assert_eq!((server.size, server.mode, server.kind.clone()), (5, 0o755, Kind::File));
    // printf 'ELF\0\1' | sha256sum
    assert_eq!(server.sha256, "ac10f2527b82dd58ea29b3ebab436fd26fddf2ff5bb0f9ec396da8ff20c9379e");
    assert_eq!(want["top/lib.so"].kind, Kind::Symlink("top/bin/server".into()));
    for (format, data) in all {
        let found = read(&data).unwrap_or_else(|e| panic!("{format}: {e}"));
        let plain = |members: &std::collections::BTreeMap<String, listing::Member>| {
            members
                .iter()
                .filter(|(_, m)| m.kind == Kind::File)
                .map(|(n, m)| (n.clone(), m.size, m.sha256.clone(), m.mode & 0o777))
                .collect::<Vec<_>>()
        };
        assert_eq!(plain(&found.members), plain(&want), "{format}");
        assert_eq!(
            found.members["top/lib.so"].kind,
            Kind::Symlink("top/bin/server".into()),
            "{format}"
        );
        if format.starts_with("rpm") {
            assert_eq!(
                found.label,
                Label { name: "x".into(), version: "1.4.0-7.el8".into(), arch: "x86_64".into() }
            );
        }
    }
}

fn sha(data: &[u8]) -> String {
    listing::digest(&mut &data[..]).unwrap().1
}

#[test]
fn a_digest_is_the_one_that_sha256sum_prints() {
    assert_eq!(sha(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn hostile_members_are_refused_in_every_format() {
    let ok = file("ok", b"1");
    let with = |m: M| vec![ok.clone(), m];
    let raw = |name: &[u8]| M { name: name.to_vec(), ..file("x", b"1") };
    let tars: Vec<(&str, Vec<M>, &str)> = vec![
        ("..", with(file("a/../../etc/passwd", b"x")), "has a .. in it"),
        (".. alone", with(file("..", b"x")), "has a .. in it"),
        ("absolute", with(file("/etc/passwd", b"x")), "is absolute"),
        ("newline", with(file("a\nb", b"x")), "control characters"),
        ("backslash", with(file("..\\a", b"x")), "backslashes"),
        ("no utf-8", with(raw(&[b'a', 0xff])), "no UTF-8"),
        ("too long", with(file(&"d/".repeat(600), b"")), "too long"),
        ("link up", with(link("a/l", b'2', "../../etc/shadow")), "its link does"),
        ("link up and down again", with(link("l", b'2', "../l")), "its link does"),
        ("device", with(link("dev", b'3', "")), "character device"),
        ("block device", with(link("dev", b'4', "")), "block device"),
        ("pipe", with(link("p", b'6', "")), "named pipe"),
        ("twice", vec![ok.clone(), ok.clone()], "is there twice"),
        ("twice by another spelling", vec![ok.clone(), file(".//ok", b"2")], "is there twice"),
        ("file and folder", vec![ok.clone(), link("ok", b'5', "")], "is there twice"),
        ("below a file", vec![ok.clone(), file("ok/x", b"2")], "lies below a file or link"),
        (
            "below a link",
            vec![link("l", b'2', "d"), file("d/x", b"2"), file("l/x", b"3")],
            "lies below a file or link",
        ),
    ];
    for (name, members, want) in &tars {
        for (format, data) in [
            ("tar", tar(members)),
            ("tar.gz", gz(&tar(members))),
            ("rpm", rpm("x", &cpio(members))),
        ] {
            let error = read(&data).expect_err(&format!("{name} in {format}")).to_string();
            assert!(error.contains(want), "{name} in {format}: {error}");
        }
    }
    // What the other formats cannot hold.
    for (name, data, want) in [
        ("absolute link", tar(&with(link("l", b'2', "/etc/shadow"))), "its link does"),
        ("hard link out", tar(&with(link("l", b'1', "../x"))), "its hard link does"),
        ("absolute hard link", tar(&with(link("l", b'1', "/etc/shadow"))), "its hard link does"),
        ("sparse", tar(&with(link("s", b'S', ""))), "sparse"),
        ("unknown kind", tar(&with(link("s", b'Q', ""))), "unknown kind"),
        (
            "long name of 2 MiB",
            [header(b"././@LongLink", b'L', 0o644, b"", 2 << 20), vec![b'a'; 2 << 20], tar(&[])]
                .concat(),
            "too long",
        ),
        ("zip ..", zip(&with(file("../x", b"x"))), "has a .. in it"),
        ("zip absolute", zip(&with(file("/x", b"x"))), "is absolute"),
        ("zip link", zip(&with(link("l", b'2', "../../x"))), "its link does"),
        ("zip below a file", zip(&with(file("ok/x", b"x"))), "lies below a file or link"),
        (
            "zip twice",
            replace(zip(&[file("aaaa", b"1"), file("aaab", b"2")]), b"aaab", b"aaaa"),
            "is there twice",
        ),
    ] {
        let error = read(&data).expect_err(name).to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
}

fn replace(mut data: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for at in 0..data.len() - from.len() {
        if data[at..].starts_with(from) {
            data[at..at + to.len()].copy_from_slice(to);
        }
    }
    data
}

#[test]
fn bombs_are_refused_and_dense_good_archives_are_not() {
    let zeros = |mib: usize| vec![file("z", &vec![0; mib << 20])];
    for (name, data) in [
        ("tar.gz", gz(&tar(&zeros(200)))),
        ("tar.zst", zst(&tar(&zeros(200)))),
        ("tar.xz", xz(&tar(&zeros(200)))),
        ("zip", zip(&zeros(200))),
        ("rpm", rpm("x", &gz(&cpio(&zeros(200))))),
    ] {
        assert!(
            matches!(read(&data), Err(ArchiveError::Bomb(..))),
            "{name} of {} bytes: {:?}",
            data.len(),
            read(&data).map(|l| l.members.len())
        );
    }
    // Zeros after the end of a tar, which no tool looks at.
    assert!(matches!(
        read(&gz(&[tar(&[file("a", b"1")]), vec![0; 300 << 20]].concat())),
        Err(ArchiveError::Bomb(..))
    ));
    read(&gz(&tar(&zeros(50)))).unwrap();
    let few = Limits { members: 3, ..Limits::default() };
    let many: Vec<M> = (0..4).map(|n| file(&format!("f{n}"), b"")).collect();
    assert!(matches!(
        listing::read(&mut on_disk(&tar(&many)), &few),
        Err(ArchiveError::TooMany(3))
    ));
}

#[test]
fn cut_damaged_and_foreign_files_are_told_apart() {
    let t = tar(&good());
    let mut crc = gz(&t);
    let at = crc.len() - 6;
    crc[at] ^= 1;
    let mut zipped = zip(&[file("a", &[9; 400])]);
    zipped[33] ^= 0x10;
    let package = rpm("x", &gz(&cpio(&good())));
    for (name, data, damaged) in [
        ("half of a tar", t[..t.len() / 2].to_vec(), true),
        ("tar without its end", t[..t.len() - 1024].to_vec(), true),
        ("tar.gz without its last byte", gz(&t)[..gz(&t).len() - 1].to_vec(), true),
        ("tar.gz with a wrong checksum", crc, true),
        ("half of a tar.xz", xz(&t)[..xz(&t).len() / 2].to_vec(), true),
        ("half of a tar.zst", zst(&t)[..zst(&t).len() / 2].to_vec(), true),
        ("half of a zip", zip(&good())[..zip(&good()).len() / 2].to_vec(), true),
        ("zip with a flipped bit", zipped, true),
        ("rpm without payload", rpm("x", b""), true),
        ("rpm without its last byte", package[..package.len() - 1].to_vec(), true),
        ("half of an rpm header", package[..300].to_vec(), true),
        ("an HTML page", b"<!DOCTYPE html><html>404".repeat(50), false),
        ("nothing", Vec::new(), false),
        ("a compressed text", gz(&b"hello ".repeat(200)), false),
        ("a compressed nothing", gz(b""), false),
        ("zeros", vec![0; 4096], false),
    ] {
        let error = read(&data).expect_err(name);
        assert_eq!(matches!(error, ArchiveError::Damaged(_)), damaged, "{name}: {error:?}");
        assert_eq!(matches!(error, ArchiveError::NotAnArchive(_)), !damaged, "{name}: {error:?}");
    }
}

/// Whatever a file holds, reading it ends, without a panic, and without an allocation that the
/// file's size does not warrant.
#[test]
fn a_storm_of_damaged_archives_never_panics() {
    let mut random = StdRng::seed_from_u64(1);
    let t = tar(&good());
    let all = [
        t.clone(),
        gz(&t),
        xz(&t),
        zst(&t),
        zip(&good()),
        rpm("x", &cpio(&good())),
        rpm("x", &gz(&cpio(&good()))),
    ];
    for data in &all {
        for _ in 0..400 {
            let mut data = data.clone();
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..data.len());
                data[at] = random.random();
            }
            if random.random_bool(0.2) {
                data.truncate(random.random_range(0..data.len()));
            }
            let _ = read(&data);
        }
    }
}

#[test]
fn every_error_says_what_to_do() {
    for error in [
        ArchiveError::Read("x".into()),
        ArchiveError::NotAnArchive("x".into()),
        ArchiveError::Damaged("x".into()),
        ArchiveError::Bomb(1, 2),
        ArchiveError::Digest { found: "a".into(), declared: "b".into() },
    ] {
        let problem = error.explain(std::path::Path::new("/x.whl"));
        assert!(
            !problem.fix.is_empty() && !problem.why.is_empty() && problem.place == "/x.whl",
            "{problem}"
        );
    }
}
