//! `data.ob_host`: what a host says of itself right now, with numbers that change from minute to
//! minute.
use super::common::{Connection, Texts, connection};
use super::execute::reader;
use super::ob_host::devices;
use super::{Context, DataSource, Found};
use crate::base::Problem;
use crate::component::host::facts;
use crate::schema::build::{NUMBER, STRING, map_of, number, object, set, string};
use crate::schema::{Schema, Value};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The data source.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObHostFacts;

/// Its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Which host.
    pub endpoint: Value<Connection>,
    /// Operating system.
    pub os: Value<String>,
    /// Kernel release.
    pub kernel: Value<String>,
    /// Architecture.
    pub arch: Value<String>,
    /// Processors.
    pub cores: Value<i64>,
    /// Memory.
    pub memory_bytes: Value<i64>,
    /// Network devices.
    pub devices: Texts,
    /// Disks by mount point.
    pub disks: Value<BTreeMap<String, Value<Disk>>>,
    /// Memory that can be had.
    pub memory_available_bytes: Value<i64>,
    /// How far its clock is ahead.
    pub clock_offset_ms: Value<i64>,
    /// How sure that is.
    pub clock_uncertainty_ms: Value<i64>,
    /// Ports in use.
    pub listening_ports: Value<BTreeSet<Value<i64>>>,
    /// Load in hundredths.
    pub load_percent: Value<i64>,
    /// Time since its boot.
    pub uptime_seconds: Value<i64>,
}

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Device.
    pub device: Value<String>,
    /// Size.
    pub bytes: Value<i64>,
    /// Free.
    pub free_bytes: Value<i64>,
}

#[async_trait]
impl DataSource for ObHostFacts {
    type State = HostFacts;
    const TYPE: &'static str = "ob_host";

    fn schema(&self) -> Schema {
        let disk = [
            ("device", string("Its device.").computed()),
            ("bytes", number("Its size.").computed()),
            ("free_bytes", number("What is free for ordinary users.").computed()),
        ];
        Schema::new(
            0,
            "What a host says of itself right now. What stays the same is also in `ob_host`; what \
             moves is only here, so that no plan changes because a disk fills.",
        )
        .attr(
            "endpoint",
            object(
                "Which host: `ob_host.x.endpoint`, or the same attributes written out.",
                connection(),
            )
            .required(),
        )
        .attr("os", string("Operating system.").computed())
        .attr("kernel", string("Kernel release.").computed())
        .attr("arch", string("Architecture.").computed())
        .attr("cores", number("Processors.").computed())
        .attr("memory_bytes", number("Memory in bytes.").computed())
        .attr("devices", set("Network devices.", STRING).computed())
        .attr("disks", map_of("Disks by mount point.", disk).computed())
        .attr(
            "memory_available_bytes",
            number("Memory that can be had without swapping.").computed(),
        )
        .attr(
            "clock_offset_ms",
            number("How far its clock is ahead of this machine's, in milliseconds.").computed(),
        )
        .attr(
            "clock_uncertainty_ms",
            number("How far `clock_offset_ms` may be wrong: half of the way there and back.")
                .computed(),
        )
        .attr("listening_ports", set("TCP ports that something listens on.", NUMBER).computed())
        .attr("load_percent", number("Load average of the last minute, in hundredths.").computed())
        .attr("uptime_seconds", number("Seconds since its boot.").computed())
    }

    async fn read(&self, cx: &Context, config: HostFacts) -> Result<Found<HostFacts>, Problem> {
        let endpoint = config.endpoint.as_ref_option().and_then(Connection::endpoint);
        let host = super::common::host(
            endpoint.ok_or_else(|| Problem::internal("the connection is not known"))?,
            "",
        );
        let cx = reader(cx);
        let (stable, moving) = (facts::read(&cx, &host).await?, facts::moving(&cx, &host).await?);
        let (offset, sure) = facts::clock(&cx, &host).await?;
        let number = Value::Value;
        let state = HostFacts {
            endpoint: config.endpoint,
            devices: devices(&stable),
            os: Value::Value(stable.os),
            kernel: Value::Value(stable.kernel),
            arch: Value::Value(stable.arch),
            cores: number(stable.cores),
            memory_bytes: number(stable.memory_bytes),
            disks: Value::Value(
                moving
                    .disks
                    .into_iter()
                    .map(|(at, d)| {
                        (
                            at,
                            Value::Value(Disk {
                                device: Value::Value(d.device),
                                bytes: number(d.bytes),
                                free_bytes: number(d.free_bytes),
                            }),
                        )
                    })
                    .collect(),
            ),
            memory_available_bytes: number(moving.memory_available_bytes),
            clock_offset_ms: number(offset),
            clock_uncertainty_ms: number(i64::try_from(sure.as_millis()).unwrap_or(i64::MAX)),
            listening_ports: Value::Value(moving.ports.into_iter().map(number).collect()),
            load_percent: number(moving.load_percent),
            uptime_seconds: number(moving.uptime_seconds),
        };
        Ok(Found { state: Some(state), warnings: Vec::new() })
    }
}
