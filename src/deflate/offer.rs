//! The negotiation of parameters (RFC 7692, section 7.1).
//!
//! ```text
//! client:  Deflate::offer ----- Sec-WebSocket-Extensions ----> Deflate::accept  :server
//!          Deflate::confirm <-- Sec-WebSocket-Extensions ----- Answer
//!          DeflateParams                                       DeflateParams
//! ```
#![forbid(unsafe_code)]

use super::{Deflate, WindowBits};
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::num::NonZeroU8;

/// The extension's registered name.
///
/// ```
/// use websocket_stream::deflate::{Deflate, NAME};
///
/// assert_eq!(Deflate::default().offer().split(';').next(), Some(NAME));
/// ```
pub const NAME: &str = "permessage-deflate";

/// The negotiated parameters for both directions.
///
/// ```
/// use websocket_stream::deflate::{Deflate, WindowBits};
/// use websocket_stream::handshake::Extensions;
///
/// // Both ends of a handshake arrive at the same parameters.
/// let client = Deflate::default().receive_window(WindowBits::MAX);
/// let (server, offer) = (Deflate::default().send_window(WindowBits::MAX), client.offer());
/// let offers = Extensions::parse(offer.as_bytes())?.map(|offer| offer.params());
/// let answer = server.accept(offers).ok_or("declined")?;
/// let chosen = answer.to_string();
/// let chosen = Extensions::parse(chosen.as_bytes())?.next().ok_or("empty")?;
/// let params = client.confirm(chosen.params())?;
/// assert_eq!(params, answer.params());
/// assert!(params.server.takeover() && !params.client.takeover());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeflateParams {
    /// How the server compresses.
    pub server: Context,
    /// How the client compresses.
    pub client: Context,
}

/// How far back the messages of one end may refer.
///
/// See the example of [`Deflaters`](super::Deflaters).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context(NonZeroU8);

/// A server's answer to an offer that it accepts. Displays as the value of `Sec-WebSocket-Extensions`.
///
/// See the example of [`DeflateParams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Answer {
    params: DeflateParams,
    /// The offer requested a server window, so the answer must include one.
    names_server_window: bool,
}

/// The reason why a server's answer does not match the client's offer: "the client MUST _Fail the WebSocket
/// Connection_" (RFC 7692, section 7.1).
///
/// ```
/// use websocket_stream::deflate::{Deflate, InvalidAnswer};
///
/// // By default, a client requests that the server keeps no context.
/// let bare: [(&str, Option<&str>); 0] = [];
/// assert_eq!(Deflate::default().confirm(bare), Err(InvalidAnswer::ContextTakeover));
/// assert_eq!(Deflate::default().confirm([("level", Some("9"))]), Err(InvalidAnswer::Params));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// A parameter is unknown, duplicated, or has an illegal value.
    Params,
    /// `server_no_context_takeover` was requested and is missing.
    ///
    /// Tornado responds in this way. [`WindowBits::MAX`] in [`Deflate::receive_window`] does not request it.
    ContextTakeover,
    /// `server_max_window_bits` is missing or larger than requested, and the alternative that was also
    /// offered, `server_no_context_takeover`, is missing too.
    WindowBits,
}

impl fmt::Display for InvalidAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Params => "illegal permessage-deflate parameter in the server's answer",
            Self::ContextTakeover => "missing server_no_context_takeover in the server's answer",
            Self::WindowBits => "missing or too large server_max_window_bits in the server's answer",
        })
    }
}

impl core::error::Error for InvalidAnswer {}

/// The flag beside the window bits: messages may refer to earlier ones.
const TAKEOVER: u8 = 0x80;

impl Context {
    /// Creates a context with this window; `takeover` allows references to earlier messages.
    pub const fn new(bits: WindowBits, takeover: bool) -> Self {
        let takeover = if takeover { TAKEOVER } else { 0 };
        // A window's bits are never zero.
        Self(NonZeroU8::MIN.saturating_add(bits.get() - 1 + takeover))
    }

    /// Returns how far back messages may refer, at most.
    pub const fn bits(self) -> WindowBits {
        match WindowBits::new(self.0.get() & !TAKEOVER) {
            Some(bits) => bits,
            None => WindowBits::MAX,
        }
    }

    /// Returns whether messages may refer to earlier ones.
    pub const fn takeover(self) -> bool {
        self.0.get() & TAKEOVER != 0
    }

    fn takeover_within(self) -> Option<WindowBits> {
        self.takeover().then_some(self.bits())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.takeover_within() {
            None => write!(f, "Alone({})", self.bits().get()),
            Some(bits) => write!(f, "Takeover({})", bits.get()),
        }
    }
}

/// The parameters of an offer or an answer, if they are legal.
#[derive(Debug, Clone, Copy, Default)]
struct Params {
    server_alone: bool,
    client_alone: bool,
    server_bits: Option<WindowBits>,
    /// `Some(None)` if the parameter has no value.
    client_bits: Option<Option<WindowBits>>,
}

impl Params {
    /// Reads parameters. Returns `None` if one is unknown, duplicated or has an illegal value.
    fn read<'a>(params: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in params {
            match (name, value) {
                ("server_no_context_takeover", None) if !read.server_alone => read.server_alone = true,
                ("client_no_context_takeover", None) if !read.client_alone => read.client_alone = true,
                ("server_max_window_bits", Some(bits)) if read.server_bits.is_none() => {
                    read.server_bits = Some(WindowBits::parse(bits)?);
                }
                ("client_max_window_bits", bits) if read.client_bits.is_none() => {
                    read.client_bits = Some(match bits {
                        Some(bits) => Some(WindowBits::parse(bits)?),
                        None => None,
                    });
                }
                _ => return None,
            }
        }
        Some(read)
    }
}

fn smaller(a: Option<WindowBits>, b: Option<WindowBits>) -> WindowBits {
    a.unwrap_or(WindowBits::MAX).min(b.unwrap_or(WindowBits::MAX))
}

impl Deflate {
    /// Returns the `Sec-WebSocket-Extensions` value that a client sends.
    ///
    /// If the server's window is to be bounded, a second offer requests no context takeover, for servers that
    /// cannot bound their window.
    pub fn offer(&self) -> String {
        let client = match self.send_window {
            None => String::from("; client_no_context_takeover; client_max_window_bits"),
            Some(WindowBits::MAX) => String::from("; client_max_window_bits"),
            Some(bits) => format!("; client_max_window_bits={}", bits.get()),
        };
        let alone = format!("{NAME}; server_no_context_takeover{client}");
        match self.receive_window {
            None => alone,
            Some(WindowBits::MAX) => format!("{NAME}{client}"),
            Some(bits) => {
                format!("{NAME}; server_max_window_bits={}{client}, {alone}", bits.get())
            }
        }
    }

    /// Chooses, as a server, the first offer that it can accept.
    ///
    /// Each offer consists of the parameters of one `permessage-deflate`, in order, with their values. "A
    /// server MUST decline an extension negotiation offer for this extension" that has unknown or duplicate
    /// parameters, or illegal values (RFC 7692, section 7.1).
    ///
    /// ```
    /// use websocket_stream::deflate::Deflate;
    ///
    /// // The offer that browsers send.
    /// let offer = [("client_max_window_bits", None)];
    /// let answer = Deflate::default().accept([offer]).ok_or("declined")?;
    /// assert_eq!(
    ///     answer.to_string(),
    ///     "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    /// );
    /// # Ok::<(), &str>(())
    /// ```
    pub fn accept<'a, O>(&self, offers: impl IntoIterator<Item = O>) -> Option<Answer>
    where
        O: IntoIterator<Item = (&'a str, Option<&'a str>)>,
    {
        offers.into_iter().find_map(|offer| Some(self.answer(Params::read(offer)?)))
    }

    fn answer(&self, offer: Params) -> Answer {
        let server = Context::new(
            smaller(self.send_window, offer.server_bits),
            self.send_window.is_some() && !offer.server_alone,
        );
        // A smaller window can only be requested from a client that offers this parameter: "If a received
        // extension negotiation offer doesn't have the "client_max_window_bits" extension parameter, the
        // corresponding extension negotiation response to the offer MUST NOT include" it. Other clients are
        // asked for no context takeover.
        let bound = self.receive_window.is_some_and(|bits| bits < WindowBits::MAX);
        let takeover =
            self.receive_window.is_some() && !offer.client_alone && (offer.client_bits.is_some() || !bound);
        let bits = match offer.client_bits {
            Some(bits) => smaller(bits, self.receive_window),
            None => WindowBits::MAX,
        };
        Answer {
            params: DeflateParams { server, client: Context::new(bits, takeover) },
            names_server_window: offer.server_bits.is_some(),
        }
    }

    /// Returns the parameters that a server's answer to [`offer`](Self::offer) negotiates.
    ///
    /// # Errors
    ///
    /// [`InvalidAnswer`] if a parameter is illegal, or a requested one is missing.
    pub fn confirm<'a>(
        &self,
        answer: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<DeflateParams, InvalidAnswer> {
        let answer = Params::read(answer).ok_or(InvalidAnswer::Params)?;
        // In an answer, the parameter must have a value.
        let client_bits = match answer.client_bits {
            Some(None) => return Err(InvalidAnswer::Params),
            Some(bits) => bits,
            None => None,
        };
        let server_bits = smaller(None, answer.server_bits);
        if !answer.server_alone {
            // "A server accepts an extension negotiation offer with this parameter by including" it.
            match self.receive_window {
                Some(WindowBits::MAX) => {}
                Some(most) if answer.server_bits.is_some_and(|bits| bits <= most) => {}
                Some(_) => return Err(InvalidAnswer::WindowBits),
                None => return Err(InvalidAnswer::ContextTakeover),
            }
        }
        Ok(DeflateParams {
            server: Context::new(server_bits, !answer.server_alone),
            client: Context::new(
                smaller(self.send_window, client_bits),
                self.send_window.is_some() && !answer.client_alone,
            ),
        })
    }
}

impl Answer {
    /// Returns the parameters that apply once the answer is sent.
    pub const fn params(&self) -> DeflateParams {
        self.params
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeflateParams { server, client } = self.params;
        f.write_str(NAME)?;
        if !server.takeover() {
            f.write_str("; server_no_context_takeover")?;
        }
        if !client.takeover() {
            f.write_str("; client_no_context_takeover")?;
        }
        if self.names_server_window || server.bits() < WindowBits::MAX {
            write!(f, "; server_max_window_bits={}", server.bits().get())?;
        }
        if client.bits() < WindowBits::MAX {
            write!(f, "; client_max_window_bits={}", client.bits().get())?;
        }
        Ok(())
    }
}
