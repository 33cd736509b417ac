//! Tables of known_hosts.
