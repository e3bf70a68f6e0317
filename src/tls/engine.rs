//! rustls' connection of either role, without buffers: records in, plaintext and records out.

use super::bytes::{Bytes, Queue, Received};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, ReadEarlyData,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

/// The bytes that a record of TLS 1.2 or 1.3 has in addition to its plaintext, at most: header, explicit
/// nonce, type and tag, rounded up. rustls reports it if a suite needs more.
const RECORD_OVERHEAD: usize = 32;

/// The plaintext of a full record.
pub(super) const FULL_RECORD: usize = 16 << 10;

pub(super) enum Engine {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What rustls made of received records.
pub(super) struct Outcome {
    /// The bytes of the records that are used up.
    pub(super) used: usize,
    /// The peer's fault. An alert that reports it is among the outgoing records.
    pub(super) result: Result<(), Error>,
    /// The peer has announced the end of its direction.
    pub(super) ended: bool,
}

/// What to do after a step.
enum Next {
    /// Another step.
    Again,
    /// Wait for records.
    Wait,
    /// The peer has announced the end of its direction.
    Ended,
}

/// What differs between the roles.
trait Side: Sized {
    /// Passes on data that a client has sent before the handshake was complete.
    fn receive_early(data: ReadEarlyData<'_, '_, Self>, sink: &mut Sink<'_, '_>) -> Result<usize, Error>;
}

/// Where plaintext and records go.
pub(super) struct Sink<'a, 'b> {
    /// The caller's buffer.
    pub(super) received: &'a mut Received<'b>,
    /// What does not fit into it.
    pub(super) rest: &'a mut Queue,
    pub(super) outgoing: &'a mut Bytes,
}

impl Sink<'_, '_> {
    fn push(&mut self, plaintext: &[u8]) {
        let n = match self.rest.is_empty() {
            true => self.received.push(plaintext),
            false => 0,
        };
        if n < plaintext.len() {
            self.rest.push(&plaintext[n..]);
        }
    }
}

impl Engine {
    pub(super) fn common_state(&self) -> &CommonState {
        match self {
            Self::Client(client) => client,
            Self::Server(server) => server,
        }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Processes received records until more are needed. After an error, this must not be called again.
    pub(super) fn receive(&mut self, incoming: &mut [u8], sink: &mut Sink<'_, '_>) -> Outcome {
        let mut outcome = Outcome { used: 0, result: Ok(()), ended: false };
        loop {
            let (discard, next) = self.step(&mut incoming[outcome.used..], sink);
            outcome.used += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Wait) => return outcome,
                Ok(Next::Ended) => outcome.ended = true,
                Err(error) => {
                    // The alert. A further step would process the faulty record again.
                    while self.common_state().wants_write() {
                        let _ = self.step(&mut incoming[outcome.used..], sink);
                    }
                    outcome.result = Err(error);
                    return outcome;
                }
            }
        }
    }

    fn step(&mut self, incoming: &mut [u8], sink: &mut Sink<'_, '_>) -> (usize, Result<Next, Error>) {
        match self {
            Self::Client(client) => step(client.process_tls_records(incoming), sink),
            Self::Server(server) => step(server.process_tls_records(incoming), sink),
        }
    }

    /// Encrypts plaintext after the handshake. `incoming` are the kept records.
    pub(super) fn encrypt(
        &mut self,
        incoming: &mut [u8],
        plaintext: &[u8],
        outgoing: &mut Bytes,
    ) -> Result<(), EncryptError> {
        // One more for a record that changes the keys.
        let records = plaintext.len() / FULL_RECORD + 2;
        let room = plaintext.len().saturating_add(records * RECORD_OVERHEAD);
        self.write(incoming, outgoing, room, &Write::Data(plaintext))
    }

    /// Announces the end of this direction.
    pub(super) fn close_notify(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Bytes,
    ) -> Result<(), EncryptError> {
        self.write(incoming, outgoing, RECORD_OVERHEAD * 2, &Write::CloseNotify)
    }

    fn write(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Bytes,
        mut room: usize,
        write: &Write<'_>,
    ) -> Result<(), EncryptError> {
        loop {
            let written = match self {
                Self::Client(client) => write.on(client.process_tls_records(incoming), outgoing, room),
                Self::Server(server) => write.on(server.process_tls_records(incoming), outgoing, room),
            };
            match written {
                Ok(true) => return Ok(()),
                // A record of rustls' own went first: one that changes the keys.
                Ok(false) => {}
                Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size }))
                    if required_size > room =>
                {
                    room = required_size;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What is written.
enum Write<'a> {
    Data(&'a [u8]),
    CloseNotify,
}

impl Write<'_> {
    /// Writes, if there is nothing that must be written before. Returns whether it has.
    fn on<Data>(
        &self,
        status: UnbufferedStatus<'_, '_, Data>,
        outgoing: &mut Bytes,
        room: usize,
    ) -> Result<bool, EncryptError> {
        // All received records were processed.
        match status.state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let n = self.call(&mut traffic, outgoing.room(room))?;
                outgoing.add(n);
                Ok(true)
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, outgoing);
                Ok(false)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(false)
            }
            _ => Err(EncryptError::EncryptExhausted),
        }
    }

    fn call<Data>(
        &self,
        traffic: &mut WriteTraffic<'_, Data>,
        room: &mut [u8],
    ) -> Result<usize, EncryptError> {
        match self {
            Self::Data(plaintext) => traffic.encrypt(plaintext, room),
            Self::CloseNotify => traffic.queue_close_notify(room),
        }
    }
}

/// Does what rustls asks for. Returns the bytes that are used up, and what to do next.
fn step<Data: Side>(
    status: UnbufferedStatus<'_, '_, Data>,
    sink: &mut Sink<'_, '_>,
) -> (usize, Result<Next, Error>) {
    let mut discard = status.discard;
    let next = match status.state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    sink.push(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Next::Again),
            }
        },
        Ok(ConnectionState::ReadEarlyData(data)) => Data::receive_early(data, sink).map(|more| {
            discard += more;
            Next::Again
        }),
        Ok(ConnectionState::EncodeTlsData(data)) => {
            encode(data, sink.outgoing);
            Ok(Next::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Next::Again)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Next::Ended),
        // Waits for records, may write, or is closed.
        Ok(_) => Ok(Next::Wait),
        Err(error) => Err(error),
    };
    (discard, next)
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, outgoing: &mut Bytes) {
    let mut room = 0;
    loop {
        match data.encode(outgoing.room(room)) {
            Ok(n) => return outgoing.add(n),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size }))
                if required_size > room =>
            {
                room = required_size;
            }
            Err(_) => return,
        }
    }
}

impl Side for ClientConnectionData {
    fn receive_early(_: ReadEarlyData<'_, '_, Self>, _: &mut Sink<'_, '_>) -> Result<usize, Error> {
        // Only clients send early data.
        Ok(0)
    }
}

impl Side for ServerConnectionData {
    fn receive_early(mut data: ReadEarlyData<'_, '_, Self>, sink: &mut Sink<'_, '_>) -> Result<usize, Error> {
        let mut discard = 0;
        while let Some(record) = data.next_record() {
            let record = record?;
            discard += record.discard;
            sink.push(record.payload);
        }
        Ok(discard)
    }
}
