//! The login, which never reveals the password to a server that has not proved who it is.
//!
//! Whoever listens on a port may ask for anything. So the client gives only answers that show that
//! it knows the password without telling it: `mysql_native_password` and the fast path of
//! `caching_sha2_password`. The full path of the latter sends the password itself. The client takes
//! it only within TLS to a server whose certificate was verified.
use super::tls::Tls;
use super::wire::{Fields, Wire, server_error};
use super::{ACCESS_DENIED, Login, Refusal, SECURE_TRANSPORT, SqlError};
use crate::base::Secret;
use crate::transport::Duplex;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// The longest packet of a login.
const PACKET: usize = 64 << 10;
const BEYOND: &str = "a packet of the login has more than 64 KiB";

const LONG_PASSWORD: u32 = 0x1;
const PROTOCOL_41: u32 = 0x200;
pub(super) const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;

/// The capabilities that this client asks every server for. It does not ask for several statements
/// in one text, files of this machine, or compression.
const WANTED: u32 = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION;

/// `utf8mb4_general_ci`.
const UTF8MB4: u8 = 45;

/// Who can read what goes over the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Everybody on the path.
    Plain,
    /// Nobody who only listens; a man in the middle can.
    Encrypted,
    /// Only the server whose certificate was verified.
    Verified,
}

/// The ways to show that we know a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plugin {
    Native,
    CachingSha2,
}

impl Plugin {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"mysql_native_password" => Some(Self::Native),
            b"caching_sha2_password" => Some(Self::CachingSha2),
            _ => None,
        }
    }
    fn name(self) -> &'static [u8] {
        match self {
            Self::Native => b"mysql_native_password",
            Self::CachingSha2 => b"caching_sha2_password",
        }
    }
    /// The answer to a nonce: a digest of the password, XORed with a digest that depends on the
    /// nonce.
    fn answer(self, nonce: &[u8; 20], password: &[u8]) -> Vec<u8> {
        if password.is_empty() {
            return Vec::new();
        }
        let (algorithm, nonce_first) = match self {
            Self::Native => (&SHA1_FOR_LEGACY_USE_ONLY, true),
            Self::CachingSha2 => (&SHA256, false),
        };
        let once = digest(algorithm, password);
        let twice = digest(algorithm, once.as_ref());
        let mixed = match nonce_first {
            true => [nonce, twice.as_ref()].concat(),
            false => [twice.as_ref(), nonce].concat(),
        };
        let mask = digest(algorithm, &mixed);
        once.as_ref().iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect()
    }
}

/// What a server keeps of a password that `mysql_native_password` proves: a star and the digest of
/// its digest, in capitals.
#[must_use]
pub fn native_digest(password: &Secret) -> String {
    let twice = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes());
    let twice = digest(&SHA1_FOR_LEGACY_USE_ONLY, twice.as_ref());
    twice.as_ref().iter().fold("*".to_owned(), |text, byte| format!("{text}{byte:02X}"))
}

/// The server's first packet.
struct Greeting {
    capabilities: u32,
    nonce: [u8; 20],
    plugin: Option<Plugin>,
}

impl Greeting {
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        if fields.byte()? != 10 {
            return None;
        }
        let (_version, _id) = (fields.until_nul()?, fields.number(4)?);
        let first = fields.take(8)?;
        fields.take(1)?;
        let low = fields.number(2)?;
        let (_charset, _status) = (fields.byte()?, fields.number(2)?);
        let high = fields.number(2)?;
        let length = usize::from(fields.byte()?);
        fields.take(10)?;
        let second = fields.take(length.saturating_sub(8).max(13))?;
        let nonce = [first, &second[..12]].concat().try_into().ok()?;
        let name = fields.0.split(|b| *b == 0).next().unwrap_or_default();
        let capabilities = u32::try_from(low | high << 16).ok()?;
        Some(Self { capabilities, nonce, plugin: Plugin::named(name) })
    }
}

/// Logs in to whoever answers on `stream`. `address` is the address that was dialled.
///
/// # Errors
/// As [`SqlError`].
pub(super) async fn log_in(
    stream: Box<dyn Duplex>,
    address: &str,
    login: &Login,
    tls: &Tls,
) -> Result<(Wire, Channel), SqlError> {
    let mut wire = Wire::new(stream, 0);
    let first = wire.read(PACKET, BEYOND).await?;
    if let Some((0xff, error)) = first.split_first() {
        return Err(server_error(error));
    }
    let greeting = Greeting::parse(&first).ok_or_else(|| {
        SqlError::Broken("what answers is no server of the MySQL protocol".into())
    })?;
    if WANTED & !greeting.capabilities & !LONG_PASSWORD != 0 {
        return Err(SqlError::Refused(Refusal::OldServer));
    }
    let offers_tls = greeting.capabilities & SSL != 0;
    let plugin_auth = greeting.capabilities & PLUGIN_AUTH;
    let mut capabilities = WANTED | plugin_auth;
    let mut channel = Channel::Plain;
    if tls.wanted(offers_tls)? {
        capabilities |= SSL;
        wire.write(&start(capabilities)).await?;
        let (stream, sequence) = wire.into_stream()?;
        let stream = tls.wrap(stream, address).await?;
        (wire, channel) = (Wire::new(stream, sequence), tls.channel());
    }
    let plugin = greeting.plugin.unwrap_or(Plugin::Native);
    let password = login.password.as_ref().map_or("", Secret::expose).as_bytes();
    let answer = plugin.answer(&greeting.nonce, password);
    wire.write(&response(capabilities, &login.user, &answer, plugin)?).await?;
    prove(&mut wire, plugin, password, channel).await.map_err(|e| match e {
        SqlError::Server { code: code @ (ACCESS_DENIED | SECURE_TRANSPORT), message }
            if offers_tls && channel == Channel::Plain =>
        {
            let message = format!(
                "{message}; the server offers TLS and may require it of this user, and the login \
                 was without"
            );
            SqlError::Server { code, message }
        }
        other => other,
    })?;
    Ok((wire, channel))
}

/// The bytes that a login response and a request for TLS have in common.
fn start(capabilities: u32) -> Vec<u8> {
    let mut out = capabilities.to_le_bytes().to_vec();
    out.extend((16u32 << 20).to_le_bytes());
    out.push(UTF8MB4);
    out.extend([0; 23]);
    out
}

fn response(
    capabilities: u32,
    user: &str,
    answer: &[u8],
    plugin: Plugin,
) -> Result<Vec<u8>, SqlError> {
    if user.contains('\0') {
        return Err(SqlError::Broken("a user name cannot hold a NUL character".into()));
    }
    let mut out = start(capabilities);
    out.extend(user.as_bytes());
    out.push(0);
    // The length is 0, 20 or 32.
    out.push(u8::try_from(answer.len()).unwrap_or_default());
    out.extend(answer);
    if capabilities & PLUGIN_AUTH != 0 {
        out.extend(plugin.name());
        out.push(0);
    }
    Ok(out)
}

/// Answers the server's questions until the server lets us in. The server may ask for another
/// plugin once, and may say once how `caching_sha2_password` goes on.
async fn prove(
    wire: &mut Wire,
    mut plugin: Plugin,
    password: &[u8],
    channel: Channel,
) -> Result<(), SqlError> {
    let (mut switched, mut decided) = (false, false);
    let reveals = |plugin: &[u8]| {
        let plugin = String::from_utf8_lossy(plugin).chars().take(64).collect();
        SqlError::Refused(Refusal::Password { plugin, verified: channel == Channel::Verified })
    };
    loop {
        let packet = wire.read(PACKET, BEYOND).await?;
        match packet.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, error)) => return Err(server_error(error)),
            Some((0xfe, [])) => return Err(reveals(b"mysql_old_password")),
            Some((0xfe, request)) if !switched && !decided => {
                let mut fields = Fields(request);
                let name = fields.until_nul().unwrap_or(request);
                plugin = Plugin::named(name).ok_or_else(|| reveals(name))?;
                let nonce = fields.0.strip_suffix(&[0]).unwrap_or(fields.0);
                let nonce = nonce.try_into().map_err(|_| unexpected())?;
                wire.write(&plugin.answer(nonce, password)).await?;
                switched = true;
            }
            Some((0x01, [0x03])) if plugin == Plugin::CachingSha2 && !decided => decided = true,
            Some((0x01, [0x04])) if plugin == Plugin::CachingSha2 && !decided => {
                if channel != Channel::Verified {
                    return Err(SqlError::Refused(Refusal::FullAuthentication));
                }
                wire.write(&[password, &[0]].concat()).await?;
                decided = true;
            }
            _ => return Err(unexpected()),
        }
    }
}

fn unexpected() -> SqlError {
    SqlError::Broken("the server said what has no place in a login".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_that_servers_expect() {
        // Computed by hand: SHA1(p) ^ SHA1(n + SHA1(SHA1(p))) and SHA256(p) ^
        // SHA256(SHA256(SHA256(p)) + n).
        let nonce = b"0123456789abcdefghij";
        for (plugin, want) in [
            (Plugin::Native, "f5cac3f3b3df2133feb57db682c71e6ed433a988"),
            (
                Plugin::CachingSha2,
                "7e4adda2f2d5ef09b4147518becb0cee2939376203650a8c2bb2815959364bd0",
            ),
        ] {
            let hex: String =
                plugin.answer(nonce, b"secret").iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, want);
            assert!(plugin.answer(nonce, b"").is_empty());
        }
    }
}
