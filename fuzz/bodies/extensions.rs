//! Any bytes as a list of extensions: accepted if and only if the list follows the grammar; its contents,
//! encoded again, parse to equal contents.

use websocket_stream::handshake::Extensions;

type Found = Vec<(String, Vec<(String, Option<String>)>)>;

pub(crate) fn body(bytes: &[u8]) {
    let Ok(extensions) = Extensions::parse(bytes) else { return };
    let found: Found = extensions
        .map(|extension| {
            let params = extension.params();
            let params = params.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
            (extension.name.to_owned(), params.collect())
        })
        .collect();
    let mut list = String::new();
    for (name, params) in &found {
        assert!(is_token(name));
        list.push_str(", ");
        list.push_str(name);
        for (name, value) in params {
            assert!(is_token(name));
            list.push(';');
            list.push_str(name);
            if let Some(value) = value {
                // "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
                // (RFC 6455, section 9.1); the value still has its backslashes.
                assert!(is_token(&value.replace('\\', "")));
                list.push_str("=\"");
                list.push_str(value);
                list.push('"');
            }
        }
    }
    let again: Found = Extensions::parse(list.as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {list}"))
        .map(|extension| {
            let params = extension.params();
            let params = params.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
            (extension.name.to_owned(), params.collect())
        })
        .collect();
    assert_eq!(found, again);
}

/// A token as in RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let sign = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || sign(byte))
}
