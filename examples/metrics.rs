//! Serves what an echo server counts, as text that Prometheus reads.
//!
//! ```text
//! cargo run --example metrics [ADDR]
//! curl http://127.0.0.1:9005/metrics
//! ```

use std::fmt::Write;
use websocket_stream::server::{Answer, Counters, Failure, Handle, Handler, NewPeer, Peer, Server};
use websocket_stream::{Message, Request, Response};

struct Echo {
    handle: Handle,
}

impl Handler for Echo {
    type Session = ();

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        Ok(peer.send(message)?)
    }

    fn http(&mut self, _: &mut NewPeer<'_>, request: &Request<'_>) -> Answer {
        match request.path() {
            "/metrics" => Response::new(200)
                .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                .body(exposition(&self.handle.counters()))
                .into(),
            _ => Response::new(404).into(),
        }
    }
}

/// Returns the counters in the text format of Prometheus: values that change are gauges, others only grow.
fn exposition(counters: &Counters) -> String {
    let c = counters;
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "# HELP websocket_{name} {help}\n# TYPE websocket_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "websocket_{name}{labels} {value}");
        }
    };
    let states = [("{state=\"opening\"}", c.opening), ("{state=\"open\"}", c.open)];
    family("connections", "gauge", "Connections by state.", &states);
    family("unsent_bytes", "gauge", "Bytes that peers have not taken.", &[("", c.unsent)]);
    family("accepted_total", "counter", "Connections that were accepted.", &[("", c.accepted)]);
    let requests = [
        ("{result=\"opened\"}", c.opened),
        ("{result=\"refused\"}", c.refused),
        ("{result=\"failed\"}", c.failed_openings),
        ("{result=\"http\"}", c.http),
    ];
    family("requests_total", "counter", "Requests by result.", &requests);
    let ends = [("{clean=\"true\"}", c.closed_cleanly), ("{clean=\"false\"}", c.closed_abnormally)];
    family("closed_total", "counter", "Connections that have ended.", &ends);
    let causes = [
        ("{cause=\"failure\"}", c.failures),
        ("{cause=\"panic\"}", c.panics),
        ("{cause=\"shutdown\"}", c.cut_off),
    ];
    family("ended_by_server_total", "counter", "Connections that the server ended, by cause.", &causes);
    let messages = [("{direction=\"in\"}", c.messages_received), ("{direction=\"out\"}", c.messages_sent)];
    family("messages_total", "counter", "Messages by direction.", &messages);
    let bytes = [("{direction=\"in\"}", c.bytes_received), ("{direction=\"out\"}", c.bytes_sent)];
    family("payload_bytes_total", "counter", "Bytes of payload by direction, uncompressed.", &bytes);
    family("dropped_total", "counter", "Messages dropped for slow peers.", &[("", c.dropped)]);
    let faults: Vec<_> = c.faults.iter().map(|(fault, n)| (format!("{{fault=\"{fault:?}\"}}"), *n)).collect();
    let faults: Vec<_> = faults.iter().map(|(label, n)| (label.as_str(), *n)).collect();
    family("faults_total", "counter", "Connections that ended with a fault of the peer.", &faults);
    text
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9005".to_owned());
    let server = Server::bind(address)?;
    println!("listening on ws://{}", server.local_addr().expect("a TCP listener"));
    let handle = server.handle();
    server.run(Echo { handle })
}
