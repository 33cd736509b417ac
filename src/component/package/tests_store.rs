//! What this machine keeps between runs, with a web server of the test's own.
use super::archive::making::{program, zip};
use super::{Archives, listing, store};

/// A server that answers each request with the next of `answers`, then ends with the count of
/// requests.
fn http(answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<usize>) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", socket.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut served = 0;
        for answer in answers {
            let (mut stream, _) = socket.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
                head.push(byte[0]);
            }
            std::io::Write::write_all(&mut stream, &answer).unwrap();
            served += 1;
        }
        served
    });
    (at, server)
}

fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
            .as_bytes(),
        body,
    ]
    .concat()
}

#[tokio::test]
async fn an_archive_by_url_is_downloaded_once_and_only_the_declared_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("a/b/archives");
    let (good, other) = (b"the archive".as_slice(), b"another one".as_slice());
    let sha = listing::digest(&mut &good[..]).unwrap().1;
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\
                     connection: close\r\n\r\n"
        .to_vec();
    let (at, server) = http(vec![
        answer("404 Not Found", 0, b""),
        answer("200 OK", 100, good),
        answer("200 OK", other.len(), other),
        redirect,
        answer("200 OK", good.len(), good),
    ]);
    let url = format!("{at}/seekdb.whl");
    let read = async |archives: &Archives| -> Result<Vec<u8>, String> {
        let mut file = archives.open(&url, &sha).await.map_err(|e| e.to_string())?;
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut text).unwrap();
        Ok(text)
    };
    let here = || Archives::new(Some(dir.path().join("a/b")));
    let archives = here();
    for want in ["404", "body", "its sha256 is"] {
        let said = read(&archives).await.unwrap_err();
        assert!(said.contains(want), "{said}");
        let kept: Vec<_> = std::fs::read_dir(&kept).unwrap().flatten().collect();
        assert!(kept.is_empty(), "nothing is kept of a failure: {kept:?}");
    }
    // Four at once cost one download, and the next process finds it in the store.
    let one = || read(&archives);
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    for got in [a, b, c, d] {
        assert_eq!(got.as_deref(), Ok(good));
    }
    assert_eq!(read(&here()).await.unwrap(), good);
    assert_eq!(server.join().unwrap(), 5, "all but one of these came from the store");
    // A damaged file in the store is not used. The server has ended by now.
    std::fs::write(kept.join(&sha), other).unwrap();
    assert!(read(&archives).await.unwrap_err().contains("onnect"));
    assert!(read(&Archives::new(None)).await.unwrap_err().contains("XDG_CACHE_HOME"));
}

#[tokio::test]
async fn who_downloads_keeps_nobody_waiting_who_wants_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let archives = Archives::new(Some(dir.path().join("cache")));
    let good = b"the archive".as_slice();
    let sha256 = listing::digest(&mut &good[..]).unwrap().1;
    let path = dir.path().join("here.whl");
    std::fs::write(&path, good).unwrap();
    // Takes the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.whl", silent.local_addr().unwrap());
    let other = "0".repeat(64);
    let mut stuck = std::pin::pin!(archives.open(&url, &other));
    let early = tokio::time::timeout(std::time::Duration::from_millis(100), &mut stuck).await;
    assert!(early.is_err(), "it is still downloading");
    let path = path.display().to_string();
    let beside = archives.open(&path, &sha256);
    let beside = tokio::time::timeout(std::time::Duration::from_secs(10), beside).await;
    assert!(beside.is_ok_and(|file| file.is_ok()));
}

#[tokio::test]
async fn a_listing_is_kept_and_what_is_no_listing_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store::Store::new(Some(dir.path().into()));
    let archive = zip(&[program("bin/x", b"abc")]);
    let path = dir.path().join("x.zip");
    std::fs::write(&path, &archive).unwrap();
    let sha256 = listing::digest(&mut &archive[..]).unwrap().1;
    let listing = Archives::new(None).list(&path.display().to_string(), &sha256).await.unwrap();
    assert_eq!(store.listing(&sha256), None);
    store.keep_listing(&sha256, &listing);
    assert_eq!(store.listing(&sha256).as_ref(), Some(&*listing));
    std::fs::write(dir.path().join("listings-1").join(&sha256), "{").unwrap();
    assert_eq!(store.listing(&sha256), None);
}

#[test]
fn the_store_is_where_the_environment_says() {
    for (xdg, home, want) in [
        (Some("/c"), Some("/h"), Some("/c/terraform-provider-ob")),
        (Some("relative"), Some("/h"), Some("/h/.cache/terraform-provider-ob")),
        (None, Some("/h"), Some("/h/.cache/terraform-provider-ob")),
        (None, Some(""), None),
        (None, None, None),
    ] {
        let var = |name: &str| match name {
            "XDG_CACHE_HOME" => xdg.map(str::to_owned),
            "HOME" => home.map(str::to_owned),
            _ => None,
        };
        assert_eq!(store::folder(var), want.map(Into::into), "{xdg:?} {home:?}");
    }
}

#[test]
fn an_archive_is_named_by_its_file() {
    for (location, want) in [
        ("/data/seekdb-1.0-x86_64.tar.gz", "seekdb-1.0-x86_64.tar.gz"),
        ("a?b#c%2B.whl", "a?b#c%2B.whl"),
        ("https://h/a/b.whl", "b.whl"),
        ("https://h/a/b%2B1.whl?token=x/y#sha", "b+1.whl"),
        ("HTTP://h", ""),
    ] {
        assert_eq!(store::file_name(location), want, "{location}");
    }
}
