//! The workloads.

use crate::compression::Compression;
use crate::contestants::{BUN, FLOOR, TLS_FLOOR};
use crate::load::{Content, Messages, Payload, Shape};
use crate::servers::{Mode, Plan};

/// One workload, with its own table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// The name on the command line.
    pub name: &'static str,
    pub title: &'static str,
    pub job: Job,
    pub tls: bool,
    /// The target of this library.
    pub target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Each connection sends `in_flight` messages at once, and continues when all replies have arrived.
    Echo { connections: usize, messages: Messages, in_flight: usize },
    /// Connections that echoed one message, and then send nothing.
    Idle { connections: usize, messages: Messages },
    /// Connections are opened and dropped.
    Handshake,
    /// One connection's message is sent to this number of receivers.
    Broadcast { receivers: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    None,
    /// Processor time for each message, as a multiple of the floor's.
    OverFloor(f64),
    /// Processor time for each message, as a multiple of this peer's; replies may be at most a twentieth
    /// larger than the peer's.
    OverPeer(&'static str, f64),
    /// Resident bytes for each connection.
    Bytes(f64),
}

/// The maximum size of compressed replies, as a multiple of a peer's.
pub const LARGER: f64 = 1.05;

/// The message that idle connections and receivers of a broadcast have exchanged.
pub const SMALL: Shape = Shape { bytes: 32, payload: Payload::Binary };

const KILOBYTE: Shape = Shape { bytes: 1 << 10, payload: Payload::Ascii };

const MIXED_KILOBYTE: Shape = Shape { bytes: 1 << 10, payload: Payload::Mixed };

/// Fewer than without TLS: each takes memory of the load generator, too.
const IDLE_OVER_TLS: Job = Job::Idle { connections: 5_000, messages: Messages::Plain(SMALL) };

const fn echo(connections: usize, shape: Shape, in_flight: usize) -> Job {
    Job::Echo { connections, messages: Messages::Plain(shape), in_flight }
}

const fn compressed(content: Content, bytes: usize, compression: Compression) -> Job {
    Job::Echo { connections: 64, messages: Messages::Json { content, bytes, compression }, in_flight: 1 }
}

/// Fewer than without compression: some servers hold 300 KiB for each.
const fn idle_compressed(compression: Compression) -> Job {
    Job::Idle {
        connections: 2_000,
        messages: Messages::Json { content: Content::Orders, bytes: 512, compression },
    }
}

const fn binary(bytes: usize) -> Shape {
    Shape { bytes, payload: Payload::Binary }
}

/// TLS's own work is the floor's, too.
const fn over_tls(name: &'static str, title: &'static str, job: Job) -> Workload {
    let target = if let Job::Echo { .. } = job { Target::OverFloor(1.10) } else { Target::None };
    Workload { name, title, job, tls: true, target }
}

pub const ALL: [Workload; 24] = [
    Workload {
        name: "32x1",
        title: "64 connections, 32 B, 1 in flight",
        job: echo(64, SMALL, 1),
        tls: false,
        target: Target::OverFloor(1.08),
    },
    Workload {
        name: "32x32",
        title: "64 connections, 32 B, 32 in flight",
        job: echo(64, SMALL, 32),
        tls: false,
        target: Target::OverFloor(1.10),
    },
    Workload {
        name: "1kx16",
        title: "64 connections, 1 KiB text, 16 in flight",
        job: echo(64, KILOBYTE, 16),
        tls: false,
        target: Target::OverFloor(1.15),
    },
    Workload {
        name: "1kmx16",
        title: "64 connections, 1 KiB of mixed text, 16 in flight",
        job: echo(64, MIXED_KILOBYTE, 16),
        tls: false,
        target: Target::OverFloor(1.20),
    },
    Workload {
        name: "16k",
        title: "16 connections, 16 KiB, 1 in flight",
        job: echo(16, binary(16 << 10), 1),
        tls: false,
        target: Target::OverFloor(1.08),
    },
    Workload {
        name: "1m",
        title: "4 connections, 1 MiB, 1 in flight",
        job: echo(4, binary(1 << 20), 1),
        tls: false,
        target: Target::OverFloor(1.20),
    },
    Workload {
        name: "idle",
        title: "19,000 idle connections",
        job: Job::Idle { connections: 19_000, messages: Messages::Plain(SMALL) },
        tls: false,
        target: Target::Bytes(100.0),
    },
    Workload {
        name: "handshake",
        title: "opening handshakes",
        job: Job::Handshake,
        tls: false,
        target: Target::None,
    },
    Workload {
        name: "broadcast",
        title: "32 B to each of 10,000 connections",
        job: Job::Broadcast { receivers: 10_000 },
        tls: false,
        target: Target::None,
    },
    Workload {
        name: "512z",
        title: "64 connections, 512 B of JSON compressed with takeover",
        job: compressed(Content::Orders, 512, Compression::Takeover),
        tls: false,
        target: Target::OverPeer(BUN, 1.0),
    },
    Workload {
        name: "8kz",
        title: "64 connections, 8 KiB of JSON compressed with takeover",
        job: compressed(Content::Orders, 8 << 10, Compression::Takeover),
        tls: false,
        target: Target::OverPeer(BUN, 0.7),
    },
    Workload {
        name: "512zt",
        title: "64 connections, 512 B of a ticker's JSON compressed with takeover",
        job: compressed(Content::Quotes, 512, Compression::Takeover),
        tls: false,
        target: Target::OverPeer(BUN, 1.0),
    },
    Workload {
        name: "8kzt",
        title: "64 connections, 8 KiB of a ticker's JSON compressed with takeover",
        job: compressed(Content::Quotes, 8 << 10, Compression::Takeover),
        tls: false,
        target: Target::OverPeer(BUN, 0.7),
    },
    Workload {
        name: "512za",
        title: "64 connections, 512 B of JSON compressed alone",
        job: compressed(Content::Orders, 512, Compression::Alone),
        tls: false,
        target: Target::OverPeer(BUN, 0.8),
    },
    Workload {
        name: "8kza",
        title: "64 connections, 8 KiB of JSON compressed alone",
        job: compressed(Content::Orders, 8 << 10, Compression::Alone),
        tls: false,
        target: Target::OverPeer(BUN, 0.9),
    },
    Workload {
        name: "idlez",
        title: "2,000 idle connections that compress with takeover",
        job: idle_compressed(Compression::Takeover),
        tls: false,
        target: Target::None,
    },
    Workload {
        name: "idleza",
        title: "2,000 idle connections that compress alone",
        job: idle_compressed(Compression::Alone),
        tls: false,
        target: Target::None,
    },
    over_tls("32x1s", "64 connections, 32 B, 1 in flight, over TLS", echo(64, SMALL, 1)),
    over_tls("32x32s", "64 connections, 32 B, 32 in flight, over TLS", echo(64, SMALL, 32)),
    over_tls("1kx16s", "64 connections, 1 KiB text, 16 in flight, over TLS", echo(64, KILOBYTE, 16)),
    over_tls("16ks", "16 connections, 16 KiB, 1 in flight, over TLS", echo(16, binary(16 << 10), 1)),
    over_tls("1ms", "4 connections, 1 MiB, 1 in flight, over TLS", echo(4, binary(1 << 20), 1)),
    over_tls("idles", "5,000 idle connections over TLS", IDLE_OVER_TLS),
    over_tls("handshakes", "opening handshakes over TLS", Job::Handshake),
];

/// Returns the workload with this name.
pub fn named(name: &str) -> Option<Workload> {
    ALL.iter().find(|workload| workload.name == name).copied()
}

impl Workload {
    /// Returns the configuration of a server for it.
    pub fn plan(&self) -> Plan {
        let plan = Plan { mode: Mode::Echo, many: false, compression: Compression::Off, tls: self.tls };
        match self.job {
            Job::Echo { messages, .. } => Plan { compression: messages.compression(), ..plan },
            Job::Idle { messages, .. } => Plan { many: true, compression: messages.compression(), ..plan },
            Job::Handshake => plan,
            Job::Broadcast { .. } => Plan { mode: Mode::Broadcast, many: true, ..plan },
        }
    }

    /// Returns this workload with another compression.
    pub fn with(self, compression: Compression) -> Self {
        let job = match self.job {
            Job::Echo { connections, messages, in_flight } => {
                Job::Echo { connections, messages: messages.with(compression), in_flight }
            }
            Job::Idle { connections, messages } => {
                Job::Idle { connections, messages: messages.with(compression) }
            }
            job => job,
        };
        Self { job, ..self }
    }

    /// Returns the name of the floor.
    pub fn floor(&self) -> &'static str {
        if self.tls { TLS_FLOOR } else { FLOOR }
    }
}
