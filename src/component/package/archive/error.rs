//! What can be wrong with an archive, and what the user can do about each case.
use crate::base::{Kind, Problem};
use std::path::Path;

/// A failure of one archive on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The archive cannot be opened or read at all.
    #[error("{0}")]
    Read(String),
    /// The archive cannot be downloaded.
    #[error("{0}")]
    Download(String),
    /// The file has none of the formats that this program reads.
    #[error("it is no zip (wheel), tar, compressed tar or rpm: {0}")]
    NotAnArchive(String),
    /// A format or feature that this program does not read.
    #[error("{0}")]
    Unsupported(String),
    /// The archive ends early or its checksums do not match.
    #[error("it is cut or damaged: {0}")]
    Damaged(String),
    /// A member whose name or link leads out of the folder that the archive is unpacked into.
    #[error("member {0:?} leads out of the archive ({1})")]
    Escapes(String, &'static str),
    /// A member whose name is not usable.
    #[error("member {0:?} has a bad name ({1})")]
    BadName(String, &'static str),
    /// A device, pipe or socket.
    #[error("member {0:?} is a {1}: software needs none")]
    Special(String, &'static str),
    /// Two members of one name, or a member below a file: unpacking tools differ in which one they
    /// take.
    #[error("member {0:?} {1}")]
    Ambiguous(String, &'static str),
    /// The archive unpacks to more bytes than its size justifies.
    #[error("it unpacks to more than {0} MiB, the most allowed for an archive of {1} bytes")]
    Bomb(u64, u64),
    /// The archive has too many members.
    #[error("it has more than {0} members")]
    TooMany(usize),
    /// A link to a member that no archive of the package has.
    #[error("link {0:?} leads to {1:?}, which no archive of the package has")]
    Dangling(String, String),
    /// The file is not the one that was declared.
    #[error("its sha256 is {found}, declared is {declared}")]
    Digest {
        /// The digest of the file.
        found: String,
        /// The digest that the configuration or the plan declares.
        declared: String,
    },
    /// The archive does not have a member that the package needs.
    #[error("it has no member {0:?}")]
    NoMember(String),
}

impl ArchiveError {
    /// The problem that people read.
    #[must_use]
    pub fn explain(&self, path: &Path) -> Problem {
        let (kind, fix) = match self {
            Self::Read(_) => (
                Kind::User,
                "check the path and its rights on the machine that runs Terraform; a relative \
                 path starts at the folder Terraform runs in"
                    .to_owned(),
            ),
            Self::Download(_) => (
                Kind::Unreachable,
                "check the URL and that the machine that runs Terraform reaches it \
                 (HTTPS_PROXY and NO_PROXY are read); or download it yourself and set path \
                 instead of url"
                    .into(),
            ),
            Self::NotAnArchive(_) => (
                Kind::User,
                "name the wheel, tar, tar.gz, tar.xz, tar.zst, zip or rpm itself; an HTML page \
                 saved under its name is a common cause"
                    .into(),
            ),
            Self::Unsupported(_) => {
                (Kind::User, "pack it as tar.gz or zip, or use the vendor's rpm".into())
            }
            Self::Damaged(_) => (Kind::User, "download it again".into()),
            Self::Digest { found, .. } => (
                Kind::Refused,
                format!(
                    "if this file is the one you mean, set sha256 = \"{found}\"; else download it \
                     again from a source you trust"
                ),
            ),
            Self::Dangling(..) => (Kind::User, "add the archive that has it to `files`".into()),
            Self::NoMember(_) => {
                (Kind::User, "use the archive that the package was planned with".into())
            }
            Self::Bomb(..) | Self::TooMany(_) => {
                (Kind::Refused, "do not use this archive; if it is yours, split it".into())
            }
            Self::Escapes(..) | Self::BadName(..) | Self::Special(..) | Self::Ambiguous(..) => (
                Kind::Refused,
                "do not use this archive: no package of a vendor looks like this; get it again \
                 from a source you trust"
                    .into(),
            ),
        };
        Problem::new(kind, "cannot use archive")
            .place(path.display().to_string())
            .why(self.to_string())
            .fix(fix)
    }

    /// Wraps the error, so that it passes through a reader.
    pub(super) fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }

    /// The error behind a reader's error: one of ours that passed through the reader, or else
    /// damage to the archive.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<Self>()) {
            Some(ours) => ours.clone(),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Self::Damaged("it ends early".into())
            }
            None => Self::Damaged(error.to_string()),
        }
    }
}
