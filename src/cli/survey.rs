//! Everything of ours that lies on a host: gates, marks, notes and journals, read by two scripts.
use crate::base::Problem;
use crate::component::seekdb::Instance;
use crate::component::seekdb::group::Group;
use crate::engine::history::{self, Record};
use crate::engine::mark::Mark;
use crate::engine::{Cx, Host, gate};
use crate::transport::key_values;
use serde::Serialize;

/// A gate as it is now. On the host it is a file of `key=value` lines with these keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Gate {
    /// Number of the last lease; only grows.
    pub number: u64,
    /// True while its holder renews it.
    pub live: bool,
    /// Who holds it.
    pub who: String,
    /// Operation that holds it; empty when it was given back.
    pub holder: String,
}

/// One object as a host knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Object {
    /// Its key, `cluster.main`.
    pub key: String,
    /// Its gate.
    pub gate: Gate,
    /// Its directory, while it has one.
    pub home: Option<String>,
    /// Whose it is.
    pub mark: Option<Mark>,
    /// There is a mark that cannot be read.
    pub mark_damaged: bool,
    /// Note of the group it is a member of.
    pub group: Option<Group>,
    /// SQL and RPC port of its start script.
    pub ports: Option<(u16, u16)>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Which one.
    pub host: Host,
    /// Its clock, seconds since 1970.
    pub now: i64,
    /// What lies there.
    pub objects: Vec<Object>,
    /// What ran there.
    pub records: Vec<Record>,
}

const SEPARATOR: &str = "=====ob-object ";

/// Looks at one host.
///
/// # Errors
/// It cannot be reached.
pub async fn look(cx: &Cx, host: &Host) -> Result<Survey, Problem> {
    let script = format!(
        r#"{}echo "now=$(date +%s)"
cd "$OB_STATE/objects" 2>/dev/null || exit 0
for d in *; do [ -d "$d" ] || continue
ob_read_gate "$d"
echo '{SEPARATOR}'"$d"
printf 'number=%s\nlive=%s\nwho=%s\nholder=%s\n' "$g_number" "$g_live" "$g_who" "$g_holder"
h=$(cat "$d/home" 2>/dev/null) || continue
echo "home=$h"
[ -e "$h/.ob/mark" ] && {{ echo marked=1; printf 'mark=%s\n' "$(cat "$h/.ob/mark")"; }}
[ -e "$h/.ob/group" ] && printf 'group=%s\n' "$(cat "$h/.ob/group")"
[ -e "$h/.ob/start" ] && {{ sed -n 's/.*--port \([0-9]*\).*/sql_port=\1/p' "$h/.ob/start"; sed -n 's/.*rpc_port=\([0-9]*\).*/rpc_port=\1/p' "$h/.ob/start"; }}
done; :"#,
        gate::LIB
    );
    let text = cx.read(host, &script).await?.stdout;
    let mut parts = text.split(SEPARATOR);
    let now = parts.next().and_then(|p| key_values(p).get("now")?.parse().ok()).unwrap_or(0);
    let records = history::list(cx, host, None).await?;
    Ok(Survey { host: host.clone(), now, objects: parts.map(object).collect(), records })
}

fn object(part: &str) -> Object {
    let (key, rest) = part.split_once('\n').unwrap_or((part, ""));
    let facts = key_values(rest);
    let text = |k: &str| facts.get(k).cloned().unwrap_or_default();
    let port = |k: &str| facts.get(k).and_then(|p| p.trim().parse::<u16>().ok());
    let mark = facts.get("mark").and_then(|m| Mark::parse(m));
    Object {
        key: key.trim().to_owned(),
        gate: Gate {
            number: text("number").parse().unwrap_or(0),
            live: text("live") == "1",
            who: text("who"),
            holder: text("holder"),
        },
        home: facts.get("home").cloned(),
        mark_damaged: facts.contains_key("marked") && mark.is_none(),
        mark,
        group: facts.get("group").and_then(|g| Group::parse(g)),
        ports: port("sql_port").zip(port("rpc_port")),
    }
}

impl Object {
    /// The instance behind it, when it is one.
    #[must_use]
    pub fn instance(&self, host: &Host) -> Option<Instance> {
        let name = self.key.strip_prefix("cluster.")?;
        let (sql_port, rpc_port) = self.ports.unwrap_or((0, 0));
        Some(Instance {
            name: name.to_owned(),
            host: host.clone(),
            base_dir: self.home.clone()?,
            sql_port,
            rpc_port,
        })
    }
}

/// Looks at all hosts at once; what cannot be reached is in the second list.
pub async fn look_all(cx: &Cx, hosts: &[Host]) -> (Vec<Survey>, Vec<(Host, Problem)>) {
    let mut set = tokio::task::JoinSet::new();
    for (n, host) in hosts.iter().cloned().enumerate() {
        let cx = cx.clone();
        set.spawn(async move { (n, look(&cx, &host).await.map_err(|p| (host, p))) });
    }
    let mut all = Vec::new();
    while let Some(done) = set.join_next().await {
        all.extend(done.ok());
    }
    all.sort_by_key(|(n, _)| *n);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (_, answer) in all {
        match answer {
            Ok(survey) => good.push(survey),
            Err(pair) => bad.push(pair),
        }
    }
    (good, bad)
}

/// As [`look_all`], where at least one host must answer; the others are warned about.
///
/// # Errors
/// None answers.
pub async fn look_any(out: &super::Out, cx: &Cx, hosts: &[Host]) -> Result<Vec<Survey>, Problem> {
    let (good, bad) = look_all(cx, hosts).await;
    match bad.into_iter().next() {
        Some((_, problem)) if good.is_empty() => Err(problem),
        Some((host, problem)) => {
            out.warn(&Problem {
                what: format!("host \"{}\" could not be looked at", host.endpoint.name),
                ..problem
            });
            Ok(good)
        }
        None => Ok(good),
    }
}
