//! A temporary server on a copy of a store. It lives as long as an SSH channel.
use crate::base::{Kind, Problem};
use crate::component::database::Database;
use crate::engine::{Cx, Node, Values};
use crate::program;
use crate::transport::{Duplex, Script, TransportError, key_values};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Space on the host, in bytes.
pub struct Room {
    /// Size of the store.
    pub needed: u64,
    /// What is free where the copy goes.
    pub free: u64,
}

/// Reads how much space a copy of `source` needs, and how much is free.
///
/// # Errors
/// The host does not answer, or there is no store.
pub async fn room(cx: &Cx, instance: &Node, source: &str) -> Result<Room, Problem> {
    let program = program!("room.sh").arg(source).arg(&*instance.directory);
    let facts = key_values(&cx.read(&instance.host, &program).await?.stdout);
    if !facts.contains_key("store") {
        return Err(Problem::user(format!("there is no store in {source}"))
            .place(instance.host.endpoint.show())
            .fix("`ob status` lists what is set aside"));
    }
    let number =
        |key: &str| facts.get(key).and_then(|v| v.trim().parse::<u64>().ok()).unwrap_or(0) * 1024;
    Ok(Room { needed: number("needed"), free: number("free") })
}

/// The running server.
pub struct Temporary {
    /// Its SQL port.
    pub port: u16,
    stream: Box<dyn Duplex>,
}

impl Temporary {
    /// Copies the store and starts the server.
    ///
    /// # Errors
    /// The copy failed, the server ended or did not answer.
    pub async fn start(
        database: &dyn Database,
        cx: &Cx,
        instance: &Node,
        source: &str,
    ) -> Result<Self, Problem> {
        let port = free_port(cx, instance).await?;
        // A copy of a large store takes its time. The channel's own keepalive notices a dead host.
        let script =
            Script::new(database.on_copy(instance, source, port).script(&Values::default())?)
                .run_as(&instance.host.run_as)
                .within(Duration::from_secs(6 * 3600));
        let transport = cx.connect(&instance.host).await?;
        let opened = tokio::select! {
            opened = transport.open(&script) => opened,
            () = cx.cancel().cancelled() => return Err(crate::engine::cancelled()),
        };
        let said = match opened {
            Ok(stream) => return Ok(Self { port, stream }),
            Err(TransportError::Ended(said)) => said,
            Err(e) => return Err(e.explain(&instance.host.endpoint)),
        };
        Err(Problem::new(Kind::User, "the copy of the store could not be read")
            .place(instance.host.endpoint.show())
            .why(said.trim().trim_start_matches("FAILED ").to_owned())
            .fix(
                "the store itself is unchanged; a store of another version needs that version's \
                 package on the member",
            ))
    }

    /// Stops the server and removes the copy.
    pub async fn end(mut self) {
        let _ = self.stream.shutdown().await;
        let mut rest = Vec::new();
        let _ =
            tokio::time::timeout(Duration::from_secs(30), self.stream.read_to_end(&mut rest)).await;
    }
}

/// A random high port on which nobody listens.
async fn free_port(cx: &Cx, instance: &Node) -> Result<u16, Problem> {
    let output = cx.read(&instance.host, &program!("ports.sh")).await?;
    let taken: std::collections::BTreeSet<_> =
        output.stdout.lines().filter_map(|l| u16::from_str_radix(l.trim(), 16).ok()).collect();
    for _ in 0..100 {
        let port = rand::random_range(20_000..60_000);
        if !taken.contains(&port) {
            return Ok(port);
        }
    }
    Err(Problem::user("no free port was found")
        .place(instance.host.endpoint.show())
        .fix("try again"))
}
