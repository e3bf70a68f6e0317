//! The compression between client and server: permessage-deflate (RFC 7692), with equal parameters in both
//! directions.

/// The extension's name.
const NAME: &str = "permessage-deflate";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Off,
    /// Each message on its own: `no_context_takeover` in both directions.
    Alone,
    /// A message may refer to earlier ones, up to 32 KiB back.
    Takeover,
}

impl Compression {
    /// Returns the word for a server's command line, or `None` without compression.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Alone => Some("alone"),
            Self::Takeover => Some("takeover"),
        }
    }

    /// Returns the value for this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Alone, Self::Takeover].into_iter().find(|compression| compression.word() == Some(word))
    }

    /// Returns a client's offer in `Sec-WebSocket-Extensions`.
    pub fn offer(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Alone => Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            // Like browsers.
            Self::Takeover => Some("permessage-deflate; client_max_window_bits"),
        }
    }

    /// Returns whether a server's answer agrees to exactly these parameters, so that all servers are measured
    /// with equal ones.
    ///
    /// A client needs no answer to send messages without context.
    pub fn is_agreed(self, answer: Option<&str>) -> bool {
        let Some(answer) = answer else { return self == Self::Off };
        let mut parts = answer.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        let (mut server_forgets, mut client_forgets, mut full) = (false, false, true);
        for part in parts {
            match part.to_ascii_lowercase().as_str() {
                "server_no_context_takeover" => server_forgets = true,
                "client_no_context_takeover" => client_forgets = true,
                "server_max_window_bits=15" | "client_max_window_bits=15" => {}
                _ => full = false,
            }
        }
        let agreed = match self {
            Self::Off => false,
            Self::Alone => server_forgets,
            Self::Takeover => !server_forgets && !client_forgets,
        };
        named && full && agreed
    }
}

#[cfg(test)]
mod tests {
    use super::Compression::{Alone, Off, Takeover};
    use super::*;

    #[test]
    fn an_answer_agrees_to_one_of_them() {
        let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for (answer, agreed) in [
            (None, Some(Off)),
            (Some(both), Some(Alone)),
            (Some("permessage-deflate;server_no_context_takeover"), Some(Alone)),
            (Some("Permessage-Deflate"), Some(Takeover)),
            (Some("permessage-deflate; client_max_window_bits=15"), Some(Takeover)),
            (Some("permessage-deflate; client_no_context_takeover"), None),
            (Some("permessage-deflate; client_max_window_bits=9"), None),
            (Some("permessage-deflate; server_no_context_takeover; server_max_window_bits=12"), None),
            (Some("permessage-bzip"), None),
        ] {
            for compression in [Off, Alone, Takeover] {
                assert_eq!(compression.is_agreed(answer), agreed == Some(compression), "{answer:?}");
            }
        }
    }

    #[test]
    fn words_are_found_again() {
        for compression in [Alone, Takeover] {
            assert_eq!(Compression::named(compression.word().unwrap()), Some(compression));
        }
        assert_eq!(Compression::named("off"), None);
    }
}
