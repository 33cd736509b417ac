//! Import ids as text: `ssh://user@address:22/base-dir?identity=name&run_as=user#database=shop` or
//! `sql://credential@address:2881#database=shop`. Names are percent-encoded.
//!
//! This file has the one parser and the one printer. The callers decide what an id leads to.
use super::Address;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::net::Ipv6Addr;
use url::{ParseError, Url};

/// The characters of a name that are not encoded. `*` is common in patterns of hosts.
const NAME: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');
/// The characters of a directory that are not encoded: it keeps its slashes.
const PATH: &AsciiSet = &NAME.remove(b'/');

/// How the place of an id is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// By SSH, to a directory.
    #[default]
    Ssh,
    /// By SQL, to an endpoint.
    Sql,
}

impl Way {
    fn scheme(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Sql => "sql",
        }
    }
}

/// An import id taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportId {
    /// How the place is reached.
    pub way: Way,
    /// The login user, or the name of a credential; may be empty.
    pub user: String,
    /// Host name or address, never empty.
    pub address: Address,
    /// The port, if it is said.
    pub port: Option<u16>,
    /// What follows the port, with its slash; may be empty.
    pub path: String,
    /// `identity=`; may be empty.
    pub identity: String,
    /// `run_as=`; may be empty.
    pub run_as: String,
    /// What follows `#`, in the order in which it is written.
    pub object: Vec<(String, String)>,
}

impl ImportId {
    /// The id of what is at an address, with nothing else said.
    #[must_use]
    pub fn at(way: Way, address: Address) -> Self {
        Self {
            way,
            user: String::new(),
            address,
            port: None,
            path: String::new(),
            identity: String::new(),
            run_as: String::new(),
            object: Vec::new(),
        }
    }

    /// Takes an id apart.
    ///
    /// # Errors
    /// Says why the text is no import id.
    pub fn parse(text: &str) -> Result<Self, String> {
        checked(text)?;
        let url = Url::parse(text).map_err(|e| match e {
            ParseError::InvalidPort => "its port is no number".to_owned(),
            ParseError::EmptyHost => "it names no address".into(),
            ParseError::RelativeUrlWithoutBase => "it does not begin with ssh:// or sql://".into(),
            e => format!("it is no URL: {e}"),
        })?;
        let way = match url.scheme() {
            "ssh" => Way::Ssh,
            "sql" => Way::Sql,
            _ => return Err("it does not begin with ssh:// or sql://".into()),
        };
        if url.password().is_some() {
            return Err("it holds a password; name a credential or an identity instead".into());
        }
        let address = url.host_str().unwrap_or_default();
        let address = decode(address.trim_start_matches('[').trim_end_matches(']'))?;
        if address.is_empty() {
            return Err("it names no address".into());
        }
        let address = Address::parse(&address)?;
        let mut query = pairs(url.query().unwrap_or_default())?;
        let mut word = |key: &str| {
            let at = query.iter().position(|(k, _)| k == key);
            at.map(|at| query.remove(at).1).unwrap_or_default()
        };
        let (identity, run_as) = (word("identity"), word("run_as"));
        if let Some((key, _)) = query.first() {
            return Err(format!("\"{key}\" is neither identity=… nor run_as=…"));
        }
        Ok(Self {
            way,
            user: decode(url.username())?,
            address,
            port: url.port(),
            path: decode(url.path())?,
            identity,
            run_as,
            object: pairs(url.fragment().unwrap_or_default())?,
        })
    }
}

/// Refuses what the parser of URLs would silently drop or resolve.
fn checked(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        return Err("it holds a control character".into());
    }
    if text.trim() != text {
        return Err("it begins or ends with a blank; write %20".into());
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    for part in path.split('/') {
        if matches!(decode(part)?.as_str(), "." | "..") {
            return Err("write its directory without '.' and '..'".into());
        }
    }
    Ok(())
}

/// Reads `name=value&name=value`; no name may stand there twice.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = BTreeMap::new();
    let pair = |part: &str| -> Result<(String, String), String> {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("\"{part}\" is not name=value in percent-encoding"))?;
        let pair = (decode(key)?, decode(value)?);
        match found.insert(pair.0.clone(), ()) {
            None => Ok(pair),
            Some(()) => Err(format!("it names \"{}\" twice", pair.0)),
        }
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let hex = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(hex) {
        return Err(format!("\"{text}\" is not in percent-encoding; write %25 for %"));
    }
    let plain = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| format!("\"{text}\" is not UTF-8 in percent-encoding"))?;
    if plain.chars().any(char::is_control) {
        return Err(format!("\"{text}\" stands for a control character"));
    }
    Ok(plain.into_owned())
}

impl Display for ImportId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = |text| utf8_percent_encode(text, NAME);
        write!(f, "{}://", self.way.scheme())?;
        if !self.user.is_empty() {
            write!(f, "{}@", name(&self.user))?;
        }
        match self.address.parse::<Ipv6Addr>() {
            Ok(_) => write!(f, "[{}]", self.address)?,
            Err(_) => write!(f, "{}", name(&self.address))?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", utf8_percent_encode(&self.path, PATH))?;
        let query = [("identity", &self.identity), ("run_as", &self.run_as)];
        let mut before = '?';
        for (key, value) in query.into_iter().filter(|(_, v)| !v.is_empty()) {
            write!(f, "{before}{key}={}", name(value))?;
            before = '&';
        }
        before = '#';
        for (key, value) in &self.object {
            write!(f, "{before}{}={}", name(key), name(value))?;
            before = '&';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let hostile = [
            "main", "a b", " ", "a?b", "a#b", "a%b", "%41", "a&b=c", "a@b:c", "a+b", "ü\\'`*", "%",
        ];
        let addresses = ["10.0.0.1", "::1", "fd00::1", "fe80::1%eth0", "db-1.example.org", "DB-1"];
        for text in hostile {
            for address in addresses {
                for (way, port) in [(Way::Ssh, Some(22)), (Way::Sql, Some(2881)), (Way::Ssh, None)]
                {
                    let id = ImportId {
                        way,
                        user: text.into(),
                        address: Address::parse(address).unwrap(),
                        port,
                        path: format!("/data/{text}/{text}"),
                        identity: text.into(),
                        run_as: text.into(),
                        object: vec![("user".into(), text.into()), ("host".into(), "%".into())],
                    };
                    assert_eq!(ImportId::parse(&id.to_string()), Ok(id.clone()), "{id}");
                }
            }
        }
        let bare = ImportId::at(Way::Ssh, Address::parse("h").unwrap());
        assert_eq!(bare.to_string(), "ssh://h");
        assert_eq!(ImportId::parse("ssh://h"), Ok(bare));
    }

    #[test]
    fn an_id_is_printed_as_people_write_it() {
        for text in [
            "ssh://admin@10.0.0.1:22/data/main?identity=prod&run_as=ob",
            "ssh://[fd00::1]:22/data/main",
            "sql://reporting@10.0.0.9:2881#user=app&host=10.%25",
        ] {
            assert_eq!(ImportId::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_id_says_what_is_wrong() {
        for (text, want) in [
            ("10.0.0.1", "begin with ssh://"),
            ("http://h/d", "begin with ssh://"),
            ("ssh://", "no address"),
            ("ssh:///d", "no address"),
            ("sql://c@:1", "no address"),
            ("ssh://h:x/d", "port"),
            ("ssh://h:70000/d", "port"),
            ("ssh://[::g]/d", "IPv6"),
            ("ssh://a:secret@h/d", "password"),
            ("ssh://h/d?user=a", "\"user\" is neither"),
            ("ssh://h/d?identity=a&identity=b", "twice"),
            ("ssh://h/d#user", "name=value"),
            ("ssh://h/d#user=%zz", "percent-encoding"),
            ("ssh://h/100%", "percent-encoding"),
            ("ssh://h/%ff", "UTF-8"),
            ("ssh://h/a/../b", "without '.'"),
            ("ssh://h/a/%2e%2E", "without '.'"),
            ("ssh://h/a\tb", "control character"),
            ("ssh://h/a%0Ab", "control character"),
            ("ssh://h/d#user=a%00", "control character"),
            ("ssh://h/d ", "blank"),
        ] {
            let why = ImportId::parse(text).unwrap_err();
            assert!(why.contains(want), "{text}: {why}");
        }
    }
}
