//! One poll of a connection: the call of its stream, its timer, and who is woken afterwards.

use super::clock::now;
use super::queues::Queues;
use super::transport::AsyncTransport;
use super::wakers::Side;
use super::websocket::{Inner, WebSocket};
use crate::protocol::{Event, State};
use crate::stream::{Outgoing, Ready, Turn, Wants, WebSocketStream, with_thread_scratch};
use ::tokio::io::{AsyncRead, AsyncWrite};
use std::io;
use std::task::{Context, Poll};

/// The bytes of received messages that wait for `next`, from which a call that sends receives no more.
const WAITING: usize = 64 << 10;

/// The bytes of waiting messages from which a failed connection drops further ones: no task takes them.
const MOST_WAITING: usize = 4 << 20;

/// What a call may change that the task on the other side waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    unsent: usize,
    write: bool,
    state: State,
}

/// What a call of the stream returns if its handler has an error of its own.
enum Stopped<E> {
    /// The end of the connection was delivered.
    System,
    Handler(E),
}

impl<E> From<io::Error> for Stopped<E> {
    fn from(_: io::Error) -> Self {
        Self::System
    }
}

/// Sends the fed messages, after the unsent bytes, which may take all the room.
///
/// Messages that are left, or the end, are noticed by the next call that sends.
fn send_fed<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: &mut WebSocketStream<AsyncTransport<S>>,
    queues: &mut Queues,
    turn: &mut Turn<'_>,
) {
    if queues.has_fed() {
        if stream.unsent() > 0 {
            let _ = stream.flush(turn);
        }
        let _ = stream.send_with(turn, |out| queues.send_fed(out));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> WebSocket<S> {
    /// Drives the stream once, for a task that waits for `side`.
    ///
    /// Afterwards, [`wait`](Self::wait) unless the task has what it waits for. With `hold_after`, what ends
    /// the connection is left to the next call after this number of events.
    #[inline]
    pub(super) fn drive<E>(
        &mut self,
        side: Side,
        context: &mut Context<'_>,
        hold_after: Option<usize>,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>, &mut Queues) -> Result<(), E>,
    ) -> Result<Wants, E> {
        self.begin(side, context);
        let before = self.before(side);
        let now = now();
        // The transport receives until the end of the stream or until its waker is registered, so
        // `Ready::closed` is not needed.
        let ready = Ready { readable: true, writable: true, closed: false };
        let Inner { stream, queues, .. } = &mut *self.0;
        let was_open = stream.state() == State::Open;
        let owes = queues.has_fed() || stream.unsent() > 0;
        let driven = with_thread_scratch(|scratch| {
            let mut turn = scratch.at(now);
            send_fed(stream, queues, &mut turn);
            let handler = |event: Event<'_>, out: &mut Outgoing<'_>| {
                handler(event, out, queues).map_err(Stopped::Handler)
            };
            match hold_after {
                None => stream.try_drive_for_changes(&mut turn, ready, handler),
                Some(events) => stream.try_drive_and_hold(&mut turn, ready, events, handler),
            }
        });
        queues.finish_received();
        let ordinary = matches!(driven, Ok(None));
        if !ordinary && was_open && stream.state() != State::Open {
            self.0.owes = owes;
        }
        if !ordinary || self.asks_always(now) {
            self.set_timer(side, now);
        }
        self.wake_other(side, before);
        match driven {
            Ok(wants) => Ok(wants.unwrap_or(Wants::READ)),
            // The handler has received the end.
            Err(Stopped::System) => Ok(Wants { closed: true, ..self.0.stream.wants() }),
            Err(Stopped::Handler(error)) => Err(error),
        }
    }

    pub(super) fn set_timer(&mut self, side: Side, now: u64) {
        let Inner { stream, timer, .. } = &mut *self.0;
        let is_set = timer.set(stream.next_deadline(now), now, stream.get_ref().waker());
        if !is_set && side == Side::Sender {
            // Outside of a runtime. The task that receives may be on one, and sets it then.
            stream.get_mut().wake(Side::Receiver);
        }
    }

    /// Returns whether the timer may have to be set after an ordinary call: before the first deadline, after
    /// one has passed, and if the deadline can become earlier without a call that reports it.
    fn asks_always(&self, now: u64) -> bool {
        let config = self.0.stream.config();
        config.drops_windows()
            || match self.0.timer.is_set() {
                true => self.0.timer.has_fired(now),
                false => config.timeouts.ping_interval.is_some() || config.timeouts.idle.is_some(),
            }
    }

    /// Returns what concerns the task on the other side, if it waits.
    #[inline]
    fn before(&self, side: Side) -> Option<Before> {
        let stream = &self.0.stream;
        stream.get_ref().is_waiting(side.other()).then(|| Before {
            unsent: stream.unsent(),
            write: stream.wants().write,
            state: stream.state(),
        })
    }

    #[inline]
    pub(super) fn begin(&mut self, side: Side, context: &Context<'_>) {
        let Inner { stream, timer, .. } = &mut *self.0;
        if let Some(waker) = stream.get_mut().begin_for(side, context) {
            timer.set_waker(waker);
        }
    }

    /// Wakes the task that waits for the other side, if this call has what it waits for.
    fn wake_other(&mut self, side: Side, before: Option<Before>) {
        if let Some(before) = before {
            let other = side.other();
            let wants = self.0.stream.wants();
            let concerned = match other {
                Side::Receiver => self.0.queues.has_received(),
                Side::Sender => self.0.stream.unsent() < before.unsent || before.write && !wants.write,
            };
            if concerned || wants.closed || self.0.stream.state() != before.state {
                self.0.stream.get_mut().wake(other);
            }
        }
    }

    /// Makes sure that the task is polled again when there is something to do.
    #[inline]
    pub(super) fn wait(&mut self, context: &mut Context<'_>, wants: Wants) {
        let waits = self.0.stream.get_ref().waits();
        // A call may end without a call of the transport that would block: its budget was spent.
        if wants.again || wants.read && !waits.read || wants.write && !waits.write {
            context.waker().wake_by_ref();
        }
    }

    /// Returns whether too many messages wait for [`next`](Self::next) to receive more for it.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.0.queues.received_bytes() >= WAITING
    }

    /// Sends everything that can be sent, for a task that waits for it, and receives messages for
    /// [`next`](Self::next) as long as not too many wait. Is ready if nothing more can be sent: the
    /// connection has ended or has failed.
    pub(super) fn advance(&mut self, side: Side, context: &mut Context<'_>) -> Poll<()> {
        // Chunks are not kept: only `run` receives them, unless nobody does any more.
        let keeps = !self.0.stream.config().streaming || self.0.queues.discards();
        if keeps && !self.is_crowded() {
            let wants = self.receive(side, context);
            if wants.closed {
                return Poll::Ready(());
            }
            self.wait(context, wants);
            return Poll::Pending;
        }
        let now = now();
        self.begin(side, context);
        let before = self.before(side);
        let Inner { stream, queues, .. } = &mut *self.0;
        with_thread_scratch(|scratch| {
            let mut turn = scratch.at(now);
            // What ends the connection is delivered when there is room for the messages before it.
            let _ = stream.flush_and_time_out(&mut turn);
            send_fed(stream, queues, &mut turn);
        });
        self.set_timer(side, now);
        self.wake_other(side, before);
        let wants = self.0.stream.wants();
        if wants.closed {
            return Poll::Ready(());
        }
        self.wait(context, Wants { read: false, again: false, ..wants });
        Poll::Pending
    }

    /// Drives the stream once, and keeps the messages for [`next`](Self::next).
    ///
    /// What ends the connection stays unread as long as messages wait, so that these can still be answered.
    pub(super) fn receive(&mut self, side: Side, context: &mut Context<'_>) -> Wants {
        // After a failure, nothing can be answered.
        let failed = self.0.stream.wants().closed;
        let hold_after = match self.0.queues.has_received() {
            _ if failed => usize::MAX,
            true => 0,
            false => 1,
        };
        let driven = self.drive(side, context, Some(hold_after), |event, _, queues| {
            match event {
                // After a failure, the messages before the end do not wait for room.
                Event::Message(_) if failed && queues.received_bytes() >= MOST_WAITING => {}
                Event::Message(message) => queues.push_received(message),
                Event::Close(frame) => queues.keep_close_frame(frame),
                _ => {}
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let wants = match driven {
            Ok(wants) => wants,
            Err(never) => match never {},
        };
        let has_failed = self.0.stream.wants().closed;
        match wants.again && !has_failed && self.0.queues.has_received() && self.0.stream.is_end_next() {
            // The call after the last of the messages continues.
            true => Wants { read: false, again: false, ..wants },
            false => wants,
        }
    }
}
