//! soketto on a current-thread runtime, with a task for each connection, buffered on both sides like its
//! examples. Messages are sent while more are available, and then flushed; a receive is never cancelled.

use super::Mode;
use super::listen::accept_each;
use ::soketto::handshake::{Server, server::Response};
use ::soketto::{BoxedError, Data, Receiver, Sender};
use futures_util::future::{self, Either};
use futures_util::io::{BufReader, BufWriter};
use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

type Channel = broadcast::Sender<Arc<[u8]>>;
type Stream = BufReader<BufWriter<Compat<TcpStream>>>;

pub async fn serve(listener: TcpListener, mode: Mode) -> io::Result<()> {
    let channel: Channel = broadcast::channel(16).0;
    accept_each(listener, move |socket| {
        let channel = channel.clone();
        tokio::spawn(async move {
            let (sender, receiver) = open(socket).await?;
            match mode {
                Mode::Echo => echo(sender, receiver).await,
                Mode::Broadcast => share(sender, receiver, channel).await,
            }
        });
    })
    .await
}

async fn open(socket: TcpStream) -> Result<(Sender<Stream>, Receiver<Stream>), BoxedError> {
    let mut server = Server::new(BufReader::new(BufWriter::new(socket.compat())));
    let key = server.receive_request().await?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await?;
    Ok(server.into_builder().finish())
}

async fn echo(mut sender: Sender<Stream>, mut receiver: Receiver<Stream>) -> Result<(), BoxedError> {
    let mut message = Vec::new();
    loop {
        message.clear();
        let data = {
            let receive = pin!(receiver.receive_data(&mut message));
            match future::select(receive, ready(())).await {
                Either::Left((data, _)) => data?,
                Either::Right(((), receive)) => {
                    sender.flush().await?;
                    receive.await?
                }
            }
        };
        match data {
            Data::Text(_) => sender.send_text(std::str::from_utf8(&message)?).await?,
            Data::Binary(_) => sender.send_binary_mut(&mut message).await?,
        }
    }
}

/// A task that reads and one that writes.
async fn share(
    mut sender: Sender<Stream>,
    mut receiver: Receiver<Stream>,
    channel: Channel,
) -> Result<(), BoxedError> {
    let mut said = channel.subscribe();
    let writing = tokio::spawn(async move {
        while let Ok(message) = said.recv().await {
            if sender.send_binary(&message).await.is_err() || sender.flush().await.is_err() {
                return;
            }
        }
    });
    let mut message = Vec::new();
    while receiver.receive_data(&mut message).await.is_ok() {
        let _ = channel.send(message.as_slice().into());
        message.clear();
    }
    writing.abort();
    Ok(())
}
