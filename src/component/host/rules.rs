//! Which kernel settings are good, and the values that bad ones get.
//!
//! The values come from obd's `host_tool/1.0/precheck.py` and from the observer's own check at
//! start. Two settings are left out on purpose: `net.ipv4.ip_forward` (a container host needs it)
//! and `kernel.core_pattern` (it belongs to the whole machine).
use std::collections::BTreeMap;

/// What a kernel setting must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Want {
    /// Exactly this text.
    Exactly(String),
    /// This number or a larger one.
    AtLeast(i64),
    /// A number between the first two; a bad value becomes the third.
    Between(i64, i64, i64),
    /// A number of KiB between these two; a bad value becomes 5 % of memory, clamped to them. (A
    /// fixed 2 GiB would starve a small host.)
    FreeMemory(i64, i64),
}

/// Rules by setting. The flag is true when the user named the setting: then it must exist on the
/// host.
pub type Rules = BTreeMap<String, (Want, bool)>;

/// The rules of a profile, with exact values on top.
#[must_use]
pub fn rules(profile: &str, values: &BTreeMap<String, String>) -> Rules {
    let exactly = |v: &str| Want::Exactly(v.to_owned());
    let mut all: Vec<(&str, Want)> = Vec::new();
    if !profile.is_empty() {
        all.extend([
            ("fs.aio-max-nr", Want::AtLeast(1_048_576)),
            ("fs.file-max", Want::AtLeast(6_573_688)),
            ("vm.max_map_count", Want::Between(327_600, 1_310_720, 655_360)),
            ("vm.min_free_kbytes", Want::FreeMemory(32_768, 2_097_152)),
            ("vm.overcommit_memory", exactly("0")),
            ("vm.swappiness", exactly("0")),
            ("net.core.somaxconn", Want::AtLeast(2_048)),
        ]);
    }
    if profile == "oceanbase" {
        all.extend([
            ("fs.pipe-user-pages-soft", exactly("0")),
            ("net.core.netdev_max_backlog", Want::AtLeast(10_000)),
            ("net.core.rmem_default", Want::AtLeast(16_777_216)),
            ("net.core.wmem_default", Want::AtLeast(16_777_216)),
            ("net.core.rmem_max", Want::AtLeast(16_777_216)),
            ("net.core.wmem_max", Want::AtLeast(16_777_216)),
            ("net.ipv4.conf.default.rp_filter", exactly("1")),
            ("net.ipv4.conf.default.accept_source_route", exactly("0")),
            ("net.ipv4.tcp_syncookies", exactly("1")),
            ("net.ipv4.tcp_rmem", exactly("4096 87380 16777216")),
            ("net.ipv4.tcp_wmem", exactly("4096 65536 16777216")),
            ("net.ipv4.tcp_max_syn_backlog", Want::AtLeast(16_384)),
            ("net.ipv4.tcp_fin_timeout", exactly("15")),
            ("net.ipv4.tcp_slow_start_after_idle", exactly("0")),
        ]);
    }
    let mut rules: Rules = all.into_iter().map(|(k, w)| (k.to_owned(), (w, false))).collect();
    rules.extend(values.iter().map(|(k, v)| (k.clone(), (Want::Exactly(normal(v)), true))));
    rules
}

/// Puts one blank between words, so that values compare equal: the kernel prints tabs.
#[must_use]
pub fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Want {
    /// Whether a value is good.
    #[must_use]
    pub fn holds(&self, now: &str) -> bool {
        let number = now.trim().parse::<i64>();
        match self {
            Self::Exactly(text) => normal(now) == *text,
            Self::AtLeast(least) => number.is_ok_and(|n| n >= *least),
            Self::Between(low, high, _) | Self::FreeMemory(low, high) => {
                number.is_ok_and(|n| (*low..=*high).contains(&n))
            }
        }
    }
    /// The value that a bad setting gets on a host with this much memory.
    #[must_use]
    pub fn value(&self, memory_kib: i64) -> String {
        match self {
            Self::Exactly(text) => text.clone(),
            Self::AtLeast(n) | Self::Between(_, _, n) => n.to_string(),
            Self::FreeMemory(low, high) => (memory_kib / 20).clamp(*low, *high).to_string(),
        }
    }
    /// The rule for people: `at least 2048`.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Self::Exactly(text) => text.clone(),
            Self::AtLeast(n) => format!("at least {n}"),
            Self::Between(low, high, _) | Self::FreeMemory(low, high) => {
                format!("between {low} and {high}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_value_is_left_alone_and_a_bad_one_gets_the_known_good() {
        let all = rules("oceanbase", &[("vm.swappiness".to_owned(), "10".to_owned())].into());
        for (key, now, holds, becomes) in [
            ("fs.aio-max-nr", "65536", false, "1048576"),
            ("fs.aio-max-nr", "2000000", true, "1048576"),
            ("vm.max_map_count", "65530", false, "655360"),
            ("vm.max_map_count", "400000", true, "655360"),
            ("vm.max_map_count", "9999999", false, "655360"),
            ("vm.min_free_kbytes", "5000", false, "50000"),
            ("vm.swappiness", "10", true, "10"),
            ("vm.swappiness", "0", false, "10"),
            ("net.ipv4.tcp_rmem", "4096\t87380\t16777216", true, "4096 87380 16777216"),
            ("net.ipv4.tcp_rmem", "4096\t131072\t6291456", false, "4096 87380 16777216"),
        ] {
            let want = &all[key].0;
            assert_eq!(
                (want.holds(now), want.value(1_000_000).as_str()),
                (holds, becomes),
                "{key} {now}"
            );
        }
        assert!(all["vm.swappiness"].1 && !all["fs.file-max"].1, "what the user names must exist");
    }

    #[test]
    fn a_small_host_keeps_its_memory() {
        assert_eq!(Want::FreeMemory(32_768, 2_097_152).value(100_000), "32768");
        assert_eq!(Want::FreeMemory(32_768, 2_097_152).value(512 << 20), "2097152");
    }
}
