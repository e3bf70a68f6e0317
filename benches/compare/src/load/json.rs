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

/// Returns a message of exactly this length, one for each seed.
pub fn message(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut text = format!("{{\"type\":\"orders\",\"sequence\":{},\"orders\":[", 10_000 + seed);
    let end = |note: &str| format!("],\"note\":\"{note}\"}}");
    for index in 0.. {
        let order = order(&mut random);
        let comma = if index == 0 { "" } else { "," };
        if text.len() + comma.len() + order.len() + end("").len() > bytes {
            break;
        }
        text.push_str(comma);
        text.push_str(&order);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_json_of_their_length_and_differ() {
        for bytes in [512, 8 << 10] {
            let messages: Vec<_> = (0..20).map(|seed| message(bytes, seed)).collect();
            for (index, one) in messages.iter().enumerate() {
                assert_eq!(one.len(), bytes);
                let value: serde_json::Value = serde_json::from_slice(one).unwrap();
                assert!(value["orders"].as_array().unwrap().len() >= bytes / 256);
                assert!(!messages[..index].contains(one));
            }
        }
    }
}
