//! The scenarios of the suite, and what each expects. Each uses a fresh connection.
#![forbid(unsafe_code)]

use super::calls::{Patience, Pattern, Way, judged, recv, try_recv, would_block};
use super::law::{Law, LawBroken};
use super::pair::{MOST_UNRECEIVED, Pair};
use crate::transport::NonBlockingTransport;
use std::io::{self, IoSlice};

type Verdict = Result<(), LawBroken>;

pub(super) fn run<A: NonBlockingTransport, B: NonBlockingTransport>(
    make: &mut dyn FnMut() -> io::Result<(A, B)>,
    settle: &mut dyn FnMut(&mut A, Option<&mut B>),
) -> Verdict {
    let pattern = &Pattern::new();
    let mut with_pair = |scenario: &dyn Fn(Pair<'_, A, B>) -> Verdict| {
        let (a, b) = connect(make)?;
        scenario(Pair { a, b, settle, pattern })
    };
    with_pair(&nothing_is_there_yet)?;
    with_pair(&bytes_go_both_ways)?;
    with_pair(&nothing_is_nothing)?;
    with_pair(&bytes_of_a_peer_that_is_gone_still_arrive)?;
    with_pair(&a_peer_that_left_bytes_unread_is_gone)?;
    for way in Way::BOTH {
        with_pair(&|pair| a_full_transport_keeps_what_it_took(pair, way))?;
        with_pair(&|pair| the_peer_may_end_first(pair, way))?;
        with_pair(&|pair| nothing_is_sent_after_the_end(pair, way))?;
        with_pair(&|pair| sending_to_a_peer_that_is_gone_fails(pair, way))?;
    }
    with_pair(&what_is_flushed_is_gone)?;
    with_pair(&|mut pair| pair.back(|flow| flow.receive_all_there_is()))?;
    for way in Way::BOTH {
        with_pair(&|mut pair| pair.forth(|flow| flow.send_all_that_goes(way)))?;
    }
    Ok(())
}

/// Makes a connection and sets up both ends.
pub(super) fn connect<A: NonBlockingTransport, B: NonBlockingTransport>(
    make: &mut dyn FnMut() -> io::Result<(A, B)>,
) -> Result<(A, B), LawBroken> {
    let failed = |error| LawBroken::because(Law::Setup, "no connection was made", error);
    let (mut a, mut b) = make().map_err(failed)?;
    set_up(&mut a)?;
    set_up(&mut b)?;
    Ok((a, b))
}

fn set_up<T: NonBlockingTransport>(transport: &mut T) -> Verdict {
    let failed = |what| move |error| LawBroken::because(Law::Setup, what, error);
    transport.set_nonblocking().map_err(failed("set_nonblocking failed"))?;
    transport.set_nodelay().map_err(failed("set_nodelay failed"))?;
    if !transport.wants_write() {
        let failed = |error| LawBroken::because(Law::SaysWhatItHolds, "flush of no output failed", error);
        transport.flush().map_err(failed)?;
    }
    Ok(())
}

fn nothing_is_there_yet<A, B>(mut pair: Pair<'_, A, B>) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    for _ in 0..3 {
        let (law, what) = match recv(&mut pair.a, &mut [0; 16])? {
            None => {
                pair.settle();
                continue;
            }
            Some(0) => (Law::NothingBlocks, "end of the stream instead of WouldBlock"),
            Some(_) => (Law::OrderAndBytes, "bytes received that were never sent"),
        };
        return Err(LawBroken::new(law, what));
    }
    Ok(())
}

fn nothing_is_nothing<A, B>(mut pair: Pair<'_, A, B>) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let nothing = |outcome| match judged(outcome, 0)? {
        outcome if would_block(&outcome) => Ok(()),
        outcome => outcome
            .map(drop)
            .map_err(|error| LawBroken::because(Law::EmptyBuffers, "call without bytes failed", error)),
    };
    let empty = |broken: LawBroken| broken.under(Law::EmptyBuffers);
    let mut start = 0;
    for _ in 0..2 {
        nothing(pair.a.send(&[]))?;
        nothing(pair.a.send_vectored(&[]))?;
        nothing(pair.a.send_vectored(&[IoSlice::new(&[]), IoSlice::new(&[])]))?;
        nothing(pair.a.recv(&mut []))?;
        let end = pair.back(|flow| flow.fill(Way::Single, start, start + 9))?;
        for _ in 0..10 {
            pair.settle();
            nothing(pair.a.recv(&mut []))?;
        }
        pair.back(|flow| flow.receive(start..end)).map_err(empty)?;
        start = end;
        if recv(&mut pair.b, &mut [0; 16])?.is_some() {
            return Err(LawBroken::new(Law::EmptyBuffers, "bytes or an end received after an empty send"));
        }
    }
    pair.forth(|flow| flow.transfer(Way::Vectored, 0)).map_err(empty).map(drop)
}

fn bytes_go_both_ways<A, B>(mut pair: Pair<'_, A, B>) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    pair.forth(|flow| {
        let position = flow.transfer(Way::Single, 0)?;
        flow.transfer(Way::Vectored, position)
    })?;
    pair.back(|flow| flow.transfer(Way::Single, 0))?;
    pair.settle();
    let law = match (recv(&mut pair.a, &mut [0; 16])?, recv(&mut pair.b, &mut [0; 16])?) {
        (None, None) => return Ok(()),
        (Some(0), _) | (_, Some(0)) => Law::EndOfStream,
        _ => Law::OrderAndBytes,
    };
    Err(LawBroken::new(law, "more bytes received than sent"))
}

fn a_full_transport_keeps_what_it_took<A, B>(mut pair: Pair<'_, A, B>, way: Way) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let closing = |broken: LawBroken| broken.under(Law::HalfClose);
    pair.forth(|flow| {
        let sent = flow.fill(way, 0, MOST_UNRECEIVED)?;
        // Leave some room, so that pieces are accepted in part.
        let (received, sent) = flow.make_room(way, sent)?;
        flow.shut_down()?;
        flow.receive(received..sent).map_err(closing)?;
        flow.end().map_err(closing)
    })?;
    // The other direction is still open.
    let position = pair.back(|flow| flow.transfer(Way::Single, 0)).map_err(closing)?;
    pair.forth(|flow| flow.shut_down())?;
    pair.back(|flow| {
        flow.transfer(Way::Single, position).map_err(closing)?;
        flow.shut_down()?;
        flow.end()
    })
}

fn the_peer_may_end_first<A, B>(mut pair: Pair<'_, A, B>, way: Way) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    pair.back(|flow| {
        let sent = flow.fill(Way::Single, 0, 100)?;
        flow.shut_down()?;
        flow.receive(0..sent)?;
        flow.end()
    })?;
    let closing = |broken: LawBroken| broken.under(Law::HalfClose);
    pair.forth(|flow| {
        flow.transfer(way, 0).map_err(closing)?;
        flow.shut_down()?;
        flow.end().map_err(closing)
    })?;
    pair.back(|flow| flow.end())
}

fn what_is_flushed_is_gone<A, B>(mut pair: Pair<'_, A, B>) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let sent = pair.forth(|flow| flow.fill(Way::Single, 0, 10))?;
    until_nothing_is_held(&mut pair, |pair| {
        if pair.a.wants_write() && pair.a.flush().is_ok() && pair.a.wants_write() {
            return Err(LawBroken::new(Law::SaysWhatItHolds, "output still held after flush returned Ok"));
        }
        Ok(pair.a.wants_write())
    })?;
    pair.forth(|flow| flow.receive(0..sent))
}

fn nothing_is_sent_after_the_end<A, B>(mut pair: Pair<'_, A, B>, way: Way) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    pair.forth(|flow| flow.shut_down())?;
    let broken = || LawBroken::new(Law::HalfClose, "no error from sending after shutdown_write");
    let mut patience = Patience::new();
    loop {
        match way.try_send(&mut pair.a, &[1])? {
            Ok(_) => return Err(broken()),
            // The transport's poller has not noticed yet.
            outcome if would_block(&outcome) => patience.lose(broken())?,
            Err(_) => break,
        }
        pair.settle();
    }
    pair.forth(|flow| flow.end())
}

fn sending_to_a_peer_that_is_gone_fails<A, B>(pair: Pair<'_, A, B>, way: Way) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let Pair { mut a, b, settle, .. } = pair;
    drop(b);
    // The system may accept some bytes before it notices.
    until_over(|| {
        settle(&mut a, None);
        Ok(way.try_send(&mut a, &[1])?.is_err_and(|error| !would_block(&Err(error))))
    })?;
    until_over(|| received_to_the_end(&mut a, settle))?;
    a.shutdown_write().map_err(|error| {
        LawBroken::because(Law::PeerGone, "shutdown_write failed on a closed connection", error)
    })
}

fn bytes_of_a_peer_that_is_gone_still_arrive<A, B>(mut pair: Pair<'_, A, B>) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let sent = pair.back(|flow| flow.fill(Way::Single, 0, 100))?;
    // The peer must send what it holds before it closes.
    until_nothing_is_held(&mut pair, |pair| Ok(pair.b.wants_write()))?;
    let Pair { mut a, b, pattern, settle } = pair;
    drop(b);
    let (mut received, mut buffer) = (0, [0; 7]);
    until_over(|| {
        settle(&mut a, None);
        match try_recv(&mut a, &mut buffer)? {
            Ok(n) if n > 0 && buffer[..n] == *pattern.at(received, n) => received += n,
            outcome if would_block(&outcome) => {}
            _ if received == sent => return Ok(true),
            _ => return Err(LawBroken::new(Law::PeerGone, "bytes of the closed peer missing")),
        }
        Ok(false)
    })
}

fn a_peer_that_left_bytes_unread_is_gone<A, B>(mut pair: Pair<'_, A, B>) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    pair.forth(|flow| flow.fill(Way::Single, 0, 100))?;
    pair.settle();
    let Pair { mut a, b, settle, .. } = pair;
    drop(b);
    until_over(|| received_to_the_end(&mut a, settle))
}

fn until_nothing_is_held<A, B>(
    pair: &mut Pair<'_, A, B>,
    mut is_held: impl FnMut(&mut Pair<'_, A, B>) -> Result<bool, LawBroken>,
) -> Verdict
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let mut patience = Patience::new();
    while is_held(pair)? {
        patience.lose(LawBroken::new(Law::SaysWhatItHolds, "output held forever"))?;
        pair.settle();
    }
    Ok(())
}

/// Returns whether `recv` returned the end or an error.
fn received_to_the_end<A: NonBlockingTransport, B>(
    transport: &mut A,
    settle: &mut dyn FnMut(&mut A, Option<&mut B>),
) -> Result<bool, LawBroken> {
    settle(transport, None);
    Ok(match try_recv(transport, &mut [0; 16])? {
        Ok(n) => n == 0,
        outcome => !would_block(&outcome),
    })
}

fn until_over(mut is_over: impl FnMut() -> Result<bool, LawBroken>) -> Verdict {
    let mut patience = Patience::new();
    while !is_over()? {
        patience.lose(LawBroken::new(Law::PeerGone, "neither an end nor an error after the peer closed"))?;
    }
    Ok(())
}
