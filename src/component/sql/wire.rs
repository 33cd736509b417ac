//! Packets of the MySQL protocol over any byte stream, and a reader for their fields.
//!
//! Whoever answers on a port may send anything. So each packet's length is checked before memory is
//! taken for it, and each field is checked before it is read.
use super::SqlError;
use crate::transport::Duplex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

/// Payload length in bytes of a packet that the next packet continues.
const FULL: usize = 0xff_ffff;

/// One connection.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Duplex>>,
    sequence: u8,
}

impl Wire {
    /// Packets over `stream`, numbered from `sequence`.
    pub fn new(stream: Box<dyn Duplex>, sequence: u8) -> Self {
        Self { stream: BufReader::with_capacity(16 << 10, stream), sequence }
    }

    /// Returns the stream and the number of the next packet, so that TLS can begin.
    ///
    /// # Errors
    /// The server sent more than was read. What arrives before TLS must not count as said within
    /// TLS.
    pub fn into_stream(self) -> Result<(Box<dyn Duplex>, u8), SqlError> {
        if !self.stream.buffer().is_empty() {
            return Err(SqlError::Broken("the server spoke before TLS began".into()));
        }
        Ok((self.stream.into_inner(), self.sequence))
    }

    /// Begins a command, whose packets are numbered from zero.
    pub fn begin(&mut self) {
        self.sequence = 0;
    }

    /// Reads one payload of at most `limit` bytes; `beyond` is the error text for a longer one.
    ///
    /// # Errors
    /// The connection ended, packets are out of order, or the payload is too long.
    pub async fn read(&mut self, limit: usize, beyond: &'static str) -> Result<Vec<u8>, SqlError> {
        let mut payload = Vec::new();
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head).await.map_err(|e| broken(&e))?;
            let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
            if head[3] != self.sequence {
                return Err(SqlError::Broken(format!(
                    "packet {} came instead of {}: this is not the MySQL protocol",
                    head[3], self.sequence
                )));
            }
            self.sequence = self.sequence.wrapping_add(1);
            let start = payload.len();
            if start + length > limit {
                return Err(SqlError::TooMuch(beyond));
            }
            payload.resize(start + length, 0);
            self.stream.read_exact(&mut payload[start..]).await.map_err(|e| broken(&e))?;
            if length < FULL {
                return Ok(payload);
            }
        }
    }

    /// Sends one payload.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn write(&mut self, payload: &[u8]) -> Result<(), SqlError> {
        let mut bytes = Vec::with_capacity(payload.len() + 4);
        let mut rest = payload;
        loop {
            let (now, later) = rest.split_at(rest.len().min(FULL));
            // `now` has at most 0xffffff bytes, so three bytes hold its length.
            let length = u32::try_from(now.len()).unwrap_or_default().to_le_bytes();
            bytes.extend([length[0], length[1], length[2], self.sequence]);
            bytes.extend(now);
            self.sequence = self.sequence.wrapping_add(1);
            rest = later;
            if now.len() < FULL {
                break;
            }
        }
        self.stream.write_all(&bytes).await.map_err(|e| broken(&e))?;
        self.stream.flush().await.map_err(|e| broken(&e))
    }

    /// Closes our side of the connection.
    pub async fn shut(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

fn broken(error: &std::io::Error) -> SqlError {
    SqlError::Broken(match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the server ended the connection".into(),
        _ => error.to_string(),
    })
}

/// Reads the fields of a payload one by one; each read returns `None` when the field is not there.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    /// A little-endian number of up to eight bytes.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }
    /// Bytes up to a NUL, which must be there.
    pub fn until_nul(&mut self) -> Option<&'a [u8]> {
        let length = self.0.iter().position(|b| *b == 0)?;
        let text = self.take(length);
        self.take(1)?;
        text
    }
    /// A length-encoded number: its first byte tells its length.
    pub fn length(&mut self) -> Option<u64> {
        match self.byte()? {
            n @ 0..=0xfa => Some(n.into()),
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            _ => None,
        }
    }
    /// A value of a row; `Some(None)` is NULL.
    pub fn value(&mut self) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&0xfb) {
            self.take(1);
            return Some(None);
        }
        let length = usize::try_from(self.length()?).ok()?;
        self.take(length).map(Some)
    }
}

/// The error in a packet that began with 0xff. If a `#` follows the error number, five characters
/// of SQL state come before the text.
pub(super) fn server_error(after_header: &[u8]) -> SqlError {
    /// The rest of a longer error text helps nobody.
    const TEXT: usize = 4096;
    let mut fields = Fields(after_header);
    let Some(code) = fields.number(2).and_then(|n| u16::try_from(n).ok()) else {
        return SqlError::Broken("an error without a number".into());
    };
    if fields.0.first() == Some(&b'#') {
        fields.take(6);
    }
    let message = String::from_utf8_lossy(fields.0).chars().take(TEXT).collect();
    SqlError::Server { code, message }
}
