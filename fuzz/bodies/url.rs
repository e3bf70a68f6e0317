//! Any text as a URL, behind a line break as the location of a redirect, and as a proxy: nothing that is
//! accepted can change the request, and what is printed is the same URL again.

use websocket_stream::client::{Proxy, Url};

pub(crate) fn body(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, location) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(url) = first.parse::<Url>() {
        check(&url);
        if let Ok(joined) = url.join(location) {
            check(&joined);
            assert!(joined.credentials().is_none() || location.contains('@'));
        }
    }
    if let Ok(proxy) = text.parse::<Proxy>() {
        let printed = proxy.to_string();
        assert_eq!(printed.parse::<Proxy>().unwrap().to_string(), printed);
    }
}

fn check(url: &Url) {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(url.target().starts_with('/') && visible(url.target()) && !url.target().contains('#'), "{url}");
    assert!(
        !url.authority().is_empty() && visible(url.authority()) && !url.authority().contains('@'),
        "{url}"
    );
    assert_eq!(url.unix_path().is_none(), url.port() != 0);
    if url.unix_path().is_none() {
        let printed: Url = url.to_string().parse().unwrap();
        assert_eq!(printed.to_string(), url.to_string());
        assert_eq!(
            (printed.host(), printed.port(), printed.target()),
            (url.host(), url.port(), url.target())
        );
        assert_eq!(printed.is_secure(), url.is_secure());
    }
}
