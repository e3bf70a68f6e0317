//! Messages from one connection to others: topics, batches, order, slow members.

use crate::world::{Client, World};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::{BTreeMap, BTreeSet};
use websocket_stream::server::{Failure, Handler, Peer, ServerConfig, SlowPeer};
use websocket_stream::{ClientRequest, CloseCode, Message, PreparedMessage, Ready};

/// A message is a command: `+topic`, `-topic`, `topic=text`, `topic!text` (to the others), `text`.
#[derive(Default)]
struct Rooms {
    missed: Vec<u64>,
}

impl Handler for Rooms {
    type Session = ();

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        let text = message.as_text().unwrap();
        if let Some(topic) = text.strip_prefix('+') {
            peer.subscribe(topic);
        } else if let Some(topic) = text.strip_prefix('-') {
            peer.unsubscribe(topic);
        } else if let Some((topic, text)) = text.split_once('=') {
            peer.publish(topic, text);
        } else if let Some((topic, text)) = text.split_once('!') {
            peer.publish_to_others(topic, text);
        } else {
            peer.send(text)?;
        }
        Ok(())
    }

    fn drained(&mut self, _: &mut Peer<'_>, _: &mut (), missed: u64) -> Result<(), Failure> {
        self.missed.push(missed);
        Ok(())
    }
}

fn members(world: &mut World<Rooms>, commands: &[&str]) -> Vec<Client> {
    let mut clients = Vec::new();
    for command in commands {
        let mut client = world.connect("/");
        for topic in command.split_whitespace() {
            client.send(&*format!("+{topic}"));
        }
        clients.push(client);
    }
    world.settle();
    clients
}

#[test]
fn a_message_reaches_each_member_once_and_nobody_else() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["a", "a b", "b", ""]);
    clients[3].send("a=to a");
    clients[0].send("b=to b");
    clients[1].send("a!to the others");
    clients[2].send("nobody=lost");
    world.settle();
    let received: Vec<_> = clients.iter_mut().map(Client::receive).collect();
    assert_eq!(received[0], ["to the others", "to a"]);
    assert_eq!(received[1], ["to b", "to a"]);
    assert_eq!(received[2], ["to b"]);
    assert!(received[3].is_empty());
    let hub = world.connections.hub();
    assert_eq!((hub.members("a"), hub.members("b"), hub.members("nobody")), (2, 2, 0));
    assert_eq!((hub.topics(), hub.subscriptions()), (2, 4));
}

#[test]
fn all_messages_of_a_round_reach_a_member_in_one_write() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["a b"; 50]);
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&*format!("a={i}"));
        client.send(&*format!("b={i}"));
    }
    let sends = |world: &mut World<Rooms>| -> u64 {
        let calls = |key| world.connections.transport(key).unwrap().calls();
        (0..50).map(calls).map(|calls| calls.send + calls.send_vectored).sum()
    };
    let before = sends(&mut world);
    world.round(0..50);
    assert_eq!(sends(&mut world) - before, 50, "one for each member, and not 50 * 100");
    let expected: Vec<_> = (0..50).flat_map(|i| [i.to_string(), i.to_string()]).collect();
    for client in &mut clients {
        assert_eq!(client.receive(), expected);
    }
    assert_eq!(world.connections.counters().messages_sent, 50 * 100);
}

#[test]
fn a_member_receives_what_is_published_after_it_has_joined() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["a", ""]);
    // All in one round: a history that the second gets at once would have the first two.
    for text in ["a=1", "a=2"] {
        clients[0].send(text);
    }
    world.connections.ready(clients[0].key, Ready::READABLE, 0, &mut world.handler);
    clients[1].send("history: 1 2");
    clients[1].send("+a");
    world.connections.ready(clients[1].key, Ready::READABLE, 0, &mut world.handler);
    clients[0].send("a=3");
    world.round([clients[0].key]);
    assert_eq!(clients[0].receive(), ["1", "2", "3"]);
    assert_eq!(clients[1].receive(), ["history: 1 2", "3"]);
}

#[test]
fn a_topic_that_is_left_and_made_again_in_one_round_does_not_mix_with_another() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["a", ""]);
    clients[0].send("a=secret");
    clients[0].send("-a");
    clients[1].send("+b");
    clients[1].send("b=hello");
    world.round([clients[0].key, clients[1].key]);
    assert_eq!(clients[0].receive(), Vec::<String>::new());
    assert_eq!(clients[1].receive(), ["hello"]);
    assert_eq!(world.connections.hub().topics(), 1);
}

#[test]
fn direct_and_published_messages_keep_their_order() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["a", "a"]);
    let id = world.connections.id(clients[0].key).unwrap();
    let hub = world.connections.hub();
    hub.send_to(id, "1");
    hub.publish("a", "2");
    hub.send_to(id, "3");
    hub.publish_prepared("a", &PreparedMessage::new("4"));
    hub.publish_with("a", "5", SlowPeer::Drop { above: 0 });
    hub.close(id, CloseCode::NORMAL, "6");
    hub.send_to(id, "7");
    world.round([]);
    assert_eq!(clients[0].receive(), ["1", "2", "3", "4", "5", "(1000 6)"]);
    assert_eq!(clients[1].receive(), ["2", "4", "5"]);
}

/// Two members of a topic, one of which buffers only 1,000 bytes.
fn fast_and_slow(slow_peer: SlowPeer) -> (World<Rooms>, Client, Client) {
    let mut world = World::with_config(Rooms::default(), ServerConfig::default().slow_peer(slow_peer));
    let mut fast = world.connect("/");
    let mut slow = world.try_connect(ClientRequest::new("localhost", "/"), 1_000).unwrap();
    fast.send("+a");
    slow.send("+a");
    world.settle();
    (world, fast, slow)
}

#[test]
fn a_slow_member_misses_messages_and_is_told_how_many() {
    let (mut world, mut fast, mut slow) = fast_and_slow(SlowPeer::Drop { above: 3_000 });
    let text = format!("a={}", "x".repeat(998));
    for _ in 0..10 {
        fast.send(&*text);
        world.round([fast.key]);
        assert_eq!(fast.receive().len(), 1);
    }
    // One was taken, the bound allows for more, and the rest was dropped.
    assert_eq!(world.connections.counters().dropped, 6);
    let mut received = 0;
    for _ in 0..20 {
        received += slow.receive().len();
        world.round_of_all();
    }
    assert_eq!((received, &world.handler.missed[..]), (4, &[6][..]));
    // From then on it misses nothing.
    fast.send("a=again");
    world.round([fast.key]);
    assert_eq!(slow.receive(), ["again"]);
}

#[test]
fn a_slow_member_is_closed_if_asked_for() {
    let (mut world, mut fast, mut slow) = fast_and_slow(SlowPeer::Close { above: 3_000 });
    let text = format!("a={}", "x".repeat(998));
    for _ in 0..10 {
        fast.send(&*text);
        world.round([fast.key]);
        fast.receive();
    }
    let mut received = Vec::new();
    for _ in 0..20 {
        received.extend(slow.receive());
        world.round_of_all();
    }
    assert_eq!(received.len(), 5);
    assert_eq!(received[4], "(1013 peer too slow)");
    assert!(world.handler.missed.is_empty());
}

#[test]
fn a_member_that_left_and_came_back_receives_only_what_is_published_from_then_on() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["a", ""]);
    for (client, command) in [(0, "a=1"), (1, "+a"), (0, "a=2"), (1, "-a"), (1, "+a"), (0, "a=3")] {
        clients[client].send(command);
        world.connections.ready(clients[client].key, Ready::READABLE, 0, &mut world.handler);
    }
    world.settle();
    assert_eq!(clients[0].receive(), ["1", "2", "3"]);
    assert_eq!(clients[1].receive(), ["3"]);
}

#[test]
fn a_connection_that_ends_leaves_its_topics() {
    let mut world = World::new(Rooms::default());
    let clients = members(&mut world, &["a b c d e f g h i j k l m n o p q r s t", "a t"]);
    assert_eq!(world.connections.hub().subscriptions(), 22);
    let mut clients = clients.into_iter();
    drop(clients.next());
    world.settle();
    let hub = world.connections.hub();
    assert_eq!((hub.topics(), hub.subscriptions(), hub.members("a"), hub.members("b")), (2, 2, 1, 0));
    drop(clients);
    world.settle();
    let hub = world.connections.hub();
    assert_eq!((hub.topics(), hub.subscriptions()), (0, 0));
}

#[test]
fn a_million_subscriptions_come_and_go() {
    let mut world = World::new(Rooms::default());
    let mut clients = members(&mut world, &["", ""]);
    let topics: Vec<_> = (0..1000).map(|i| format!("topic {i}")).collect();
    for round in 0..250 {
        let keep = round == 249;
        for topic in &topics {
            for client in &mut clients {
                client.send(&*format!("+{topic}"));
                if !keep {
                    client.send(&*format!("-{topic}"));
                }
            }
        }
        world.settle();
    }
    assert_eq!(world.connections.counters().messages_received, 2 * 1000 * (249 * 2 + 1));
    let hub = world.connections.hub();
    assert_eq!((hub.topics(), hub.subscriptions()), (1000, 2000));
    for topic in &topics {
        hub.publish(topic, &**topic);
    }
    world.round([]);
    assert_eq!(clients[0].receive(), topics);
    drop(clients);
    world.settle();
    assert_eq!(world.connections.hub().subscriptions(), 0);
}

/// What one of a few clients does.
#[derive(Debug, Clone)]
enum Act {
    Join(usize, u8),
    Leave(usize, u8),
    Publish(usize, u8, bool),
    Direct(usize),
    End(usize),
    Round,
}

const CLIENTS: usize = 5;

impl Arbitrary for Act {
    fn arbitrary(g: &mut Gen) -> Self {
        let (client, topic) = (usize::arbitrary(g) % CLIENTS, u8::arbitrary(g) % 4);
        match u8::arbitrary(g) % 16 {
            0..4 => Act::Join(client, topic),
            4..6 => Act::Leave(client, topic),
            6..11 => Act::Publish(client, topic, bool::arbitrary(g)),
            11..13 => Act::Direct(client),
            13 if u8::arbitrary(g) % 4 == 0 => Act::End(client),
            _ => Act::Round,
        }
    }
}

/// Each client receives exactly what a model says, in order, however rounds are cut.
#[test]
fn everyone_receives_what_a_simple_model_says() {
    fn prop(acts: Vec<Act>) {
        let mut world = World::new(Rooms::default());
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Some(world.connect("/"))).collect();
        let mut joined: BTreeMap<u8, BTreeSet<usize>> = BTreeMap::new();
        // What is posted in this round: the receivers when it was posted, and their topic.
        let mut posted: Vec<(Option<u8>, BTreeSet<usize>, String)> = Vec::new();
        let mut expected = vec![Vec::new(); CLIENTS];
        for (number, act) in acts.into_iter().chain([Act::Round]).enumerate() {
            let text = number.to_string();
            let command = match act {
                Act::Join(client, topic) => {
                    if clients[client].is_some() {
                        joined.entry(topic).or_default().insert(client);
                    }
                    (client, format!("+{topic}"))
                }
                Act::Leave(client, topic) => {
                    joined.entry(topic).or_default().remove(&client);
                    // What it has not received yet, it does not receive.
                    for (of, receivers, _) in &mut posted {
                        if *of == Some(topic) {
                            receivers.remove(&client);
                        }
                    }
                    (client, format!("-{topic}"))
                }
                Act::Publish(client, topic, to_all) => {
                    let mut receivers = joined.get(&topic).cloned().unwrap_or_default();
                    if !to_all {
                        receivers.remove(&client);
                    }
                    if clients[client].is_some() {
                        posted.push((Some(topic), receivers, text.clone()));
                    }
                    (client, format!("{topic}{}{text}", if to_all { '=' } else { '!' }))
                }
                Act::Direct(client) => {
                    if let Some(to) = &clients[client] {
                        let id = world.connections.id(to.key).unwrap();
                        world.connections.hub().send_to(id, &*text);
                        posted.push((None, BTreeSet::from([client]), text));
                    }
                    continue;
                }
                Act::End(client) => {
                    if let Some(gone) = clients[client].take() {
                        let key = gone.key;
                        drop(gone);
                        world.connections.ready(key, Ready::UNKNOWN, 0, &mut world.handler);
                        joined.values_mut().for_each(|members| _ = members.remove(&client));
                    }
                    continue;
                }
                Act::Round => {
                    world.round([]);
                    for (_, receivers, text) in posted.drain(..) {
                        receivers.into_iter().for_each(|receiver| expected[receiver].push(text.clone()));
                    }
                    for (client, expected) in clients.iter_mut().zip(&mut expected) {
                        if let Some(client) = client {
                            assert_eq!(client.receive(), *expected);
                        }
                        expected.clear();
                    }
                    continue;
                }
            };
            if let Some(client) = &mut clients[command.0] {
                client.send(&*command.1);
                world.connections.ready(client.key, Ready::READABLE, 0, &mut world.handler);
            }
        }
    }
    QuickCheck::new().tests(500).quickcheck(prop as fn(Vec<Act>));
}

#[cfg(feature = "deflate")]
#[test]
fn a_published_message_is_compressed_once_for_those_who_agreed_to_it() {
    use websocket_stream::deflate::Deflate;
    use websocket_stream::{Config, Scratch};
    let config = ServerConfig::default().connection(Config::default().deflate(Deflate::default()));
    let mut world = World::with_config(Rooms::default(), config);
    let mut plain = members(&mut world, &["a"]);
    let (a, b) = websocket_stream::transport::testing::memory::pair(1 << 20);
    let key = world.connections.insert(a, None, 0).unwrap();
    let client = Config::default().deflate(Deflate::default());
    let request = ClientRequest::new("localhost", "/");
    let mut scratch = Scratch::new();
    let mut opening = websocket_stream::ClientOpening::with_config(b, request, client.into()).unwrap();
    let _ = opening.advance(&mut scratch.at(0)).unwrap();
    world.round([key]);
    assert!(matches!(opening.advance(&mut scratch.at(0)).unwrap(), websocket_stream::Progress::Open));
    let stream = opening.into_stream().unwrap();
    assert!(stream.has_deflate());
    let mut client = Client { key, stream, scratch, end: None };
    client.send("+a");
    world.settle();
    let text = "all alike ".repeat(100);
    plain[0].send(&*format!("a={text}"));
    let before = client.bytes_received();
    world.settle();
    assert_eq!(plain[0].receive(), [&*text]);
    assert_eq!(client.receive(), [&*text]);
    assert!(client.bytes_received() - before < 100, "compressed");
}
