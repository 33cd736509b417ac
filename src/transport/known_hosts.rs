//! `known_hosts` as OpenSSH reads it: hashed names, wildcards, negation, `[host]:port`, `@revoked`,
//! `@cert-authority`.
//!
//! This file is pure: text in, verdict out. [`super::host_key`] reads and appends to the files.
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

/// The lines of all `known_hosts` files, in order.
#[derive(Default)]
pub struct KnownHosts(Vec<Line>);

struct Line {
    marker: Marker,
    names: Names,
    key: PublicKey,
    place: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Key,
    Authority,
    Revoked,
}

enum Names {
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    Patterns(Vec<String>),
}

/// What the lines say about a key that a host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A line names this key, or an authority that signed it.
    Known,
    /// No line is about this host.
    Unknown,
    /// Lines name other keys for this host: their fingerprints and places.
    Changed(String),
    /// The key, or the authority that signed it, is revoked: where.
    Revoked(String),
    /// A trusted authority signed it, and the certificate is not valid for this host now: why.
    BadCertificate(String),
}

impl KnownHosts {
    /// Adds the lines of one file; lines that cannot be read are passed over, as OpenSSH does.
    pub fn add(&mut self, text: &str, file: &str) {
        for (n, line) in text.lines().enumerate() {
            self.0.extend(parse(line, format!("{file}:{}", n + 1)));
        }
    }

    /// The algorithms of the keys that are known for `host`. They are asked for first, so that the
    /// host shows a key that is known.
    #[must_use]
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let mut found = Vec::new();
        for line in self.about(host, port).filter(|l| l.marker == Marker::Key) {
            let algorithm = line.key.algorithm();
            if !found.contains(&algorithm) {
                found.push(algorithm);
            }
        }
        found
    }

    /// Whether some authority may vouch for `host`.
    #[must_use]
    pub fn has_authority(&self, host: &str, port: u16) -> bool {
        self.about(host, port).any(|l| l.marker == Marker::Authority)
    }

    /// Judges what `host` shows; `now` is Unix time in seconds.
    #[must_use]
    pub fn check(
        &self,
        host: &str,
        port: u16,
        offered: &PublicKeyOrCertificate,
        now: u64,
    ) -> Verdict {
        let key = offered.public_key();
        if let Some(place) = self.revoked(host, port, offered) {
            return Verdict::Revoked(place);
        }
        if let Some(certificate) = offered.certificate() {
            let signed_by = |l: &&Line| {
                l.marker == Marker::Authority && l.key.key_data() == certificate.signature_key()
            };
            if self.about(host, port).any(|l| signed_by(&l)) {
                return match certificate_problem(certificate, host, now) {
                    None => Verdict::Known,
                    Some(why) => Verdict::BadCertificate(why),
                };
            }
        }
        let known: Vec<_> = self.about(host, port).filter(|l| l.marker == Marker::Key).collect();
        if known.iter().any(|l| l.key.key_data() == key.key_data()) {
            return Verdict::Known;
        }
        if known.is_empty() {
            return Verdict::Unknown;
        }
        let show = |l: &&Line| {
            format!("{} {} ({})", l.key.algorithm(), l.key.fingerprint(HashAlg::Sha256), l.place)
        };
        Verdict::Changed(known.iter().map(show).collect::<Vec<_>>().join(" or "))
    }

    /// Where the offered key, or the authority that signed it, is marked as revoked.
    #[must_use]
    pub fn revoked(
        &self,
        host: &str,
        port: u16,
        offered: &PublicKeyOrCertificate,
    ) -> Option<String> {
        let key = offered.public_key();
        let authority = offered.certificate().map(Certificate::signature_key);
        let hit = |l: &&Line| {
            l.marker == Marker::Revoked
                && (l.key.key_data() == key.key_data() || Some(l.key.key_data()) == authority)
        };
        self.about(host, port).find(hit).map(|l| l.place.clone())
    }

    /// The lines about a host, written anew about `name`.
    #[must_use]
    pub fn lines(&self, host: &str, port: u16, name: &str) -> Vec<String> {
        let line = |l: &Line| {
            let key = PublicKey::new(l.key.key_data().clone(), "").to_openssh().ok()?;
            let marker = match l.marker {
                Marker::Key => "",
                Marker::Authority => "@cert-authority ",
                Marker::Revoked => "@revoked ",
            };
            Some(format!("{marker}{name} {key}"))
        };
        self.about(host, port).filter_map(line).collect()
    }

    /// Lines about `[host]:port`; for a port that is not 22 and has no line of its own, those about
    /// plain `host`, as OpenSSH does.
    fn about(&self, host: &str, port: u16) -> impl Iterator<Item = &Line> {
        let plain = host.to_ascii_lowercase();
        let exact = if port == 22 { plain.clone() } else { format!("[{plain}]:{port}") };
        let own = self.0.iter().any(|l| l.marker != Marker::Revoked && l.names.contain(&exact));
        // A revocation holds for both forms, whatever else is known.
        self.0.iter().filter(move |l| {
            l.names.contain(&exact)
                || ((!own || l.marker == Marker::Revoked) && l.names.contain(&plain))
        })
    }
}

fn parse(line: &str, place: String) -> Option<Line> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (marker, rest) = match line.split_once(char::is_whitespace)? {
        ("@cert-authority", rest) => (Marker::Authority, rest.trim_start()),
        ("@revoked", rest) => (Marker::Revoked, rest.trim_start()),
        (word, _) if word.starts_with('@') => return None,
        _ => (Marker::Key, line),
    };
    let (names, key) = rest.split_once(char::is_whitespace)?;
    let mut words = key.split_whitespace();
    let (algorithm, base64) = (words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&format!("{algorithm} {base64}")).ok()?;
    let names = match names.strip_prefix("|1|") {
        Some(hashed) => {
            let (salt, hash) = hashed.split_once('|')?;
            Names::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? }
        }
        None => Names::Patterns(
            names.split(',').filter(|p| !p.is_empty()).map(str::to_ascii_lowercase).collect(),
        ),
    };
    Some(Line { marker, names, key, place })
}

impl Names {
    fn contain(&self, name: &str) -> bool {
        match self {
            // OpenSSH chose SHA-1 here to hide names in a file, not to protect the key.
            Self::Hashed { salt, hash } => hmac::verify(
                &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt),
                name.as_bytes(),
                hash,
            )
            .is_ok(),
            Self::Patterns(patterns) => {
                let negated =
                    patterns.iter().filter_map(|p| p.strip_prefix('!')).any(|p| glob(p, name));
                !negated && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| glob(p, name))
            }
        }
    }
}

/// `*` and `?`, nothing else: `[` is a plain character here. Linear in time for each star.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Why a host certificate of a trusted authority does not count for `host`, if it does not.
fn certificate_problem(certificate: &Certificate, host: &str, now: u64) -> Option<String> {
    let id = certificate.key_id();
    if certificate.cert_type() != CertType::Host {
        return Some(format!("certificate \"{id}\" is a user certificate"));
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa)
    {
        return Some(format!("certificate \"{id}\" is signed with SHA-1"));
    }
    if !certificate.critical_options().is_empty() {
        return Some(format!(
            "certificate \"{id}\" has critical options, which no host certificate may have"
        ));
    }
    if now < certificate.valid_after() || now >= certificate.valid_before() {
        return Some(format!(
            "certificate \"{id}\" is valid from {} to {}, and now is {now} (Unix time)",
            certificate.valid_after(),
            certificate.valid_before()
        ));
    }
    let principals = certificate.valid_principals();
    let host = host.to_ascii_lowercase();
    // A certificate without any principal is no wildcard: OpenSSH gave that meaning up too.
    if !principals.iter().any(|p| glob(&p.to_ascii_lowercase(), &host)) {
        let list = if principals.is_empty() { "no name".to_owned() } else { principals.join(", ") };
        return Some(format!("certificate \"{id}\" is for {list}, not for {host}"));
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(now, [&authority])
        .err()
        .map(|_| format!("certificate \"{id}\" has a wrong signature"))
}

#[cfg(test)]
mod tests;
