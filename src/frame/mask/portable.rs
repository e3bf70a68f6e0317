//! Masking eight bytes at a time, on any machine.
#![forbid(unsafe_code)]

pub(super) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = wide(key);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        for (byte, key) in chunk.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(wide) {
        *byte ^= key;
    }
}

pub(super) fn mask_into(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    let wide = wide(key);
    for (to, from) in to.chunks_mut(8).zip(from.chunks(8)) {
        for ((to, from), key) in to.iter_mut().zip(from).zip(wide) {
            *to = from ^ key;
        }
    }
}

fn wide([a, b, c, d]: [u8; 4]) -> [u8; 8] {
    [a, b, c, d, a, b, c, d]
}
