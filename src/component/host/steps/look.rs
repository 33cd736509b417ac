//! Steps that only look: the clock, and the network that servers will use.
use super::super::{Site, facts};
use super::{id, prepare};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Step, StepId};
use crate::transport::key_values;
use async_trait::async_trait;

/// Proves that the host's clock is close to this machine's. Only looks.
#[derive(Clone, Debug)]
pub struct CheckClock {
    /// The host.
    pub site: Site,
    /// Largest allowed difference in milliseconds.
    pub max_ms: u64,
}

#[async_trait]
impl Step for CheckClock {
    fn id(&self) -> StepId {
        id("check_clock", &self.site)
    }
    fn title(&self) -> String {
        format!("prove that the clock of {} is right within {} ms", self.site.name, self.max_ms)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        Effect::Look(vec!["date +%s%3N".into()])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let (offset, sure) = facts::clock(cx, &self.site.host).await?;
        // The round trip's time may explain a part of the difference; that part does not count.
        let least =
            offset.unsigned_abs().saturating_sub(u64::try_from(sure.as_millis()).unwrap_or(0));
        if least <= self.max_ms {
            return Ok(Check::Done);
        }
        let (size, side) = (offset.unsigned_abs(), if offset > 0 { "ahead of" } else { "behind" });
        Ok(Check::Refused(
            Problem::user(format!("the clock of host \"{}\" is off", self.site.name))
                .place(self.site.host.endpoint.show())
                .why(format!(
                    "it is {size} ms {side} this machine's (give or take {} ms); {} ms are allowed",
                    sure.as_millis(),
                    self.max_ms
                ))
                .fix(
                    "start chrony (or another NTP client) on the host, and check this machine's \
                     clock too",
                )
                .attribute(["prepare", "clock", "max_offset"]),
        ))
    }
}

/// Proves that the network device exists and carries the address. Only looks.
#[derive(Clone, Debug)]
pub struct CheckNetwork {
    /// The host.
    pub site: Site,
    /// Name of the network device.
    pub device: String,
    /// Address that the device must carry.
    pub address: Option<String>,
}

#[async_trait]
impl Step for CheckNetwork {
    fn id(&self) -> StepId {
        id("check_network", &self.site)
    }
    fn title(&self) -> String {
        match &self.address {
            Some(address) => {
                format!("prove that {address} is on device {} of {}", self.device, self.site.name)
            }
            None => format!("prove that {} has device {}", self.site.name, self.device),
        }
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let device = &self.device;
        Effect::Look(vec![format!("cat /proc/net/dev; ip -o addr show dev {device}")])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let program = prepare!("look_network.sh").arg(self.device.as_str());
        let seen = key_values(&cx.read(&self.site.host, &program).await?.stdout);
        let list = |prefix: &str| {
            seen.keys().filter_map(|k| k.strip_prefix(prefix)).collect::<Vec<_>>().join(", ")
        };
        let refuse = |attribute: &str, what: String, why: String, fix: String| {
            Check::Refused(
                Problem::user(what)
                    .place(self.site.host.endpoint.show())
                    .why(why)
                    .fix(fix)
                    .attribute(["network", attribute]),
            )
        };
        if !seen.contains_key(&format!("device.{}", self.device)) {
            return Ok(refuse(
                "device",
                format!("host \"{}\" has no network device {}", self.site.name, self.device),
                format!("it has {}", list("device.")),
                "name one of these".into(),
            ));
        }
        let Some(address) = &self.address else { return Ok(Check::Done) };
        if !seen.contains_key("tool") {
            return Ok(Check::Unknown(
                "there is no `ip` command on the host: install iproute2".into(),
            ));
        }
        let same = |a: &str| {
            a == address
                || matches!(
                    (a.parse::<std::net::IpAddr>(), address.parse::<std::net::IpAddr>()),
                    (Ok(x), Ok(y)) if x == y
                )
        };
        if seen.keys().filter_map(|k| k.strip_prefix("address.")).any(same) {
            return Ok(Check::Done);
        }
        Ok(refuse(
            "service_address",
            format!(
                "address {address} is not on device {} of host \"{}\"",
                self.device, self.site.name
            ),
            format!("it carries {}", list("address.")),
            "name one of these, or another device".into(),
        ))
    }
}
