//! fastwebsockets, like its example of an echo server: hyper upgrades, and a frame is written as soon as it
//! is read (a read cannot be cancelled safely, so the server cannot know when to flush).

use super::listen::accept_each;
use super::secure::{self, Accept, Plain};
use super::{Mode, Plan};
use fastwebsockets::upgrade::UpgradeFut;
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, upgrade,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::broadcast;

type Channel = broadcast::Sender<Arc<[u8]>>;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    match plan.tls {
        true => serve_on(listener, plan.mode, secure::acceptor()?).await,
        false => serve_on(listener, plan.mode, Plain).await,
    }
}

async fn serve_on(listener: TcpListener, mode: Mode, secure: impl Accept) -> io::Result<()> {
    let channel: Channel = broadcast::channel(16).0;
    accept_each(listener, move |socket| {
        let (channel, secure) = (channel.clone(), secure.clone());
        let service = service_fn(move |mut request| {
            let channel = channel.clone();
            async move {
                let (response, upgraded) = upgrade::upgrade(&mut request)?;
                tokio::spawn(tokio::task::unconstrained(async move {
                    match mode {
                        Mode::Echo => echo(upgraded).await,
                        Mode::Broadcast => share(upgraded, channel).await,
                    }
                }));
                Ok::<_, WebSocketError>(response)
            }
        });
        tokio::spawn(async move {
            if let Ok(socket) = secure.accept(socket).await {
                let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                // A connection that fails ends.
                let _ = connection.with_upgrades().await;
            }
        });
    })
    .await
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut stream = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = stream.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => stream.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// A task that reads and one that writes.
async fn share(upgraded: UpgradeFut, channel: Channel) -> Result<(), WebSocketError> {
    let (reader, mut writer) = upgraded.await?.split(tokio::io::split);
    let mut said = channel.subscribe();
    let writing = tokio::spawn(async move {
        while let Ok(message) = said.recv().await {
            if writer.write_frame(Frame::binary(Payload::Borrowed(&message))).await.is_err() {
                return;
            }
        }
    });
    let mut reader = FragmentCollectorRead::new(reader);
    // The load generator sends no pings, so nothing needs an answer.
    let mut answer = |_| async { Ok::<_, Infallible>(()) };
    while let Ok(frame) = reader.read_frame(&mut answer).await {
        if frame.opcode == OpCode::Binary {
            let _ = channel.send(frame.payload.to_vec().into());
        }
    }
    writing.abort();
    Ok(())
}
