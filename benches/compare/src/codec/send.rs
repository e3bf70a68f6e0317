//! A client sends 32 bytes, each time with a fresh key, into a sink: the cost of the protocol without the
//! kernel.

use super::sink::Sink;
use super::table::Table;
use super::timing::{Case, case, times};
use futures_util::io::BufWriter;
use futures_util::{FutureExt, SinkExt};
use std::hint::black_box;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tungstenite::Bytes;
use websocket_stream::protocol::{Connection, Output, Role};
use websocket_stream::{Message, Scratch, WebSocketStream};

const PAYLOAD: &[u8; 32] = b"Thirty-two bytes, neither \xF0\x9F\xA6\x8A ~";
/// Messages for each write.
const BATCHES: [usize; 2] = [1, 32];
const TAKES: &str = "a sink takes everything at once";

/// Sends this number of messages, and then flushes.
type Sender = Box<dyn FnMut(usize)>;
type Make = fn(Sink) -> Sender;

/// The senders that batch messages, and then the one that does not.
const SENDERS: [(&str, Make); 6] = [
    ("ours, connection", connection),
    ("ours, stream", stream),
    ("tungstenite", tungstenite),
    ("tokio-websockets", tokio_websockets),
    ("soketto", soketto),
    ("fastwebsockets", fastwebsockets),
];
const GATHERING: usize = 5;

pub fn measure() -> Table {
    let mut heads = vec!["a write for each"];
    heads.extend(SENDERS.map(|(name, _)| name));
    heads.push("next peer/our stream");
    let mut table = Table::new("a client's sending of 32 B, fresh keys (ns for each message)", &heads);
    for batch in BATCHES {
        let senders = if batch == 1 { &SENDERS[..] } else { &SENDERS[..GATHERING] };
        let mut cases: Vec<Case<()>> = senders
            .iter()
            .map(|(_, make)| {
                let mut send = make(Sink::default());
                case(move |()| send(batch))
            })
            .collect();
        let times: Vec<f64> = times(&mut (), &mut cases).iter().map(|time| time / batch as f64).collect();
        let next = times[2..].iter().copied().fold(f64::INFINITY, f64::min);
        let cells = (0..SENDERS.len()).map(|at| times.get(at).copied());
        let label = if batch == 1 { "message".into() } else { format!("{batch} messages") };
        table.line(label.clone(), cells, [next / times[1]]);
        let ours = times[0].max(times[1]);
        table.judge(&format!("first of all, a write for each {label}"), [next / ours], 1.0);
    }
    table
}

fn connection(sink: Sink) -> Sender {
    let mut connection = Connection::new(Role::Client);
    let mut output = Output::new();
    Box::new(move |count| {
        for _ in 0..count {
            connection.send(Message::Binary(black_box(PAYLOAD)), &mut output).expect("nothing is unsent");
        }
        let taken = sink.take(output.as_bytes());
        output.consume(taken);
    })
}

fn stream(sink: Sink) -> Sender {
    let mut scratch = Scratch::new();
    let mut stream = WebSocketStream::client(sink).expect(TAKES);
    Box::new(move |count| {
        let sent = stream.send_with(&mut scratch.at(0), |out| {
            (0..count).try_for_each(|_| out.send(Message::Binary(black_box(PAYLOAD))))
        });
        sent.expect(TAKES);
    })
}

fn tungstenite(sink: Sink) -> Sender {
    use tungstenite::protocol::{Message, Role, WebSocket};
    let mut socket = WebSocket::from_raw_socket(sink, Role::Client, None);
    Box::new(move |count| {
        for _ in 0..count {
            let payload = Bytes::from_static(black_box(PAYLOAD));
            socket.write(Message::Binary(payload)).expect(TAKES);
        }
        socket.flush().expect(TAKES);
    })
}

fn tokio_websockets(sink: Sink) -> Sender {
    let mut stream = tokio_websockets::ClientBuilder::new().take_over(sink);
    Box::new(move |count| {
        let sending = async {
            for _ in 0..count {
                let payload = Bytes::from_static(black_box(PAYLOAD));
                stream.feed(tokio_websockets::Message::binary(payload)).await?;
            }
            stream.flush().await
        };
        sending.now_or_never().expect(TAKES).expect(TAKES);
    })
}

fn soketto(sink: Sink) -> Sender {
    use ::soketto::connection::Builder;
    let builder = Builder::new(BufWriter::new(sink.compat()), ::soketto::Mode::Client);
    let (mut sender, _receiver) = builder.finish();
    Box::new(move |count| {
        let sending = async {
            for _ in 0..count {
                sender.send_binary_mut(*black_box(PAYLOAD)).await?;
            }
            sender.flush().await
        };
        sending.now_or_never().expect(TAKES).expect(TAKES);
    })
}

/// fastwebsockets writes every frame at once.
fn fastwebsockets(sink: Sink) -> Sender {
    use ::fastwebsockets::{Frame, Payload, Role, WebSocket};
    let mut socket = WebSocket::after_handshake(sink, Role::Client);
    Box::new(move |count| {
        for _ in 0..count {
            // It masks in place, so at least one copy is needed to keep the message.
            let mut payload = *black_box(PAYLOAD);
            let frame = Frame::binary(Payload::BorrowedMut(&mut payload));
            socket.write_frame(frame).now_or_never().expect(TAKES).expect(TAKES);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};
    use websocket_stream::OpCode;
    use websocket_stream::frame::{Decoded, Header, mask};

    #[test]
    fn all_send_equal_messages_with_fresh_keys() {
        for (name, make) in SENDERS {
            let kept = Arc::new(Mutex::new(Vec::new()));
            let mut send = make(Sink { kept: Some(kept.clone()) });
            send(1);
            send(32);
            let mut bytes = std::mem::take(&mut *kept.lock().unwrap());
            let mut rest = &mut bytes[..];
            let mut keys = BTreeSet::new();
            for _ in 0..33 {
                let Ok(Decoded::Complete { header, size }) = Header::decode(rest) else { panic!("{name}") };
                assert_eq!((header.fin, header.opcode, header.len), (true, OpCode::Binary, 32), "{name}");
                let key = header.mask.unwrap_or_else(|| panic!("{name} does not mask"));
                keys.insert(key);
                let (payload, behind) = rest[size..].split_at_mut(32);
                mask(payload, key, 0);
                assert_eq!(payload, PAYLOAD, "{name}");
                rest = behind;
            }
            assert!(rest.is_empty(), "{name}");
            assert!(keys.len() > 30, "{name} uses keys again");
        }
    }
}
