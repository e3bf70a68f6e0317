//! This library's own server, as a program would use it.

use super::{Mode, Plan};
use crate::tls;
use std::io;
use std::net::TcpListener;
use websocket_stream::Message;
use websocket_stream::server::{Failure, Handler, Peer, Server, ServerConfig, SlowPeer};

/// The topic that every connection subscribes to.
const ALL: &str = "all";

struct Echo;

impl Handler for Echo {
    type Session = ();

    #[inline]
    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        Ok(peer.send(message)?)
    }
}

struct Broadcast;

impl Handler for Broadcast {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe(ALL);
        Ok(())
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        peer.publish(ALL, message);
        Ok(())
    }
}

pub(super) fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    // The other servers do not disconnect slow peers either.
    let mut config = ServerConfig::default().slow_peer(SlowPeer::Drop { above: 16 << 20 });
    if let Some(connection) = super::ours::config(plan.compression)? {
        config = config.connection((*connection).clone());
    }
    let mut server = Server::from_listener(listener)?.config(config);
    if plan.tls {
        server = server.tls(tls::server()?);
    }
    match plan.mode {
        Mode::Echo => server.run(Echo),
        Mode::Broadcast => server.run(Broadcast),
    }
}
