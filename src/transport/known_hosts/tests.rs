//! Tables of `known_hosts`.
use super::*;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn key(text: &str) -> PublicKeyOrCertificate {
    PublicKey::from_openssh(text).unwrap().into()
}

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(text, "f");
    known
}

#[test]
fn lines_match_as_openssh_matches_them() {
    let hashed = |name: &str| {
        let salt = b"01234567890123456789";
        let tag =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt), name.as_bytes());
        format!("|1|{}|{} {A}", STANDARD.encode(salt), STANDARD.encode(tag.as_ref()))
    };
    let line = |names: &str| format!("{names} {A} a comment");

    for (case, text, host, port, want) in [
        ("exact", line("db1"), "db1", 22, "known"),
        ("case", line("DB1"), "Db1", 22, "known"),
        ("list", line("x,db1,10.0.0.1"), "10.0.0.1", 22, "known"),
        ("star", line("*.example.com"), "a.b.example.com", 22, "known"),
        ("star needs the rest", line("*.example.com"), "example.com", 22, "unknown"),
        ("question mark", line("db?"), "db1", 22, "known"),
        ("question mark is one", line("db?"), "db12", 22, "unknown"),
        ("negation wins", line("db*,!db2"), "db2", 22, "unknown"),
        ("negation spares others", line("!db2,db*"), "db1", 22, "known"),
        ("negation alone matches nothing", line("!db2"), "db1", 22, "unknown"),
        ("port", line("[db1]:2222"), "db1", 2222, "known"),
        ("port of its own only", line("[db1]:2222"), "db1", 22, "unknown"),
        ("plain line for a port", line("db1"), "db1", 2222, "known"),
        (
            "its own line beats the plain one",
            format!("db1 {A}\n[db1]:2222 {B}"),
            "db1",
            2222,
            "changed",
        ),
        ("wildcard with port", line("[*.example.com]:2222"), "a.example.com", 2222, "known"),
        ("hashed", hashed("db1"), "db1", 22, "known"),
        ("hashed, other host", hashed("db2"), "db1", 22, "unknown"),
        ("hashed with port", hashed("[db1]:2222"), "db1", 2222, "known"),
        ("ipv6", line("fe80::1"), "fe80::1", 22, "known"),
        ("changed", format!("db1 {B}"), "db1", 22, "changed"),
        ("one of several", format!("db1 {B}\ndb1 {A}"), "db1", 22, "known"),
        ("revoked", format!("db1 {A}\n@revoked db1 {A}"), "db1", 22, "revoked"),
        ("revoked for all", format!("@revoked * {A}"), "db1", 22, "revoked"),
        (
            "revoked by plain name, asked by port",
            format!("[db1]:2222 {A}\n@revoked db1 {A}"),
            "db1",
            2222,
            "revoked",
        ),
        ("revoked elsewhere", format!("db1 {A}\n@revoked db2 {A}"), "db1", 22, "known"),
        ("another key revoked", format!("db1 {A}\n@revoked * {B}"), "db1", 22, "known"),
        (
            "an authority's key is no host key",
            format!("@cert-authority * {A}"),
            "db1",
            22,
            "unknown",
        ),
        ("comment", format!("# db1 {A}"), "db1", 22, "unknown"),
        ("unknown marker", format!("@other db1 {A}"), "db1", 22, "unknown"),
        (
            "broken lines are passed over",
            format!("db1\ndb1 ssh-ed25519 !!!\n|1|x|y {B}\n\n   db1\t{A}"),
            "db1",
            22,
            "known",
        ),
        ("empty", String::new(), "db1", 22, "unknown"),
    ] {
        let got = match known(&text).check(host, port, &key(A), 0) {
            Verdict::Known => "known",
            Verdict::Unknown => "unknown",
            Verdict::Changed(_) => "changed",
            Verdict::Revoked(_) => "revoked",
            Verdict::BadCertificate(why) => panic!("{case}: {why}"),
        };
        assert_eq!(got, want, "{case}");
    }
}

#[test]
fn a_changed_key_says_what_was_expected_and_where() {
    let Verdict::Changed(text) = known(&format!("# first\ndb1 {B}")).check("db1", 22, &key(A), 0)
    else {
        panic!("not changed")
    };
    assert!(text.contains("ssh-ed25519 SHA256:") && text.contains("(f:2)"), "{text}");
}

#[test]
fn a_glob_with_many_stars_is_quick() {
    assert!(!glob(&"*a".repeat(200), &"a".repeat(150)));
    assert!(glob("*a*b", "xxaxxb"));
}

#[test]
fn a_file_that_ssh_keygen_hashed_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, format!("db1,10.0.0.1 {A}\n[db2]:2222 {A}\n")).unwrap();
    let done = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(done.status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("|1|") && !text.contains("db1"), "{text}");
    for (host, port, want) in [
        ("db1", 22, Verdict::Known),
        ("10.0.0.1", 22, Verdict::Known),
        ("db2", 2222, Verdict::Known),
        ("db3", 22, Verdict::Unknown),
    ] {
        assert_eq!(known(&text).check(host, port, &key(A), 0), want, "{host}");
    }
}
