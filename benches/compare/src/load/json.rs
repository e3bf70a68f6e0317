//! Messages like those of applications: JSON with recurring names, and with numbers, times and words that do
//! not recur.

use super::random::Random;
use std::fmt::Write;

const SYMBOLS: [&str; 8] =
    ["BTC-EUR", "ETH-USD", "SOL-EUR", "ADA-USD", "XRP-EUR", "LTC-USD", "DOT-EUR", "UNI-USD"];
const STATES: [&str; 5] = ["open", "filled", "partially_filled", "cancelled", "rejected"];
const WORDS: [&str; 16] = [
    "market", "order", "limit", "before", "session", "because", "customer", "asked", "again", "price",
    "update", "of", "the", "was", "not", "to",
];

/// What the messages of a connection have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Orders: their names recur, but not their values.
    Orders,
    /// Quotes, as from a ticker: each message resembles the one before it.
    Quotes,
}

/// Returns a message of exactly this length, one for each seed.
pub fn message(content: Content, bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let name = if content == Content::Orders { "orders" } else { "quotes" };
    let mut text = format!("{{\"type\":\"{name}\",\"sequence\":{},\"{name}\":[", 10_000 + seed);
    let end = |note: &str| format!("],\"note\":\"{note}\"}}");
    for index in 0.. {
        let entry = match content {
            Content::Orders => order(&mut random),
            Content::Quotes => quote(index, seed, &mut random),
        };
        let comma = if index == 0 { "" } else { "," };
        if text.len() + comma.len() + entry.len() + end("").len() > bytes {
            break;
        }
        text.push_str(comma);
        text.push_str(&entry);
    }
    let room = bytes.saturating_sub(text.len() + end("").len());
    let mut note = String::new();
    while note.len() < room {
        note.push_str(random.one_of(&WORDS));
        note.push(' ');
    }
    note.truncate(room);
    text.push_str(&end(&note));
    text.into_bytes()
}

fn order(random: &mut Random) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "{{\"id\":\"{:08x}\",\"symbol\":\"{}\",\"side\":\"{}\",\"price\":{}.{:02},\"quantity\":{},\
         \"status\":\"{}\",\"time\":\"2026-05-{:02}T{:02}:{:02}:{:02}.{:03}Z\"}}",
        random.below(1 << 32),
        random.one_of(&SYMBOLS),
        random.one_of(&["buy", "sell"]),
        random.below(50_000),
        random.below(100),
        1 + random.below(900),
        random.one_of(&STATES),
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1000),
    );
    text
}

/// Returns the quote of an instrument. Of four instruments, one has a new price in each message.
fn quote(index: u64, seed: u64, random: &mut Random) -> String {
    let mut of_instrument = Random::new(1_000_000 + index);
    let symbol = of_instrument.one_of(&SYMBOLS);
    let (cents, volume) = (of_instrument.below(5_000_000), of_instrument.below(100_000));
    let changes = (seed + index) / 4;
    let bid = 1000 + cents + Random::new(changes << 16 | index).below(200);
    let (bid, ask) = (bid, bid + 1 + changes % 5);
    format!(
        "{{\"symbol\":\"{symbol}\",\"number\":{index},\"bid\":{}.{:02},\"ask\":{}.{:02},\"volume\":{},\
         \"time\":{}}}",
        bid / 100,
        bid % 100,
        ask / 100,
        ask % 100,
        volume + changes,
        1_767_225_600_000 + 250 * seed + random.below(100),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_json_of_their_length_and_differ() {
        for (content, bytes) in [Content::Orders, Content::Quotes]
            .into_iter()
            .flat_map(|content| [(content, 512), (content, 8192)])
        {
            let messages: Vec<_> = (0..20).map(|seed| message(content, bytes, seed)).collect();
            for (index, one) in messages.iter().enumerate() {
                assert_eq!(one.len(), bytes);
                let value: serde_json::Value = serde_json::from_slice(one).unwrap();
                assert!(value[value["type"].as_str().unwrap()].as_array().unwrap().len() >= bytes / 256);
                assert!(!messages[..index].contains(one));
            }
        }
    }
}
