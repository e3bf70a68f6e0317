//! Any bytes as a proxy's answers, whole and byte by byte: the results are equal, and so is what is sent.

use websocket_stream::client::{Proxy, ProxyError, Tunnel};

const PROXIES: [&str; 3] = ["http://user:pass@proxy", "socks5://proxy", "socks5://user:pass@proxy"];

pub(crate) fn body(bytes: &[u8]) {
    let Some((&kind, answers)) = bytes.split_first() else { return };
    let proxy: Proxy = PROXIES[usize::from(kind) % 3].parse().unwrap();
    let mut whole = Tunnel::new(&proxy, "example.com", 443).unwrap();
    let result = whole.receive(answers);
    let mut pieces = Tunnel::new(&proxy, "example.com", 443).unwrap();
    assert_eq!(result, byte_by_byte(&mut pieces, answers));
    if result.is_ok() {
        assert_eq!(whole.unsent(), pieces.unsent());
    }
    let all = whole.unsent().len();
    assert!(all < 200);
    whole.sent(all.saturating_add(1));
    assert!(whole.unsent().is_empty());
    if let Ok(Some(used)) = result {
        assert!(used <= answers.len());
    }
}

fn byte_by_byte(tunnel: &mut Tunnel, answers: &[u8]) -> Result<Option<usize>, ProxyError> {
    for (index, byte) in answers.iter().enumerate() {
        if let Some(used) = tunnel.receive(&[*byte])? {
            assert_eq!(used, 1);
            return Ok(Some(index + 1));
        }
    }
    Ok(None)
}
