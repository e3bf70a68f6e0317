//! The link over Redis: one thread publishes, another one is subscribed.
//!
//! ```text
//! event loop  --queue-->  publisher   --PUBLISH-->    Redis
//! event loop  <-Handle--  subscriber  <--messages---  Redis
//! ```
//!
//! The subscriber waits for messages, so what wakes it is a message, too: the publisher sends it to a channel
//! that only this server's subscriber listens to, when rooms were entered or left, and every few seconds as a
//! sign of life.

use crate::link::{Half, Item, Link};
use redis::{Client, Connection, PubSub, RedisError, RedisResult};
use std::collections::HashSet;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// What the names of a room's channel and of a server's channel begin with.
const ROOM: &str = "websocket-stream-chat:room:";
const WAKE: &str = "websocket-stream-chat:wake:";

/// A call may take this long.
const CALL: Duration = Duration::from_secs(5);

/// The time between two signs of life, and the silence after which the subscriber connects again.
const LIFE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(15);

/// How long the answer to the last command of a connection may take.
const FAREWELL: Duration = Duration::from_millis(100);

/// The pauses between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Starts both threads. They end with the program.
pub(crate) fn start(url: &str, link: &Link) -> Result<(), Box<dyn Error>> {
    let client = Client::open(url)?;
    let items = link.take_items().ok_or("the link was started before")?;
    let halves = [
        ("publisher", Box::new(publisher(client.clone(), link.clone(), items)) as Box<dyn FnOnce() + Send>),
        ("subscriber", Box::new(subscriber(client, link.clone()))),
    ];
    for (name, half) in halves {
        thread::Builder::new().name(name.into()).spawn(half)?;
    }
    Ok(())
}

fn connect(client: &Client) -> RedisResult<Connection> {
    let connection = client.get_connection_with_timeout(CALL)?;
    connection.set_read_timeout(Some(CALL))?;
    connection.set_write_timeout(Some(CALL))?;
    Ok(connection)
}

/// Runs `serve` again and again, with pauses that grow until it has been connected.
fn keep_connected(link: &Link, half: Half, mut serve: impl FnMut() -> RedisResult<()>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = serve().err();
        let was_connected = link.is_connected(half);
        if error.is_none() || link.set_connected(half, false).is_err() {
            // The server has ended.
            return;
        }
        if was_connected {
            pause = FIRST_PAUSE;
        }
        // Servers that have lost Redis together do not come back at the same moment.
        thread::sleep(pause.mul_f64(rand::random_range(0.5..1.0)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn publisher(client: Client, link: Link, items: Receiver<Item>) -> impl FnOnce() + Send {
    move || {
        // A message that was not sent before the connection was lost is the first on the next one.
        let mut unsent = None;
        keep_connected(&link, Half::Publisher, || publish(&client, &link, &items, &mut unsent));
    }
}

fn publish(
    client: &Client,
    link: &Link,
    items: &Receiver<Item>,
    unsent: &mut Option<(Arc<str>, String)>,
) -> RedisResult<()> {
    let mut connection = connect(client)?;
    let wake = format!("{WAKE}{}", link.origin());
    let mut wakes = true;
    // It was about an earlier connection.
    link.take_suspicion();
    loop {
        // Taken in any case: only a change after that wakes this thread again.
        let changed = link.take_changed();
        if wakes || changed {
            redis::cmd("PUBLISH").arg(&wake).arg("").exec(&mut connection)?;
            // Not before: Redis may accept a connection, and refuse every command on it.
            if link.set_connected(Half::Publisher, true).is_err() {
                return Ok(());
            }
        }
        if let Some((room, json)) = unsent {
            let result = redis::cmd("PUBLISH").arg(format!("{ROOM}{room}")).arg(&*json).exec(&mut connection);
            // What Redis refuses is not sent again.
            if !result.as_ref().is_err_and(RedisError::is_io_error) {
                *unsent = None;
            }
            result?;
        }
        wakes = false;
        match items.recv_timeout(LIFE) {
            Ok(Item::Message { room, json }) => *unsent = Some((room, json)),
            Ok(Item::Wake) => {}
            Err(RecvTimeoutError::Timeout) => wakes = true,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        // The other half's connection has failed, so this one probably has.
        if link.take_suspicion() {
            return Err(io::Error::from(ErrorKind::ConnectionReset).into());
        }
    }
}

fn subscriber(client: Client, link: Link) -> impl FnOnce() + Send {
    move || {
        keep_connected(&link, Half::Subscriber, || {
            let result = subscribe(&client, &link);
            if link.is_connected(Half::Subscriber) {
                link.suspect_publisher();
            }
            result
        });
    }
}

fn subscribe(client: &Client, link: &Link) -> RedisResult<()> {
    let mut connection = connect(client)?;
    connection.set_read_timeout(Some(SILENCE))?;
    let mut messages = connection.as_pubsub();
    let result = receive(&mut messages, link);
    // Its drop sends UNSUBSCRIBE, and waits for the answer: not for long, because Redis may be silent. If the
    // timeout cannot be set, the socket is useless.
    let _ = messages.set_read_timeout(Some(FAREWELL));
    result
}

/// Delivers what Redis sends, until its connection fails or the server has ended.
fn receive(messages: &mut PubSub<'_>, link: &Link) -> RedisResult<()> {
    let wake = format!("{WAKE}{}", link.origin());
    messages.subscribe(&wake)?;
    let mut subscribed = HashSet::new();
    adjust(messages, &link.wanted(), &mut subscribed)?;
    link.wake_subscriber();
    loop {
        let message = messages.get_message()?;
        let channel = message.get_channel_name();
        if channel == wake {
            adjust(messages, &link.wanted(), &mut subscribed)?;
            // Not before: `subscribe` does not report that Redis has refused it.
            if link.set_connected(Half::Subscriber, true).is_err() {
                return Ok(());
            }
        } else if let Some(room) = channel.strip_prefix(ROOM)
            && link.deliver(room, message.get_payload_bytes()).is_err()
        {
            return Ok(());
        }
    }
}

/// Subscribes to the rooms that are wanted, and to no others.
fn adjust(
    messages: &mut PubSub<'_>,
    wanted: &HashSet<Arc<str>>,
    subscribed: &mut HashSet<Arc<str>>,
) -> RedisResult<()> {
    for room in wanted.difference(subscribed) {
        messages.subscribe(format!("{ROOM}{room}"))?;
    }
    for room in subscribed.difference(wanted) {
        messages.unsubscribe(format!("{ROOM}{room}"))?;
    }
    subscribed.clone_from(wanted);
    Ok(())
}
