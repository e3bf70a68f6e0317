//! The proxy that the environment names, as curl reads it.

use super::error::ProxyError;
use super::setting::Proxy;
use crate::client::url::Url;
use std::net::IpAddr;

/// The variables `ws_proxy`, `wss_proxy`, `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct Environment {
    ws: Option<String>,
    wss: Option<String>,
    all: Option<String>,
    no: String,
}

impl Environment {
    /// Reads the environment of the process.
    pub(in crate::client) fn read() -> Self {
        // One that is not UTF-8 is an invalid proxy, not none.
        Self::from_variables(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        // An empty one counts as not set.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_uppercase()));
        Self {
            // Not HTTP_PROXY: a web server sets it for its CGI programs, from a request's header `Proxy`.
            ws: either("ws_proxy").or_else(|| variable("http_proxy")),
            wss: either("wss_proxy").or_else(|| either("https_proxy")),
            all: either("all_proxy"),
            no: either("no_proxy").unwrap_or_default(),
        }
    }

    /// Returns the proxy for a URL, if it has one.
    pub(in crate::client) fn proxy(&self, url: &Url) -> Result<Option<Proxy>, ProxyError> {
        let own = if url.is_secure() { &self.wss } else { &self.ws };
        match own.as_ref().or(self.all.as_ref()) {
            Some(proxy) if !self.excludes(url.host()) => proxy.parse().map(Some),
            _ => Ok(None),
        }
    }

    /// Returns whether `no_proxy` lists the host: by its name, by a domain that it is in, by its address, by
    /// the prefix of a network, or by `*`.
    fn excludes(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let address: Option<IpAddr> = host.parse().ok();
        self.no.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).any(|entry| {
            if entry == "*" {
                return true;
            }
            match address {
                Some(address) => network_contains(entry, address),
                None => {
                    let domain = entry.trim_start_matches('.').trim_end_matches('.');
                    let Some(start) = host.len().checked_sub(domain.len()) else { return false };
                    !domain.is_empty()
                        && host.is_char_boundary(start)
                        && host[start..].eq_ignore_ascii_case(domain)
                        && (start == 0 || host.as_bytes()[start - 1] == b'.')
                }
            }
        })
    }
}

/// Returns whether an entry is the address, or the prefix of a network that has the address.
fn network_contains(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => match bits.parse::<u32>() {
            Ok(bits) => (network, Some(bits)),
            Err(_) => return false,
        },
        None => (entry, None),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']');
    match (network.parse(), address) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address)) => {
            let bits = bits.unwrap_or(32);
            bits <= 32 && (network.to_bits() ^ address.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address)) => {
            let bits = bits.unwrap_or(128);
            bits <= 128 && (network.to_bits() ^ address.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let environment = Environment::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        environment.proxy(&url.parse().unwrap()).unwrap().map(|proxy| proxy.to_string())
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_for_both() {
        let both = [("http_proxy", "a:1"), ("https_proxy", "b:1"), ("ALL_PROXY", "c:1")];
        assert_eq!(proxy(&both, "ws://x").as_deref(), Some("http://a:1"));
        assert_eq!(proxy(&both, "wss://x").as_deref(), Some("http://b:1"));
        assert_eq!(proxy(&both[2..], "ws://x").as_deref(), Some("http://c:1"));
        assert_eq!(proxy(&[("HTTPS_PROXY", "b:1")], "wss://x").as_deref(), Some("http://b:1"));
        assert_eq!(proxy(&[("HTTPS_PROXY", "b:1")], "ws://x"), None);
        assert_eq!(proxy(&[("wss_proxy", "a:1"), ("https_proxy", "b:1")], "wss://x").unwrap(), "http://a:1");
        assert_eq!(proxy(&[("https_proxy", "")], "wss://x"), None);
        let empty = [("wss_proxy", ""), ("https_proxy", ""), ("HTTPS_PROXY", "b:1"), ("no_proxy", "")];
        assert_eq!(proxy(&empty, "wss://x").as_deref(), Some("http://b:1"));
        let excluded = [("all_proxy", ""), ("ALL_PROXY", "b:1"), ("no_proxy", ""), ("NO_PROXY", "x")];
        assert_eq!(proxy(&excluded, "wss://x"), None);
        assert_eq!(proxy(&[], "wss://x"), None);
    }

    #[test]
    fn the_variable_that_a_request_can_set_is_not_read() {
        assert_eq!(proxy(&[("HTTP_PROXY", "evil:1")], "ws://x"), None);
    }

    #[test]
    fn hosts_domains_addresses_and_networks_are_excluded() {
        for (no_proxy, host, excluded) in [
            ("*", "a", true),
            ("a.example", "a.example", true),
            ("a.example", "A.EXAMPLE", true),
            ("a.example", "b.a.example", true),
            (".a.example", "b.a.example", true),
            (".a.example", "a.example", true),
            ("a.example", "ba.example", false),
            ("a.example", "example", false),
            ("x, a.example ,y", "a.example", true),
            ("x a.example", "a.example", true),
            ("a.example.", "a.example", true),
            ("", "a", false),
            (",,", "a", false),
            (".", "a", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "11.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("0.0.1", "10.0.0.1", false),
            ("2001:db8::/32", "[2001:db8:1::2]", true),
            ("[::1]", "[::1]", true),
            ("::1", "[::2]", false),
            ("::/0", "[::2]", true),
            ("10.0.0.0/8", "a10.example", false),
        ] {
            let found = proxy(&[("all_proxy", "p:1"), ("no_proxy", no_proxy)], &format!("ws://{host}"));
            assert_eq!(found.is_none(), excluded, "{no_proxy} {host}");
        }
    }
}
