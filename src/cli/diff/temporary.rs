//! A server on a copy of a store that lives as long as an SSH channel.
use crate::base::shell::quote;
use crate::base::{Kind, Problem};
use crate::component::seekdb::Instance;
use crate::engine::Cx;
use crate::transport::{Duplex, Script, TransportError, key_values};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Space on the host, in bytes.
pub struct Room {
    /// Size of the store.
    pub needed: u64,
    /// Free where the copy goes.
    pub free: u64,
}

/// Reads what a copy of `source` needs.
///
/// # Errors
/// The host does not answer, or there is no store.
pub async fn room(cx: &Cx, instance: &Instance, source: &str) -> Result<Room, Problem> {
    let script = format!(
        "s={}; [ -d \"$s/store\" ] && echo store=1; echo needed=$(du -sk \"$s/store\" \"$s/etc\" 2>/dev/null | awk '{{n+=$1}} END {{print n+0}}'); df -Pk {} | awk 'NR==2 {{print \"free=\" $4}}'",
        quote(source),
        instance.base()
    );
    let facts = key_values(&cx.read(&instance.host, &script).await?.stdout);
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

/// Copies, starts, says that it is ready, waits for the end of its input, stops, removes. The copy's
/// directories are relative to its own base directory (`data_dir` and `redo_dir` are `store` and
/// `store/redo`, seen on 1.4.0), so nothing leads back.
fn script(instance: &Instance, source: &str, port: u16) -> String {
    let work = format!("{}/.ob/diff-{port}", instance.base_dir);
    format!(
        r#"umask 077; w={work}; s={source}; pid=
end() {{ trap - EXIT HUP INT TERM PIPE; if [ -n "$pid" ]; then kill -TERM $pid 2>/dev/null; n=0; while kill -0 $pid 2>/dev/null && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.1; done; kill -KILL $pid 2>/dev/null; fi; rm -rf "$w"; }}
trap end EXIT; trap 'exit 1' HUP INT TERM PIPE
mkdir "$w" && mkdir "$w/run" "$w/log" && cp -a --reflink=auto "$s/store" "$s/etc" "$w/" 2>&1 || {{ echo "FAILED the copy"; exit 1; }}
cd "$w" || exit 1
{server} --nodaemon --port {port} --base-dir "$w" --parameter enable_rpc_service=False </dev/null >"$w/out" 2>&1 &
pid=$!
n=0; while [ $n -lt 240 ]; do n=$((n+1)); kill -0 $pid 2>/dev/null || {{ echo "FAILED it ended: $(grep -hE 'ERROR|ret=-' "$w/log/seekdb.log" 2>/dev/null | tail -n 1 | cut -c1-300)"; exit 1; }}
grep -qi ":$(printf %04X {port}) .* 0A " /proc/net/tcp && break; sleep 0.25; done
case $(ls -l /proc/$pid/fd 2>/dev/null | grep -F -e "-> $s/store/" -e "-> $s/etc/") in ?*) echo "FAILED it opened files of the store itself"; exit 1 ;; esac
ob_ready
cat >/dev/null
"#,
        work = quote(&work),
        source = quote(source),
        server = quote(&format!("{}/.ob/package/seekdb", instance.base_dir)),
    )
}

impl Temporary {
    /// Copies the store and starts the server.
    ///
    /// # Errors
    /// The copy failed, the server ended or did not answer.
    pub async fn start(cx: &Cx, instance: &Instance, source: &str) -> Result<Self, Problem> {
        let port = free_port(cx, instance).await?;
        // A copy of a large store takes its time; the channel's own keepalive notices a dead host.
        let script = Script::new(script(instance, source, port))
            .run_as(&instance.host.run_as)
            .within(Duration::from_secs(6 * 3600));
        let transport = cx.connect(&instance.host).await?;
        let opened = tokio::select! {
            opened = transport.open(&script) => opened,
            () = cx.cancel().cancelled() => return Err(crate::engine::effect::cancelled()),
        };
        let said = match opened {
            Ok(stream) => return Ok(Self { port, stream }),
            Err(TransportError::Ended(said)) => said,
            Err(e) => return Err(e.explain(&instance.host.endpoint)),
        };
        Err(Problem::new(Kind::User, "the copy of the store could not be read")
            .place(instance.host.endpoint.show())
            .why(said.trim().trim_start_matches("FAILED ").to_owned())
            .fix("the store itself is unchanged; a store of another version needs that version's package on the member"))
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
async fn free_port(cx: &Cx, instance: &Instance) -> Result<u16, Problem> {
    let output = cx.read(&instance.host, "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '{n=split($2,a,\":\"); print a[n]}'").await?;
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
