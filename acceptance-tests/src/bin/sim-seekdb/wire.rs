//! The part of the MySQL protocol that the product uses: handshake with `mysql_native_password`,
//! text queries, ping, quit.
use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;

/// The answer to a statement.
pub enum Answer {
    /// Done.
    Ok,
    /// Column names and rows.
    Rows(Vec<&'static str>, Vec<Vec<String>>),
    /// Number and text of an error.
    Err(u16, String),
}

/// One client's connection.
pub struct Wire {
    stream: TcpStream,
    sequence: u8,
}

/// CONNECT_WITH_DB, LONG_PASSWORD, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_RESULTS,
/// PLUGIN_AUTH, PLUGIN_AUTH_LENENC_CLIENT_DATA.
const CAPABILITIES: u32 = 0x0000_0009 | 0x200 | 0x2000 | 0x8000 | 0x2_0000 | 0x8_0000 | 0x20_0000;

impl Wire {
    /// Greets the client and reads its login: the user, and the answer to the nonce.
    pub fn greet(stream: TcpStream, id: u32, nonce: &[u8; 20]) -> Result<(Self, String, Vec<u8>)> {
        stream.set_nodelay(true)?;
        let mut wire = Self { stream, sequence: 0 };
        let mut hello = b"\x0a5.7.25-OceanBase seekdb-v1.4.0.0\0".to_vec();
        hello.extend(id.to_le_bytes());
        hello.extend(&nonce[..8]);
        hello.push(0);
        hello.extend(&CAPABILITIES.to_le_bytes()[..2]);
        hello.extend([33, 2, 0]);
        hello.extend(&CAPABILITIES.to_le_bytes()[2..]);
        hello.push(21);
        hello.extend([0; 10]);
        hello.extend(&nonce[8..]);
        hello.push(0);
        hello.extend(b"mysql_native_password\0");
        wire.send(&hello)?;
        let said = wire.read()?;
        let bad = || Error::other("no handshake response");
        let user: Vec<u8> =
            said.get(32..).ok_or_else(bad)?.iter().copied().take_while(|b| *b != 0).collect();
        let at = 32 + user.len() + 1;
        let length = usize::from(*said.get(at).ok_or_else(bad)?);
        let answer = said.get(at + 1..at + 1 + length).ok_or_else(bad)?.to_vec();
        Ok((wire, String::from_utf8_lossy(&user).into_owned(), answer))
    }

    /// Reads the first packet of the next command.
    pub fn command(&mut self) -> Result<Vec<u8>> {
        self.sequence = 0;
        self.read()
    }

    fn read(&mut self) -> Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        self.sequence = head[3].wrapping_add(1);
        let mut body =
            vec![0; usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn frame(&mut self, body: &[u8], to: &mut Vec<u8>) {
        let length = u32::try_from(body.len()).unwrap_or(0).to_le_bytes();
        to.extend([length[0], length[1], length[2], self.sequence]);
        to.extend(body);
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn send(&mut self, body: &[u8]) -> Result<()> {
        let mut out = Vec::new();
        self.frame(body, &mut out);
        self.stream.write_all(&out)
    }

    /// Sends an answer.
    pub fn answer(&mut self, answer: &Answer) -> Result<()> {
        match answer {
            Answer::Ok => self.send(&[0, 0, 0, 2, 0, 0, 0]),
            Answer::Err(code, text) => {
                let mut body = vec![0xff];
                body.extend(code.to_le_bytes());
                body.extend(b"#HY000");
                body.extend(text.as_bytes());
                self.send(&body)
            }
            Answer::Rows(columns, rows) => {
                let (mut out, eof) = (Vec::new(), [0xfe, 0, 0, 2, 0]);
                self.frame(&[u8::try_from(columns.len()).unwrap_or(0)], &mut out);
                for name in columns {
                    let mut body = Vec::new();
                    for part in ["def", "", "", "", name, name] {
                        text(part, &mut body);
                    }
                    body.extend([0x0c, 33, 0, 0, 0, 0, 1, 0xfd, 0, 0, 0, 0, 0]);
                    self.frame(&body, &mut out);
                }
                self.frame(&eof, &mut out);
                for row in rows {
                    let mut body = Vec::new();
                    row.iter().for_each(|value| text(value, &mut body));
                    self.frame(&body, &mut out);
                }
                self.frame(&eof, &mut out);
                self.stream.write_all(&out)
            }
        }
    }
}

/// A string with its length before it.
fn text(value: &str, to: &mut Vec<u8>) {
    match u16::try_from(value.len()) {
        Ok(n) if n < 251 => to.push(u8::try_from(n).unwrap_or(0)),
        n => {
            to.push(0xfc);
            to.extend(n.unwrap_or(0).to_le_bytes());
        }
    }
    to.extend(value.as_bytes());
}
