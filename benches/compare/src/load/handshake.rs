//! The opening handshake: the request, and the check of a server's response.

use crate::compression::Compression;

/// An opening handshake's request; the key is RFC 6455's own example (section 1.3).
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The accept value for that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Returns the request with this offer.
pub fn request(compression: Compression) -> Vec<u8> {
    let mut request = String::from(REQUEST);
    if let Some(offer) = compression.offer() {
        request.push_str("Sec-WebSocket-Extensions: ");
        request.push_str(offer);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Checks whether a response accepts the [`request`]. Returns `None` if the response is incomplete.
pub fn accepted(response: &[u8], compression: Compression) -> Option<Result<(), String>> {
    let text = std::str::from_utf8(response).unwrap_or("");
    let head = text.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 101"));
    let (mut accept, mut extensions) = (false, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "sec-websocket-accept" => accept = value.trim() == ACCEPT,
            "sec-websocket-extensions" => extensions = Some(value.trim()),
            _ => {}
        }
    }
    Some(if !status || !accept {
        Err("the server did not accept the opening handshake".into())
    } else if !compression.is_agreed(extensions) {
        Err(format!("the server agrees to {}", extensions.unwrap_or("no extension")))
    } else {
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str =
        "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    #[test]
    fn only_the_right_response_accepts() {
        let judge = |response: &str| accepted(response.as_bytes(), Compression::Off);
        assert_eq!(judge(&format!("{RIGHT}\r\n")), Some(Ok(())));
        assert_eq!(judge(&format!("{RIGHT}\r")), None);
        for wrong in ["101 Switching Protocols\r\nsec-websocket-accept: x\r\n\r\n", "400 Bad Request\r\n\r\n"]
        {
            assert!(judge(&format!("HTTP/1.1 {wrong}")).unwrap().is_err());
        }
    }

    #[test]
    fn the_response_must_agree_to_the_offer() {
        let judge = |line: &str, compression| {
            accepted(format!("{RIGHT}{line}\r\n").as_bytes(), compression).unwrap().is_ok()
        };
        let answer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        assert!(judge(answer, Compression::Takeover));
        assert!(!judge("", Compression::Takeover));
        assert!(!judge(answer, Compression::Alone));
        assert!(!judge(answer, Compression::Off));
    }

    #[test]
    fn a_request_offers_compression_if_wanted() {
        let request = |compression| String::from_utf8(request(compression)).unwrap();
        assert!(request(Compression::Off).ends_with("Version: 13\r\n\r\n"));
        let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
        assert!(request(Compression::Takeover).ends_with(offer));
    }
}
