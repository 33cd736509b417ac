//! go-plugin and tfplugin6 on the wire: how a CLI starts us, trusts us, talks to us and ends us.
//! Knows no OceanBase.
//!
//! In the order of a run: [`host`] reads what the parent wants and prints the handshake line,
//! [`socket`] opens an owner-only unix socket, [`tls`] lets in exactly the parent's certificate,
//! [`server`] serves gRPC on it, [`running`] counts what is under way and tells it to stop,
//! [`guard`] catches panics, [`parent`] notices the parent's death.
pub mod convert;
pub mod guard;
pub mod host;
pub mod log;
pub mod parent;
pub mod running;
pub mod server;
pub mod socket;
pub mod tls;

#[cfg(test)]
mod tests;

/// The generated code.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod pb {
    /// Terraform's provider protocol, 6.11.
    pub mod tf {
        tonic::include_proto!("tfplugin6");
    }
    /// The services of go-plugin.
    pub mod plugin {
        tonic::include_proto!("plugin");
    }
}

/// go-plugin's client sets no limit; plans of large configurations pass tonic's 4 MB.
pub const MESSAGE_LIMIT: usize = 256 << 20;
