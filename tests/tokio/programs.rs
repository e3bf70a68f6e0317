//! Programs that use a connection, and what each of them must achieve on any stream.

use crate::choices::Choices;
use crate::executor::{Counted, Spurious, run};
use crate::framed::frame_to;
use crate::mock::{Mock, Peer};
use std::cell::Cell;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use websocket_stream::tokio::{AsyncError, WebSocket};
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    CloseCode, Closed, Config, Event, Limits, OwnedMessage, PauseReading, PreparedMessage, Ready, Role,
    Scratch, SendError, WebSocketStream,
};

pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// The first byte of a final frame.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Echoes with `run`.
    Run,
    /// Echoes with `try_run`, whose handler fails at each second message.
    TryRun,
    /// Receives with `next`.
    Next,
    /// Echoes with `next` and `feed`.
    NextAndFeed,
    /// Sends while messages arrive, then receives them.
    Send,
    /// Sends messages that are encoded once.
    SendPrepared,
    /// Feeds, then flushes, while messages arrive.
    FeedAndFlush,
    /// Feeds once, then closes.
    Close,
}

impl Program {
    pub(crate) const ALL: [Self; 8] = [
        Self::Run,
        Self::TryRun,
        Self::Next,
        Self::NextAndFeed,
        Self::Send,
        Self::SendPrepared,
        Self::FeedAndFlush,
        Self::Close,
    ];
}

/// How the peer ends the connection, if the program leaves it to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    /// The stream ends without a Close frame.
    Unclean,
    Error,
}

/// A run of a program.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) role: Role,
    pub(crate) program: Program,
    pub(crate) large: bool,
    /// The budget of a call is small, the send buffer too, and reading pauses soon.
    pub(crate) tight: bool,
    pub(crate) vectored: bool,
    pub(crate) buffers: bool,
    pub(crate) end: End,
    pub(crate) spurious: Spurious,
    /// The pending poll after which the future is dropped, from 1.
    pub(crate) cut: usize,
}

impl Setup {
    pub(crate) fn new(role: Role, program: Program) -> Self {
        let (large, tight, vectored, buffers) = (false, false, false, false);
        let (end, spurious) = (End::Close, Spurious::Never);
        Self { role, program, large, tight, vectored, buffers, end, spurious, cut: 0 }
    }
}

/// The messages, in either direction.
pub(crate) fn messages(large: bool) -> Vec<OwnedMessage> {
    let long = vec![0x5a; if large { 70_000 } else { 300 }];
    vec!["a".into(), long.into(), "".into(), "end".into()]
}

/// Encodes a message as it arrives at an end with this role.
pub(crate) fn encoded(role: Role, message: &OwnedMessage) -> Vec<u8> {
    frame_to(role, if message.as_text().is_some() { TEXT } else { BINARY }, message.as_bytes())
}

pub(crate) fn encoded_close(role: Role) -> Vec<u8> {
    frame_to(role, CLOSE, &1000_u16.to_be_bytes())
}

pub(crate) fn other(role: Role) -> Role {
    if role == Role::Server { Role::Client } else { Role::Server }
}

/// Parses what an end with this role has sent: the messages, and whether a Close frame follows.
pub(crate) fn parsed(role: Role, sent: &[u8]) -> (Vec<OwnedMessage>, bool) {
    let (mut a, b) = memory::pair(sent.len() + 1);
    assert_eq!(a.send(sent).unwrap_or(0), sent.len());
    let mut peer = WebSocketStream::with_config(b, other(role), Arc::default()).unwrap();
    let (mut received, mut closed, mut again) = (Vec::new(), false, true);
    while again {
        let wants = peer.drive(&mut Scratch::new().at(0), Ready::READABLE, |event, _| {
            match event {
                Event::Message(message) => {
                    assert!(!closed);
                    received.push(message.into());
                }
                Event::Close(_) => closed = true,
                Event::Closed(end) => assert!(end.is_clean(), "{end}"),
                event => panic!("{event:?}"),
            }
            Ok(())
        });
        again = wants.is_ok_and(|wants| wants.again);
    }
    (received, closed)
}

/// Drops a future at one of its polls.
#[derive(Debug)]
pub(crate) struct Cut {
    at: usize,
    pending: Cell<usize>,
}

impl Cut {
    pub(crate) fn new(at: usize) -> Self {
        Self { at, pending: Cell::new(0) }
    }

    /// Returns whether the future was dropped.
    pub(crate) fn happened(&self) -> bool {
        self.at > 0 && self.pending.get() >= self.at
    }

    /// Awaits a future, or returns `None` if it was dropped.
    pub(crate) async fn call<R>(&self, future: impl Future<Output = R>) -> Option<R> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => {
                self.pending.set(self.pending.get() + 1);
                if self.pending.get() == self.at { Poll::Ready(None) } else { Poll::Pending }
            }
        })
        .await
    }
}

/// Awaits a call, which is made again if it was dropped.
macro_rules! again {
    ($cut:expr, $call:expr) => {
        loop {
            if let Some(result) = $cut.call($call).await {
                break result;
            }
        }
    };
}
pub(crate) use again;

/// What a program has achieved.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) received: Vec<OwnedMessage>,
    /// The messages for which a future was dropped: sent whole, or not at all.
    pub(crate) doubtful: Vec<OwnedMessage>,
    pub(crate) end: Result<Option<Closed>, AsyncError>,
}

/// The part of a program that follows when it has sent everything: the peer closes.
async fn receive_until_close(
    ws: &mut WebSocket<Mock>,
    mock: &Mock,
    role: Role,
    cut: &Cut,
    received: &mut Vec<OwnedMessage>,
) -> Result<Option<Closed>, AsyncError> {
    mock.world().peer.extend([Peer::Sends(encoded_close(role)), Peer::EndsStream]);
    while let Some(message) = again!(cut, ws.next()) {
        received.push(message?);
    }
    assert!(again!(cut, ws.next()).is_none());
    Ok(None)
}

async fn perform(mut ws: WebSocket<Mock>, mock: &Mock, setup: &Setup, cut: &Cut) -> Outcome {
    let (mut received, mut doubtful) = (Vec::new(), Vec::new());
    let all = messages(setup.large);
    let end = async {
        match setup.program {
            Program::Run => loop {
                let running = ws.run(|event, out| {
                    let Event::Message(message) = event else { return Ok(()) };
                    received.push(message.into());
                    out.send(message)
                });
                if let Some(end) = cut.call(running).await {
                    break end.map(Some);
                }
            },
            Program::TryRun => loop {
                let running = ws.try_run(|event, out| {
                    let Event::Message(message) = event else { return Ok(()) };
                    received.push(message.into());
                    if let Err(error @ (SendError::Full | SendError::TooLong)) = out.send(message) {
                        return Err(Some(AsyncError::Send(error)));
                    }
                    if received.len().is_multiple_of(2) { Err(None) } else { Ok(()) }
                });
                match cut.call(running).await {
                    Some(Ok(end)) => break Ok(Some(end)),
                    Some(Err(Some(error))) => break Err(error),
                    Some(Err(None)) | None => {}
                }
            },
            Program::Next => loop {
                match again!(cut, ws.next()) {
                    Some(message) => received.push(message?),
                    None => break Ok(None),
                }
            },
            Program::NextAndFeed => loop {
                let Some(message) = again!(cut, ws.next()) else { break Ok(None) };
                let message = message?;
                received.push(message.clone());
                again!(cut, ws.feed(message.clone()))?;
            },
            Program::Send | Program::SendPrepared => {
                for message in &all {
                    let sent = if setup.program == Program::Send {
                        cut.call(ws.send(message.clone())).await
                    } else {
                        cut.call(ws.send_prepared(&PreparedMessage::new(message))).await
                    };
                    match sent {
                        Some(sent) => sent?,
                        None => doubtful.push(message.clone()),
                    }
                }
                again!(cut, ws.flush())?;
                receive_until_close(&mut ws, mock, setup.role, cut, &mut received).await
            }
            Program::FeedAndFlush => {
                for message in &all {
                    again!(cut, ws.feed(message.clone()))?;
                }
                again!(cut, ws.flush())?;
                receive_until_close(&mut ws, mock, setup.role, cut, &mut received).await
            }
            Program::Close => {
                again!(cut, ws.feed(all[0].clone()))?;
                again!(cut, ws.close(CloseCode::NORMAL, "")).map(Some)
            }
        }
    }
    .await;
    Outcome { received, doubtful, end }
}

impl Setup {
    fn config(&self) -> Config {
        let limits = Limits::default();
        if !self.tight {
            return Config::default().limits(limits);
        }
        let (longest, bytes) = if self.large { (70_000, 9000) } else { (300, 50) };
        let limits = limits
            .call_bytes(bytes)
            .call_events(2)
            .unsent(longest + 100 + Limits::CONTROL_ROOM)
            .pause_reading(PauseReading::Above(20));
        Config::default().limits(limits)
    }

    fn peer(&self) -> Vec<Peer> {
        let all = messages(self.large);
        let frames: Vec<u8> = all.iter().flat_map(|message| encoded(self.role, message)).collect();
        let echoed: usize = all.iter().map(|message| encoded(other(self.role), message).len()).sum();
        let close = encoded_close(self.role);
        let end = match self.end {
            End::Close => vec![Peer::Sends(close.clone()), Peer::EndsStream],
            End::Unclean => vec![Peer::EndsStream],
            End::Error => vec![Peer::Fails(ErrorKind::ConnectionReset)],
        };
        let mut peer = vec![Peer::Sends(frames)];
        match self.program {
            Program::Run | Program::TryRun | Program::Next => peer.extend(end),
            Program::NextAndFeed => peer.extend([Peer::Awaits(echoed)].into_iter().chain(end)),
            Program::Send | Program::SendPrepared | Program::FeedAndFlush => {}
            Program::Close => {
                let sent = encoded(other(self.role), &all[0]).len() + encoded_close(other(self.role)).len();
                peer.extend([Peer::Awaits(sent), Peer::Sends(close), Peer::EndsStream]);
            }
        }
        peer
    }

    /// Runs the program, and checks what it has achieved. Returns the choices, and whether a future was
    /// dropped.
    pub(crate) fn check(&self, choices: Choices) -> (Choices, bool) {
        let mock = Mock::new(choices, self.peer()).vectored(self.vectored).buffers(self.buffers);
        let ws = WebSocket::new(mock.clone(), self.role, Arc::new(self.config())).unwrap();
        let cut = Cut::new(self.cut);
        let (outcome, counted) = run(&mock, self.spurious, perform(ws, &mock, self, &cut));
        let case = || format!("{self:?}: {outcome:?} {:?}", mock.choices());
        let all = messages(self.large);
        let (sent, closed) = parsed(self.role, &mock.world().sent);
        let ends = match self.program {
            Program::Run | Program::TryRun | Program::Next | Program::NextAndFeed => self.end,
            _ => End::Close,
        };
        if self.program != Program::Close {
            assert_eq!(outcome.received, all, "{}", case());
        }
        let mut expected = match self.program {
            Program::Next => Vec::new(),
            Program::Close => vec![all[0].clone()],
            _ => all,
        };
        // Sent whole or not at all.
        expected.retain(|message| !outcome.doubtful.contains(message) || sent.contains(message));
        match ends {
            End::Close => {
                assert_eq!((sent, closed), (expected, true), "{}", case());
                assert!(matches!(outcome.end, Ok(None | Some(_))), "{}", case());
            }
            // The last replies may be lost with the connection.
            End::Unclean | End::Error => {
                assert!(expected.starts_with(&sent), "{}", case());
                assert!(matches!(outcome.end, Err(AsyncError::Closed(_))), "{}", case());
            }
        }
        self.check_polls(counted, &case());
        let happened = cut.happened();
        let choices = mock.choices();
        (choices, happened)
    }

    /// Each poll follows an event, or the end of a call's budget.
    fn check_polls(&self, counted: Counted, case: &str) {
        let budgets = match (self.tight, self.large) {
            (false, _) => 0,
            (true, false) => 330 / 50 + 5,
            (true, true) => 70_100 / 9000 + 5,
        };
        assert!(counted.polls <= 1 + counted.events + budgets, "{counted:?} {case}");
    }
}
