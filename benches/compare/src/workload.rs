//! What the servers are put to.

use crate::load::Shape;
use crate::servers::{Mode, Plan};

/// One table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// As the command line has it.
    pub name: &'static str,
    pub title: &'static str,
    pub job: Job,
    /// The most that this library wants to cost, against the floor: processor time, or bytes.
    pub target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Each connection sends so many messages in one piece, and goes on when all are back.
    Echo { connections: usize, shape: Shape, in_flight: usize },
    /// Connections that have echoed one message, and then say nothing.
    Idle { connections: usize },
    /// Connections are opened and dropped.
    Handshake,
    /// One connection's message goes to so many.
    Broadcast { receivers: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    None,
    /// Processor time for each message, as a multiple of the floor's.
    OverFloor(f64),
    /// Resident bytes for each connection.
    Bytes(f64),
}

/// What idle connections and receivers of a broadcast have exchanged.
pub const SMALL: Shape = Shape { bytes: 32, text: false };

const fn echo(connections: usize, shape: Shape, in_flight: usize) -> Job {
    Job::Echo { connections, shape, in_flight }
}

const fn binary(bytes: usize) -> Shape {
    Shape { bytes, text: false }
}

pub const ALL: [Workload; 8] = [
    Workload {
        name: "32x1",
        title: "64 connections, 32 B, 1 in flight",
        job: echo(64, SMALL, 1),
        target: Target::OverFloor(1.08),
    },
    Workload {
        name: "32x32",
        title: "64 connections, 32 B, 32 in flight",
        job: echo(64, SMALL, 32),
        target: Target::OverFloor(1.10),
    },
    Workload {
        name: "1kx16",
        title: "64 connections, 1 KiB text, 16 in flight",
        job: echo(64, Shape { bytes: 1 << 10, text: true }, 16),
        target: Target::OverFloor(1.15),
    },
    Workload {
        name: "16k",
        title: "16 connections, 16 KiB, 1 in flight",
        job: echo(16, binary(16 << 10), 1),
        target: Target::OverFloor(1.08),
    },
    Workload {
        name: "1m",
        title: "4 connections, 1 MiB, 1 in flight",
        job: echo(4, binary(1 << 20), 1),
        target: Target::OverFloor(1.20),
    },
    Workload {
        name: "idle",
        title: "19,000 idle connections",
        job: Job::Idle { connections: 19_000 },
        target: Target::Bytes(100.0),
    },
    Workload { name: "handshake", title: "opening handshakes", job: Job::Handshake, target: Target::None },
    Workload {
        name: "broadcast",
        title: "32 B to each of 10,000 connections",
        job: Job::Broadcast { receivers: 10_000 },
        target: Target::None,
    },
];

/// The workload that has this name.
pub fn named(name: &str) -> Option<Workload> {
    ALL.iter().find(|workload| workload.name == name).copied()
}

impl Job {
    /// What a server is told of it.
    pub fn plan(self) -> Plan {
        match self {
            Self::Echo { .. } | Self::Handshake => Plan { mode: Mode::Echo, many: false },
            Self::Idle { .. } => Plan { mode: Mode::Echo, many: true },
            Self::Broadcast { .. } => Plan { mode: Mode::Broadcast, many: true },
        }
    }
}
