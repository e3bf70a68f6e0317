//! Tests of the negotiation.
#![forbid(unsafe_code)]

use crate::deflate::*;
use quickcheck::{Arbitrary, Gen, QuickCheck};

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

impl Arbitrary for WindowBits {
    fn arbitrary(g: &mut Gen) -> Self {
        bits(8 + u8::arbitrary(g) % 8)
    }
}

impl Arbitrary for Deflate {
    fn arbitrary(g: &mut Gen) -> Self {
        let (send, receive): (Option<WindowBits>, Option<WindowBits>) = Arbitrary::arbitrary(g);
        Deflate::default().send_window(send).receive_window(receive).level(1 + u8::arbitrary(g) % 9)
    }
}

/// Splits a well-formed header value.
fn split(list: &str) -> Vec<Vec<(&str, Option<&str>)>> {
    let offers = list.split(',').filter_map(|offer| offer.trim().strip_prefix(NAME));
    offers
        .map(|params| {
            let params = params.split(';').skip(1).map(str::trim);
            params
                .map(|param| match param.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (param, None),
                })
                .collect()
        })
        .collect()
}

fn accept(policy: Deflate, offers: &str) -> Option<String> {
    policy.accept(split(offers)).map(|answer| answer.to_string())
}

const FULL: Deflate =
    Deflate { send_window: Some(WindowBits::MAX), receive_window: Some(WindowBits::MAX), ..Deflate::DEFAULT };

#[test]
fn a_server_with_takeover_answers_with_what_is_requested() {
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(accept(FULL, offer).as_deref(), Some(answer), "{offer}");
    }
}

#[test]
fn by_default_there_is_no_takeover_in_either_direction() {
    let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for offer in ["permessage-deflate", "permessage-deflate; client_max_window_bits"] {
        assert_eq!(accept(Deflate::default(), offer).as_deref(), Some(answer), "{offer}");
    }
    assert_eq!(
        Deflate::default().offer(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    );
}

#[test]
fn a_server_declines_an_illegal_offer_and_accepts_the_next() {
    let values =
        ["0", "7", "16", "99", "08", "015", "", "+8", "1e1", "\u{661}0", "10.0", "-9", "256", "4294967304"];
    let mut offers = Vec::new();
    for side in ["server_max_window_bits", "client_max_window_bits"] {
        offers.extend(values.map(|value| format!("permessage-deflate; {side}={value}")));
        offers.push(format!("permessage-deflate; {side}=10; {side}=10"));
    }
    for rest in [
        "server_max_window_bits",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=9",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "unknown",
        "x=10",
        "Server_No_Context_Takeover",
    ] {
        offers.push(format!("permessage-deflate; {rest}"));
    }
    for offer in offers {
        let params: Vec<Vec<(&str, Option<&str>)>> = split(&offer);
        assert_eq!(params.len(), 1);
        assert_eq!(FULL.accept(params.clone()), None, "{offer}");
        // As an answer, each offer fails the client's handshake.
        assert_eq!(FULL.confirm(params[0].clone()), Err(InvalidAnswer::Params), "{offer}");
        let two = format!("{offer}, permessage-deflate; server_no_context_takeover");
        let answer = FULL.accept([params[0].clone(), vec![("server_no_context_takeover", None)]]);
        let answer = answer.map(|answer| answer.to_string());
        assert_eq!(answer.as_deref(), Some("permessage-deflate; server_no_context_takeover"), "{two}");
    }
}

#[test]
fn a_server_that_bounds_the_clients_window_asks_others_for_no_takeover() {
    let policy = FULL.receive_window(Some(bits(11)));
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=11"),
        ("permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"),
        ("permessage-deflate; client_max_window_bits=15", "permessage-deflate; client_max_window_bits=11"),
    ] {
        assert_eq!(accept(policy, offer).as_deref(), Some(answer), "{offer}");
    }
    let policy = FULL.send_window(Some(bits(11)));
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=11"),
        ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=11"),
    ] {
        assert_eq!(accept(policy, offer).as_deref(), Some(answer), "{offer}");
    }
}

#[test]
fn a_client_offers_its_settings_and_an_alternative() {
    let bounded = FULL.send_window(Some(bits(10))).receive_window(Some(bits(12)));
    assert_eq!(FULL.offer(), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        bounded.offer(),
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10, \
         permessage-deflate; server_no_context_takeover; client_max_window_bits=10"
    );
    let params = |server: (u8, bool), client: (u8, bool)| DeflateParams {
        server: Context::new(bits(server.0), server.1),
        client: Context::new(bits(client.0), client.1),
    };
    for (policy, answer, expected) in [
        (FULL, "permessage-deflate", Some(params((15, true), (15, true)))),
        (FULL, "permessage-deflate; client_max_window_bits", None),
        (FULL, "permessage-deflate; client_max_window_bits=9", Some(params((15, true), (9, true)))),
        (FULL, "permessage-deflate; server_max_window_bits=8", Some(params((8, true), (15, true)))),
        (FULL, "permessage-deflate; server_no_context_takeover", Some(params((15, false), (15, true)))),
        (FULL, "permessage-deflate; client_no_context_takeover", Some(params((15, true), (15, false)))),
        (bounded, "permessage-deflate", None),
        (bounded, "permessage-deflate; server_max_window_bits=13", None),
        (bounded, "permessage-deflate; server_max_window_bits=12", Some(params((12, true), (10, true)))),
        (
            bounded,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
            Some(params((9, true), (10, true))),
        ),
        (bounded, "permessage-deflate; server_no_context_takeover", Some(params((15, false), (10, true)))),
        (Deflate::DEFAULT, "permessage-deflate", None),
        (Deflate::DEFAULT, "permessage-deflate; server_max_window_bits=10", None),
        (
            Deflate::DEFAULT,
            "permessage-deflate; server_no_context_takeover",
            Some(params((15, false), (15, false))),
        ),
    ] {
        assert_eq!(policy.confirm(split(answer).remove(0)).ok(), expected, "{policy:?} {answer}");
    }
}

#[test]
fn any_server_and_client_negotiate_parameters_within_both_settings() {
    fn within(context: Context, policy: Option<WindowBits>) -> bool {
        match policy {
            None => !context.takeover(),
            Some(most) => !context.takeover() || context.bits() <= most,
        }
    }
    fn prop(client: Deflate, server: Deflate) -> bool {
        let offer = client.offer();
        let answer = server.accept(split(&offer)).unwrap();
        let DeflateParams { server: from_server, client: from_client } = answer.params();
        let text = answer.to_string();
        let confirmed = client.confirm(split(&text).remove(0)).unwrap();
        // A client may use less than the answer allows, never more.
        within(from_server, server.send_window)
            && within(from_server, client.receive_window)
            && within(from_client, server.receive_window)
            && within(confirmed.client, client.send_window)
            && confirmed.server == from_server
            && confirmed.client.takeover() <= from_client.takeover()
            && confirmed.client.bits() <= from_client.bits()
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Deflate, Deflate) -> bool);
}

#[test]
fn a_window_has_from_256_bytes_to_32_kib() {
    assert_eq!(
        (0..=u8::MAX).filter_map(WindowBits::new).map(WindowBits::get).collect::<Vec<_>>(),
        [8, 9, 10, 11, 12, 13, 14, 15]
    );
    for n in 8..=15 {
        assert_eq!((WindowBits::of(1 << n), bits(n).size()), (bits(n), 1 << n));
        assert_eq!(WindowBits::of((1 << n) + 1), bits((n + 1).min(15)));
    }
    assert_eq!([0, usize::MAX].map(WindowBits::of), [WindowBits::MIN, WindowBits::MAX]);
}

#[test]
fn negotiated_parameters_fit_in_two_bytes() {
    assert_eq!(size_of::<Option<DeflateParams>>(), 2);
    for bits in (8..=15).map(bits) {
        for takeover in [false, true] {
            let context = Context::new(bits, takeover);
            assert_eq!((context.bits(), context.takeover()), (bits, takeover));
        }
    }
}

#[test]
fn a_context_prints_its_takeover_and_window() {
    for takeover in [false, true] {
        for (n, expected) in (9..=15).map(|n| (n, if takeover { "Takeover" } else { "Alone" })) {
            let context = Context::new(bits(n), takeover);
            assert_eq!((context.bits(), context.takeover()), (bits(n), takeover));
            assert_eq!(format!("{context:?}"), format!("{expected}({n})"));
        }
    }
}
