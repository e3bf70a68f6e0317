//! Any bytes as messages, whole and in fragments, with any window, level and earlier messages: what the
//! compressors make is inflated by this library and by zlib-rs with no more than the negotiated window.

use websocket_stream::deflate::{Deflaters, Inflater, Window, WindowBits};
use websocket_stream::frame::utf8::MessageBuffer;
use zlib_rs::{Inflate, InflateFlush};

/// The bytes that a sender removes from the end of a message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

pub(crate) fn body(bytes: &[u8]) {
    let [choice, times, rest @ ..] = bytes else { return };
    let bits = WindowBits::new(8 + (choice & 7)).expect("8 to 15");
    let (takeover, level) = (choice & 8 != 0, choice >> 4);
    let (mut deflaters, mut inflater) = (Deflaters::new(), Inflater::new());
    let (mut sent, mut received) = (Window::new(bits), Window::new(bits));
    let mut earlier = Vec::new();
    // Each message is a part of the bytes, repeated.
    let part = (rest.len() / 3).max(1);
    for message in rest.chunks(part).map(|part| part.repeat(1 + usize::from(*times) % 32)) {
        let payload = match times >> 5 {
            0 => fragments(&mut deflaters, &message, &mut sent, level),
            _ => deflaters.deflate_after(&message, &mut sent, level).map(<[u8]>::to_vec),
        };
        let Some(payload) = payload else { continue };
        let mut inflated = MessageBuffer::new(false, Vec::new());
        inflater.inflate(&payload, Some(&mut received), message.len(), &mut inflated).expect("it is valid");
        assert_eq!(inflated.as_bytes(), message);
        assert_eq!(by_zlib(&payload, &earlier, bits, message.len()), message);
        if takeover {
            earlier.extend(message);
        } else {
            (sent, received) = (Window::new(bits), Window::new(bits));
        }
    }
}

/// Compresses a message in three fragments. Returns `None` if it is to be sent uncompressed.
fn fragments(deflaters: &mut Deflaters, message: &[u8], sent: &mut Window, level: u8) -> Option<Vec<u8>> {
    let (first, rest) = message.split_at(message.len() / 2);
    let (second, third) = rest.split_at(rest.len() / 3);
    let mut payload = deflaters.deflate_first(first, sent, level)?.to_vec();
    for (fragment, fin) in [(second, false), (third, true)] {
        let made = deflaters.deflate_next(fragment, fin, sent, level);
        assert!(made.len() <= Deflaters::most_of_fragment(fragment.len()));
        payload.extend_from_slice(made);
    }
    Some(payload)
}

fn by_zlib(payload: &[u8], earlier: &[u8], bits: WindowBits, len: usize) -> Vec<u8> {
    let mut inflate = Inflate::new(false, 15);
    let window = &earlier[earlier.len().saturating_sub(bits.size())..];
    if !window.is_empty() {
        inflate.set_dictionary(window).expect("it is at most a window");
    }
    let mut message = vec![0; len + 1];
    inflate
        .decompress(&[payload, &TAIL].concat(), &mut message, InflateFlush::SyncFlush)
        .expect("it is valid");
    message.truncate(usize::try_from(inflate.total_out()).expect("it is small"));
    message
}
