//! Where masking keys come from (RFC 6455, section 5.3).
#![forbid(unsafe_code)]

/// A source of masking keys.
///
/// "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a strong
/// source of entropy" (RFC 6455, section 5.3). The default source of an [`Output`](super::Output)
/// is a cryptographic generator seeded by the system; another one is for tests and for platforms
/// without `std`.
pub trait MaskKeys {
    /// A fresh key.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

/// The keys of the system's cryptographic generator; seeded at the first use, so that a server, which
/// masks nothing, never asks for any.
#[cfg(feature = "std")]
#[derive(Default)]
pub(crate) struct RandomKeys(Option<rand::rngs::StdRng>);

#[cfg(feature = "std")]
impl MaskKeys for RandomKeys {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        use rand::Rng;
        self.0.get_or_insert_with(rand::make_rng).next_u32().to_ne_bytes()
    }
}
