//! The lab: real hosts on one machine, and the tools with which stories drive them. Never part of
//! the product.
//!
//! - [`Lab`], [`Host`]: hosts with their own network, disk, processes and sshd, and the faults they
//!   can suffer.
//! - [`seekdb`]: fetches real database packages; [`mariadb`]: a server with TLS; [`tls_relay`]: TLS
//!   in front of a server that has none; [`gateway`]: ports that are forwarded to hosts.
//! - [`terraform`]: drives the real terraform or tofu; [`outside`]: programs of others that test
//!   the provider.
//! - [`story`]: what the stories share: configuration as data, journals read back, turns.
//! - [`scope`]: how much a sweep tries: committed points, other points each time, or all.
//! - [`sim`]: the simulated crash sweep, with stand-ins for sshd and seekdb.
//! - [`writer`]: writes under load and counts what was lost.
//! - [`bench`]: the benchmark of docs/benchmarks.md.
//!
//! A host is a network namespace with an address on the lab's bridge, an overlay of this machine's
//! root file system, and its own mount, pid, uts and ipc namespaces (`netns/`). Without root a host
//! is an sshd on 127.x.y.z (`plain.rs`). All state of a lab is in files ([`registry`]), none only
//! in memory, so any process can act on the lab.
pub mod bench;
pub mod certificate;
pub mod demo;
mod files;
pub mod gateway;
mod host;
mod keys;
pub mod mariadb;
mod netns;
mod options;
pub mod outside;
mod plain;
pub mod process;
pub mod registry;
mod run;
pub mod scope;
pub mod seekdb;
pub mod sim;
pub mod sql;
pub mod story;
pub mod terraform;
pub mod tls_relay;
pub mod writer;

pub use host::Host;
pub use options::{HostKeys, Options, parse_size};
pub use registry::{Cleaner, HostInfo, Info, Kind};
pub use run::{Output, command, run};

mod lab;
pub use lab::{Lab, gc};

#[doc(hidden)]
pub use lab::watch;
#[doc(hidden)]
pub use netns::init::main as host_init;

/// Whether this process may make full lab hosts. If not, prints that `what` is skipped; the line is
/// visible also under `cargo test`.
#[must_use]
pub fn may_make_hosts(what: &str) -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        use std::io::Write;
        // Not eprintln!: the test harness hides its output when a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {what}: lab hosts are made of namespaces, which needs root; \
             run as root or with sudo -E"
        );
    }
    root
}
