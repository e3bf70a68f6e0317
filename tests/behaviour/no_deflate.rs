//! Without the feature `deflate`, an offer of compression is declined, and RSV1 is a fault.

use websocket_stream::handshake::{ClientRequest, Response};
use websocket_stream::protocol::{Connection, Input, Output, Role};
use websocket_stream::transport::memory;
use websocket_stream::{Cause, ClientOpening, End, Fault, Progress, Scratch, ServerOpening, Status};

#[test]
fn an_offer_is_declined() {
    let (a, b) = memory::pair(4096);
    let mut scratch = Scratch::new();
    let mut server = ServerOpening::new(a).unwrap();
    let offer = ClientRequest::new("localhost", "/").extensions("permessage-deflate; client_max_window_bits");
    let mut client = ClientOpening::new(b, offer).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0)).unwrap(), Progress::Pending(_)));
    assert!(matches!(server.advance(&mut scratch.at(0)).unwrap(), Progress::Decide(_)));
    server.answer(&Response::accept()).unwrap();
    assert!(matches!(server.advance(&mut scratch.at(0)).unwrap(), Progress::Open));
    assert!(matches!(client.advance(&mut scratch.at(0)).unwrap(), Progress::Open));
    assert_eq!(client.response().unwrap().header("Sec-WebSocket-Extensions"), None);
}

#[test]
fn the_bit_of_compressed_messages_is_a_fault() {
    let mut server = Connection::new(Role::Server);
    let mut input = Input::default();
    input.extend(&[0xC1, 0x81, 0, 0, 0, 0, b'a']);
    assert_eq!(server.receive(&mut input, &mut Output::new()), None);
    let Status::Finishing(End { cause, .. }) = server.status() else { panic!("{:?}", server.status()) };
    assert_eq!(cause, Cause::Fault(Fault::ReservedBits));
}
