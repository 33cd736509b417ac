//! Makes archives for tests: good ones, and ones that no good tool would make.
use std::io::Write;

/// One member: kind as tar writes it (`0` file, `5` folder, `2` symlink, `1` hard link, `3` `4` `6`
/// specials).
#[derive(Clone, Debug)]
pub struct M {
    pub name: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub link: String,
    pub content: Vec<u8>,
}

pub fn file(name: &str, content: &[u8]) -> M {
    M { name: name.into(), kind: b'0', mode: 0o644, link: String::new(), content: content.to_vec() }
}
pub fn program(name: &str, content: &[u8]) -> M {
    M { mode: 0o755, ..file(name, content) }
}
pub fn link(name: &str, kind: u8, to: &str) -> M {
    M { kind, link: to.into(), ..file(name, b"") }
}

fn put(at: &mut [u8], text: &[u8]) {
    at[..text.len()].copy_from_slice(text);
}

pub fn header(name: &[u8], kind: u8, mode: u32, link: &[u8], size: usize) -> Vec<u8> {
    let mut h = vec![0_u8; 512];
    put(&mut h[..100], name);
    put(&mut h[100..], format!("{mode:07o}").as_bytes());
    put(&mut h[108..], b"0000000");
    put(&mut h[116..], b"0000000");
    put(&mut h[124..], format!("{size:011o}").as_bytes());
    put(&mut h[136..], b"00000000000");
    h[156] = kind;
    put(&mut h[157..], link);
    put(&mut h[257..], b"ustar\x0000");
    put(&mut h[148..], b"        ");
    let sum: u32 = h.iter().map(|b| u32::from(*b)).sum();
    put(&mut h[148..], format!("{sum:06o}\0 ").as_bytes());
    h
}

fn padded(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// A tar; names longer than 100 bytes are written as GNU long names.
pub fn tar(members: &[M]) -> Vec<u8> {
    let mut out = Vec::new();
    for m in members {
        if m.name.len() > 100 {
            out.extend(header(b"././@LongLink", b'L', 0o644, b"", m.name.len() + 1));
            padded(&mut out, &[m.name.as_slice(), b"\0"].concat());
        }
        out.extend(header(
            &m.name[..m.name.len().min(100)],
            m.kind,
            m.mode,
            m.link.as_bytes(),
            m.content.len(),
        ));
        padded(&mut out, &m.content);
    }
    out.resize(out.len() + 1024, 0);
    out
}

pub fn gz(data: &[u8]) -> Vec<u8> {
    let mut w = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    w.write_all(data).unwrap();
    w.finish().unwrap()
}
pub fn xz(data: &[u8]) -> Vec<u8> {
    let mut w = liblzma::write::XzEncoder::new(Vec::new(), 1);
    w.write_all(data).unwrap();
    w.finish().unwrap()
}
pub fn zst(data: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(data, 1).unwrap()
}

/// A zip with symlinks and names as given.
pub fn zip(members: &[M]) -> Vec<u8> {
    let mut w = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for m in members {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(m.mode);
        let name = String::from_utf8(m.name.clone()).unwrap();
        match m.kind {
            b'2' => w.add_symlink(name, m.link.clone(), options).unwrap(),
            b'5' => w.add_directory(name, options).unwrap(),
            _ => {
                w.start_file(name, options).unwrap();
                w.write_all(&m.content).unwrap();
            }
        }
    }
    w.finish().unwrap().into_inner()
}

/// A cpio in `newc` format.
pub fn cpio(members: &[M]) -> Vec<u8> {
    let mut out = Vec::new();
    let trailer = file("TRAILER!!!", b"");
    for (inode, m) in members.iter().chain([&trailer]).enumerate() {
        let kind = match m.kind {
            b'5' => 0o040_000,
            b'2' => 0o120_000,
            b'3' => 0o020_000,
            b'4' => 0o060_000,
            b'6' => 0o010_000,
            _ => 0o100_000,
        };
        let content = if m.kind == b'2' { m.link.as_bytes() } else { &m.content };
        let fields = [
            inode,
            kind | m.mode as usize,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            m.name.len() + 1,
            0,
        ];
        out.extend_from_slice(b"070701");
        fields.iter().for_each(|f| out.extend_from_slice(format!("{f:08x}").as_bytes()));
        out.extend_from_slice(&m.name);
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// An rpm with a valid header, followed by `payload`.
pub fn rpm(name: &str, payload: &[u8]) -> Vec<u8> {
    let config = rpm::BuildConfig::default().compression(rpm::CompressionType::None);
    let package = rpm::PackageBuilder::new(name, "1.4.0", "MIT", "x86_64", "a test")
        .using_config(config)
        .release("7.el8")
        .build()
        .unwrap();
    let mut out = Vec::new();
    package.write(&mut out).unwrap();
    let payload_at =
        usize::try_from(package.metadata.get_package_segment_offsets().payload).unwrap();
    out.truncate(payload_at);
    out.extend_from_slice(payload);
    out
}

/// The data in a file that disappears by itself.
pub fn on_disk(data: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(data).unwrap();
    file
}
