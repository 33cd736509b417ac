//! What the starting program says in the environment, and what we answer on stdout.
use base64::Engine;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable by which a CLI says that it knows what it starts.
pub const COOKIE_NAME: &str = "TF_PLUGIN_MAGIC_COOKIE";
/// Its value.
pub const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
/// The one variable that allows to serve without TLS (harnesses built on terraform-exec need it).
pub const ALLOW_PLAINTEXT: &str = "OB_PLUGIN_ALLOW_PLAINTEXT";
/// Exit status when started by hand.
pub const NOT_A_PLUGIN_STATUS: u8 = 1;

/// Why we do not serve.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    /// The process was started by hand.
    #[error(
        "This binary is a plugin. These are not meant to be executed directly.\n\
         Please execute the program that consumes these plugins, which will\n\
         load any plugins automatically\n\n\
         (terraform or tofu start it; --debug serves for a debugger; the operator's program is \
         called \"ob\")"
    )]
    NotAPlugin,
    /// The caller is too old or too new.
    #[error(
        "the calling program speaks plugin protocol {0}, this provider speaks 6: use Terraform \
         1.11, OpenTofu 1.11 or newer"
    )]
    Version(String),
    /// The caller gave no client certificate.
    #[error(
        "PLUGIN_CLIENT_CERT is not set, and this provider serves only over mutual TLS: unset \
         TF_DISABLE_PLUGIN_TLS, or, in tests only, set {ALLOW_PLAINTEXT}=1"
    )]
    NoCertificate,
    /// The client certificate cannot be read, or TLS cannot be set up.
    #[error("cannot set up TLS from PLUGIN_CLIENT_CERT: {0}")]
    Tls(String),
    /// No socket can be opened: the folder and why.
    #[error("cannot open a unix socket in {0}: {1}; set TMPDIR to a folder that can be written")]
    Socket(String, String),
    /// The gRPC server ended by itself.
    #[error("the gRPC server failed: {0}")]
    Serve(String),
}

/// How this process was started.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Whether to serve for a debugger: no cookie, no TLS, and a line for reattaching instead of
    /// the handshake line.
    pub debug: bool,
    /// The parent's certificate (PEM). `None`: plain text was asked for and is allowed.
    pub client_cert: Option<String>,
    /// Whether the handshake line has a seventh field.
    pub multiplex: bool,
    /// Where to put the socket, best first.
    pub socket_dirs: Vec<PathBuf>,
}

impl Host {
    /// Reads the environment through `get`.
    ///
    /// # Errors
    /// The process was not started as a plugin, the protocol is another one, or there is no TLS.
    pub fn read(debug: bool, get: impl Fn(&str) -> Option<OsString>) -> Result<Self, HostError> {
        let text =
            |name: &str| get(name).and_then(|v| v.into_string().ok()).filter(|v| !v.is_empty());
        if !debug && text(COOKIE_NAME).as_deref() != Some(COOKIE) {
            return Err(HostError::NotAPlugin);
        }
        if let Some(versions) = text("PLUGIN_PROTOCOL_VERSIONS")
            && !versions.split(',').any(|v| v.trim() == "6")
        {
            return Err(HostError::Version(versions));
        }
        let client_cert = text("PLUGIN_CLIENT_CERT").filter(|_| !debug);
        let plain_ok = debug || text(ALLOW_PLAINTEXT).as_deref() == Some("1");
        if client_cert.is_none() && !plain_ok {
            return Err(HostError::NoCertificate);
        }
        let dir = |name: &str| get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let socket_dirs = [
            dir("PLUGIN_UNIX_SOCKET_DIR"),
            dir("TMPDIR"),
            Some("/tmp".into()),
            dir("XDG_RUNTIME_DIR"),
            Some("/var/tmp".into()),
        ];
        Ok(Self {
            debug,
            client_cert,
            multiplex: get("PLUGIN_MULTIPLEX_GRPC").is_some(),
            socket_dirs: socket_dirs.into_iter().flatten().collect(),
        })
    }

    /// The line for stdout. `cert` is our certificate (DER), empty for plain text.
    #[must_use]
    pub fn handshake(&self, socket: &Path, cert: &[u8]) -> String {
        // go-plugin decodes base64 without padding.
        let cert = base64::engine::general_purpose::STANDARD_NO_PAD.encode(cert);
        let multiplex = if self.multiplex { "|false" } else { "" };
        format!("1|6|unix|{}|grpc|{cert}{multiplex}", socket.display())
    }

    /// The lines for whoever debugs: what to export before running terraform.
    #[must_use]
    pub fn reattach(&self, address: &str, socket: &Path) -> String {
        let addr = serde_json::json!({"Network": "unix", "String": socket.display().to_string()});
        let config = serde_json::json!({address: {
            "Protocol": "grpc", "ProtocolVersion": 6, "Pid": std::process::id(), "Test": true,
            "Addr": addr
        }});
        format!(
            "Serving for a debugger, without TLS, until Ctrl-C. In another terminal of this \
             user:\n\n\
             export TF_REATTACH_PROVIDERS='{config}'\n"
        )
    }
}
