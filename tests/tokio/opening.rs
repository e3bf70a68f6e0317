//! Opening handshakes on every pattern of pending polls, and with dropped futures.

use crate::choices::Choices;
use crate::executor::{Spurious, run};
use crate::mock::{Mock, Peer};
use crate::programs::{Cut, again, encoded, encoded_close, messages, parsed};
use std::sync::Arc;
use websocket_stream::tokio::{AcceptError, Opening, WebSocket, accept, accept_with, client};
use websocket_stream::{ClientRequest, OwnedMessage, Response, Role};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Calls `f` with every pattern up to a depth, and with random ones.
fn each_pattern(depth: usize, mut f: impl FnMut(Choices) -> Choices) {
    let mut choices = Choices::new(depth, 0);
    loop {
        choices = f(choices);
        if !choices.next() {
            break;
        }
    }
    for seed in 1..=200 {
        f(Choices::new(0, seed));
    }
}

/// The messages that the peer sends at once with its request or after its answer.
fn frames(role: Role) -> Vec<u8> {
    messages(false).iter().flat_map(|message| encoded(role, message)).chain(encoded_close(role)).collect()
}

async fn received(mut ws: WebSocket<Mock>) -> Vec<OwnedMessage> {
    let mut received = Vec::new();
    while let Some(message) = ws.next().await {
        received.push(message.unwrap());
    }
    received
}

fn check_opened(mock: &Mock, polls: (Vec<OwnedMessage>, crate::executor::Counted)) -> Choices {
    let (received, counted) = polls;
    assert_eq!(received, messages(false));
    assert!(counted.polls <= 1 + counted.events, "{counted:?} {:?}", mock.choices());
    mock.choices()
}

#[test]
fn a_server_opens_on_every_pattern_and_reads_what_followed_the_request() {
    let early = [REQUEST.as_bytes(), &frames(Role::Server)].concat();
    for (buffers, spurious) in [(false, Spurious::Never), (true, Spurious::BeforeEachEvent)] {
        each_pattern(6, |choices| {
            let (head, rest) = early.split_at(50);
            let peer = [Peer::Sends(head.to_vec()), Peer::Sends(rest.to_vec()), Peer::EndsStream];
            let mock = Mock::new(choices, peer).buffers(buffers);
            let opened = async { received(accept(mock.clone()).await.unwrap()).await };
            let opened = run(&mock, spurious, opened);
            let sent = mock.world().sent.clone();
            let end = sent.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            assert!(sent.starts_with(b"HTTP/1.1 101 "));
            assert_eq!(parsed(Role::Server, &sent[end..]), (vec![], true));
            check_opened(&mock, opened)
        });
    }
}

#[test]
fn a_client_opens_on_every_pattern_and_reads_what_followed_the_answer() {
    for (buffers, spurious) in [(false, Spurious::Never), (true, Spurious::BeforeEachEvent)] {
        each_pattern(6, |choices| {
            let peer = [Peer::Answers, Peer::Sends(frames(Role::Client)), Peer::EndsStream];
            let mock = Mock::new(choices, peer).buffers(buffers);
            let request = ClientRequest::new("localhost", "/");
            let opened =
                async { received(client(mock.clone(), request, Arc::default()).await.unwrap()).await };
            let opened = run(&mock, spurious, opened);
            assert_eq!(parsed(Role::Client, &mock.world().sent), (vec![], true));
            check_opened(&mock, opened)
        });
    }
}

#[test]
fn a_request_is_awaited_again_after_its_future_was_dropped() {
    for cut in 1..6 {
        each_pattern(4, |choices| {
            let pieces = REQUEST.as_bytes().chunks(40).map(|piece| Peer::Sends(piece.to_vec()));
            let then = [Peer::Sends(frames(Role::Server)), Peer::EndsStream];
            let mock = Mock::new(choices, pieces.chain(then));
            let opened = async {
                let cut = Cut::new(cut);
                let mut opening = Opening::new(mock.clone()).unwrap();
                // Not with `again!`: the request borrows the opening.
                while cut.call(async { opening.request().await.map(|_| ()) }).await.is_none() {}
                assert_eq!(again!(cut, opening.request()).unwrap().path(), "/chat");
                received(opening.answer(&Response::accept()).await.unwrap()).await
            };
            let opened = run(&mock, Spurious::Never, opened);
            assert_eq!(opened.0, messages(false));
            mock.choices()
        });
    }
}

#[test]
fn a_refusal_is_sent_whole_before_it_is_returned() {
    each_pattern(6, |choices| {
        let mock = Mock::new(choices, [Peer::Sends(REQUEST.into()), Peer::EndsStream]).buffers(true);
        let body = "x".repeat(1000);
        let refused = accept_with(mock.clone(), Arc::default(), |_| Response::new(404).body(body.clone()));
        let (refused, _) = run(&mock, Spurious::Never, refused);
        assert!(matches!(refused.unwrap_err(), AcceptError::Answered { status: 404 }));
        assert!(mock.world().sent.ends_with(body.as_bytes()));
        mock.choices()
    });
}

#[test]
fn an_opening_that_is_dropped_at_any_poll_drops_its_stream() {
    for cut in 1..8 {
        each_pattern(3, |choices| {
            let mock = Mock::new(choices, [Peer::Sends(REQUEST.into()), Peer::EndsStream]);
            let cut = Cut::new(cut);
            let opened = cut.call(accept(mock.clone()));
            drop(run(&mock, Spurious::Never, opened));
            assert_eq!(mock.handles(), 1);
            mock.choices()
        });
    }
}
