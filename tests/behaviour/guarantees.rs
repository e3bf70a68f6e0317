//! Compares the tables in `src/guarantees.md` with the code.

use std::collections::BTreeSet;
use websocket_stream::handshake::OriginPolicy;
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    Cause, Error, Event, Fault, Limits, NonBlockingTransport, Ready, Scratch, SendError, Timeouts,
    WebSocketStream,
};

const TEXT: &str = include_str!("../../src/guarantees.md");

/// Returns the rows of the table under a heading: the cells of each, without code marks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = TEXT.split_once(&format!("\n# {heading}\n")).expect(heading);
    let section = section.split("\n# ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    let rows: Vec<_> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "{heading}");
    rows
}

/// Parses a default as it is written: `16 MiB + 64 KiB`, `262,144`, `10 s`, or `off`.
fn value(text: &str) -> Option<u64> {
    let term = |term: &str| {
        let (number, unit) = term.split_once(' ').unwrap_or((term, ""));
        let unit = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "s" => 1_000,
            unit => panic!("what is a {unit}?"),
        };
        number.replace(',', "").parse::<u64>().unwrap() * unit
    };
    (text != "off").then(|| text.split(" + ").map(term).sum())
}

/// Returns all fields of a struct and their values, from its `Debug` output, including fields added later.
fn fields(debug: &str) -> Vec<(String, Option<u64>)> {
    let (_, fields) = debug.split_once(" { ").unwrap();
    let fields = fields.trim_end_matches(" }").split(", ");
    fields
        .map(|field| {
            let (name, value) = field.split_once(": ").unwrap();
            let value = value.trim_start_matches("Some(").trim_end_matches(')');
            let number = match value {
                // The value that `PauseReading` documents; `backpressure.rs` tests it.
                "ServerOnly" => "65536",
                value => value,
            };
            let number = || match number.strip_suffix('s') {
                Some(seconds) => 1_000 * seconds.parse::<u64>().unwrap(),
                None => number.parse().unwrap(),
            };
            let is_off = value == "None" || value == u64::MAX.to_string();
            (name.to_owned(), (!is_off).then(number))
        })
        .collect()
}

/// Returns the names and defaults of a table.
fn defaults(heading: &str) -> Vec<(String, Option<u64>)> {
    table(heading).into_iter().map(|row| (row[0].clone(), value(&row[1]))).collect()
}

/// Returns the variants of an enum, from its source.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).expect(name);
    let lines = body.split("\n}").next().unwrap().lines().map(str::trim);
    let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    names.map(|line| line.split([',', '(']).next().unwrap().to_owned()).collect()
}

#[test]
fn each_limit_is_listed_with_its_default() {
    assert_eq!(defaults("Bounds"), fields(&format!("{:?}", Limits::default())));
}

#[cfg(feature = "deflate")]
#[test]
fn the_memory_for_inflating_a_message_is_listed() {
    use websocket_stream::deflate::{Inflater, WindowBits};
    let inflater = Inflater::new().heap_bytes() >> 10;
    let window = WindowBits::MAX.size() >> 10;
    let documented = format!(
        "at most {window} KiB of compressed input, {window} KiB of earlier messages, and an inflater of {inflater} KiB"
    );
    assert!(TEXT.replace('\n', " ").contains(&documented), "{documented}");
}

#[test]
fn each_timeout_is_listed_with_its_default() {
    assert_eq!(defaults("Timeouts"), fields(&format!("{:?}", Timeouts::default())));
}

#[test]
fn each_fault_is_listed_with_its_close_code() {
    let faults = [
        Fault::ReservedBits,
        Fault::ReservedOpcode,
        Fault::LengthNotMinimal,
        Fault::LengthTopBit,
        Fault::FragmentedControl,
        Fault::ControlTooLong,
        Fault::Unmasked,
        Fault::Masked,
        Fault::UnexpectedContinuation,
        Fault::ExpectedContinuation,
        Fault::TruncatedCloseCode,
        Fault::InvalidCloseCode,
        Fault::InvalidUtf8,
        Fault::InvalidDeflate,
        Fault::FrameTooLong,
        Fault::MessageTooLong,
        Fault::TooManyFragments,
    ];
    let names: BTreeSet<_> = faults.iter().map(|fault| format!("{fault:?}")).collect();
    assert_eq!(
        names,
        variants(include_str!("../../src/protocol/error.rs"), "Fault"),
        "this test has them all"
    );
    let documented: Vec<_> = table("Faults and close codes")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse::<u16>().unwrap()))
        .collect();
    let expected = faults.map(|fault| (format!("{fault:?}"), fault.close_code().get()));
    assert_eq!(documented, expected);
}

#[test]
fn each_cause_of_an_end_is_listed() {
    let source = include_str!("../../src/protocol/event.rs");
    let timeouts = variants(source, "Timeout").into_iter().map(|name| format!("Timeout({name})"));
    let mut causes = variants(source, "Cause");
    assert!(causes.remove("Timeout"));
    causes.extend(timeouts);
    let documented: BTreeSet<_> =
        table("How a connection ends").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, causes);
}

#[test]
fn each_result_of_sending_is_listed() {
    let documented: BTreeSet<_> = table("Results of sending").into_iter().map(|row| row[0].clone()).collect();
    let mut answers = variants(include_str!("../../src/stream/outgoing.rs"), "Sent");
    answers.extend(variants(include_str!("../../src/stream/prepared.rs"), "Delivery"));
    answers.extend(variants(include_str!("../../src/protocol/error.rs"), "SendError"));
    // The header of the second table.
    answers.extend(["error".to_owned(), "---".to_owned()]);
    assert_eq!(documented, answers);
}

#[test]
fn a_call_in_which_sending_fails_delivers_messages_and_the_end_and_then_nothing_is_accepted() {
    let (a, mut peer) = memory::pair(1 << 20);
    let mut stream = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    for _ in 0..3 {
        assert_eq!(peer.send(&[0x82, 0x81, 0, 0, 0, 0, 7]).unwrap(), 7);
    }
    drop(peer);
    let (mut received, mut end) = (0, None);
    let driven = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
        // Sent without a copy, so that it fails at once.
        Event::Message(_) => {
            received += 1;
            out.send(&[0; 5000])
        }
        Event::Closed(closed) => {
            assert_eq!(end.replace(closed), None);
            Ok(())
        }
        _ => Ok(()),
    });
    assert!(driven.is_err(), "{driven:?}");
    assert_eq!(received, 3);
    assert!(matches!(end.unwrap().cause, Cause::System(_)));
    assert!(matches!(stream.send(&mut scratch.at(0), "late"), Err(Error::Send(SendError::Closed))));
}

#[test]
fn each_origin_policy_is_listed_and_the_default_is_named() {
    let rows = table("Checking the origin");
    let documented: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, variants(include_str!("../../src/handshake/origin.rs"), "OriginPolicy<'a>"));
    let default = rows.iter().filter(|row| row[1].ends_with("the default")).map(|row| &row[0]);
    assert_eq!(default.collect::<Vec<_>>(), [&format!("{:?}", OriginPolicy::default())]);
}

#[test]
fn each_field_of_wants_is_listed() {
    let (transport, _peer) = memory::pair(0);
    let wants = format!("{:?}", WebSocketStream::new(transport).unwrap().wants());
    let (_, fields) = wants.split_once(" { ").unwrap();
    let fields: BTreeSet<_> =
        fields.split(", ").map(|field| field.split(':').next().unwrap().to_owned()).collect();
    let documented: BTreeSet<_> =
        table("Edge- and level-triggered pollers").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, fields);
}
