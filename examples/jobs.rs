//! A server whose answers take time: worker threads do the jobs, and the event loop never waits.
//!
//! ```text
//! cargo run --example jobs [ADDR]
//! ```
//!
//! A client sends numbers, each as a text; the answer to each is its smallest prime factor. Even a request to
//! connect is such a job: `/?pass=WORD` is looked up, as in a database. With `open sesame`, the client is let
//! in.

use std::error::Error;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;
use websocket_stream::server::{Answer, Failure, Handle, HandleError, Handler, Id, NewPeer, Peer, Server};
use websocket_stream::{CloseCode, Message, Request, Response};

/// The jobs that may wait in a queue. When they are too many, clients are asked to try again later.
const WAITING: usize = 1000;

/// Puts the jobs of all connections into queues, each with a worker of its own. So a request to connect does
/// not wait for numbers, which can take longer than its timeout.
struct Jobs {
    passes: SyncSender<(Id, String)>,
    numbers: SyncSender<(Id, u64)>,
}

impl Handler for Jobs {
    type Session = ();

    fn open(&mut self, peer: &mut NewPeer<'_>, _: &mut (), request: &Request<'_>) -> Answer {
        let pass = request.query_pairs().find(|(name, _)| name == "pass");
        let pass = pass.map(|(_, value)| value.into_owned()).unwrap_or_default();
        match self.passes.try_send((peer.id(), pass)) {
            Ok(()) => Answer::Later,
            Err(_) => Response::new(503).header("Retry-After", "1").into(),
        }
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        let number = match message {
            Message::Text(text) => text.parse().ok(),
            Message::Binary(_) => None,
        };
        let unusable = || Failure::close(CloseCode::UNSUPPORTED_DATA, "a number as text");
        let number = number.ok_or_else(unusable)?;
        self.numbers.try_send((peer.id(), number)).map_err(|error| match error {
            TrySendError::Full(_) => Failure::close(CloseCode::TRY_AGAIN_LATER, "too many jobs"),
            TrySendError::Disconnected(_) => Failure::close(CloseCode::INTERNAL_ERROR, "no worker"),
        })
    }
}

/// Answers requests to connect. A client that has left meanwhile gets no answer.
fn admit(passes: &Receiver<(Id, String)>, handle: &Handle) -> Result<(), HandleError> {
    for (id, pass) in passes {
        patiently(|| match &*pass {
            "open sesame" => handle.answer(id, Response::accept()),
            _ => handle.answer(id, Response::forbidden()),
        })?;
    }
    Ok(())
}

/// Answers numbers, one after the other.
fn factor(numbers: &Receiver<(Id, u64)>, handle: &Handle) -> Result<(), HandleError> {
    for (id, number) in numbers {
        let factor = smallest_factor(number).to_string();
        patiently(|| handle.send_to(id, &factor))?;
    }
    Ok(())
}

/// Tries again while too much waits for the event loop.
fn patiently(mut call: impl FnMut() -> Result<(), HandleError>) -> Result<(), HandleError> {
    loop {
        match call() {
            Err(HandleError::Full) => thread::sleep(Duration::from_millis(10)),
            other => return other,
        }
    }
}

/// Takes many seconds for a large prime.
fn smallest_factor(number: u64) -> u64 {
    let divides = |factor: &u64| number.is_multiple_of(*factor);
    (2_u64..).take_while(|factor| factor.saturating_mul(*factor) <= number).find(divides).unwrap_or(number)
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9004".to_owned());
    let server = Server::bind(address)?;
    println!("listening on ws://{}", server.local_addr().expect("a TCP listener"));
    let (admitter, factorer) = (server.handle(), server.handle());
    let (passes, asked) = sync_channel(WAITING);
    thread::spawn(move || admit(&asked, &admitter));
    let (numbers, sent) = sync_channel(WAITING);
    thread::spawn(move || factor(&sent, &factorer));
    server.run(Jobs { passes, numbers })?;
    Ok(())
}
