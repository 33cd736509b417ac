//! Jump hosts (`ProxyJump`): each hop is a pooled connection of its own, with its own login and
//! host key rules.
use super::Endpoint;

/// The hop right before `endpoint`; `None`: a direct connection. A host that is itself in the chain
/// is reached through the hops before it.
#[must_use]
pub fn before<'a>(chain: &'a [Endpoint], endpoint: &Endpoint) -> Option<&'a Endpoint> {
    let same = |hop: &Endpoint| hop.address == endpoint.address && hop.port == endpoint.port;
    match chain.iter().position(same) {
        Some(0) => None,
        Some(n) => chain.get(n - 1),
        None => chain.last(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_reached_through_the_hops_before_it() {
        let host = |address: &str| Endpoint {
            name: address.into(),
            address: address.parse().unwrap(),
            port: 22,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        };
        let chain = [host("outer"), host("inner")];
        for (chain, to, want) in [
            (&chain[..], "db", Some("inner")),
            (&chain[..], "inner", Some("outer")),
            (&chain[..], "outer", None),
            (&[][..], "db", None),
        ] {
            assert_eq!(before(chain, &host(to)).map(|h| &*h.address), want, "{to}");
        }
    }
}
