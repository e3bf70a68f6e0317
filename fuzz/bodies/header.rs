//! Any bytes: a decoded header encodes to equal bytes, and no prefix of it decodes to another header.

use websocket_stream::frame::{Decoded, Header};

pub(crate) fn body(bytes: &[u8]) {
    match Header::decode(bytes) {
        Ok(Decoded::Complete { header, size }) => {
            assert_eq!(&*header.encode(), &bytes[..size]);
            for end in 0..size {
                match Header::decode(&bytes[..end]) {
                    Ok(Decoded::Partial { needed, .. }) => assert!(end < needed && needed <= size),
                    other => panic!("a prefix of {end} bytes decodes to {other:?}"),
                }
            }
        }
        Ok(Decoded::Partial { needed, .. }) => assert!(bytes.len() < needed && needed <= 14),
        Err(_) => {}
    }
}
