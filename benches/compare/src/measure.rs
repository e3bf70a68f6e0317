//! The measurement: rounds in which every server takes a turn, so that other activity of the machine affects
//! all servers equally.

use crate::child::{Server, Usage};
use crate::compression::Compression;
use crate::contestants::Contestant;
use crate::load::open::{self, Target};
use crate::load::{Batch, Load, Messages, Random};
use crate::servers::Plan;
use crate::stats::{median, percentile};
use crate::workload::{Job, SMALL, Workload};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::{Duration, Instant};

/// The cores of the two sides.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    pub server: usize,
    pub load: usize,
}

/// The duration and number of the measurements.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub time: Duration,
}

/// Every connection is busy for this time before a measurement.
const WARM_UP: Duration = Duration::from_millis(100);

/// The result of one server in one round.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Messages, connections, handshakes or receivers.
    count: u64,
    seconds: f64,
    used: Usage,
    /// Nanoseconds from the first byte of a batch sent to its last byte received.
    p50: Option<u32>,
    p99: Option<u32>,
    resident: u64,
    /// Resident bytes for each connection.
    bytes: Option<f64>,
    /// Payload bytes of a compressed reply.
    reply: Option<f64>,
}

/// The result of one server in one workload: medians over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub server: String,
    /// Messages (handshakes, receivers) per second.
    pub rate: f64,
    /// The server's processor time for each of them, in nanoseconds.
    pub cpu: f64,
    /// The processor time in each round; `None` if the round failed.
    #[serde(default)]
    pub rounds: Vec<Option<f64>>,
    /// The part outside of the kernel, by clock ticks over all rounds.
    pub user: f64,
    /// The time of a batch, in microseconds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    /// Resident memory of the server at the end, in bytes.
    pub resident: f64,
    /// Resident bytes for each idle connection.
    pub bytes: Option<f64>,
    /// The payload of a compressed reply, in bytes.
    #[serde(default)]
    pub reply: Option<f64>,
}

impl Figures {
    /// Returns its processor time as a multiple of another's. The two are compared round by round, because
    /// the machine may be slower in one round than in the next; the result is the median of these ratios.
    pub fn over(&self, other: &Self) -> f64 {
        let ratios =
            self.rounds.iter().zip(&other.rounds).filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?));
        median(ratios).unwrap_or(self.cpu / other.cpu)
    }

    /// Returns figures with this processor time in each round, and without any others.
    #[cfg(test)]
    pub fn of_rounds(server: &str, rounds: &[Option<f64>]) -> Self {
        Self {
            server: server.into(),
            rate: 1.0,
            cpu: median(rounds.iter().copied().flatten()).unwrap_or(1.0),
            rounds: rounds.to_vec(),
            user: 0.0,
            p50: None,
            p99: None,
            resident: 0.0,
            bytes: None,
            reply: None,
        }
    }
}

/// Runs one workload on all servers. Failures are reported and left out.
pub fn workload(
    workload: &Workload,
    contestants: &[Contestant],
    effort: Effort,
    cores: Cores,
) -> Vec<Figures> {
    // Memory does not vary between rounds.
    let rounds = if matches!(workload.job, Job::Idle { .. }) { 1 } else { effort.rounds };
    let plan = workload.plan();
    let takes_part = |contestant: &&Contestant| contestant.takes_part(plan) && !contestant.is_only_counted();
    let contestants: Vec<_> = contestants.iter().filter(takes_part).collect();
    let mut samples: Vec<Vec<Option<Sample>>> = vec![Vec::new(); contestants.len()];
    for round in 1..=rounds {
        for (contestant, samples) in contestants.iter().zip(&mut samples) {
            eprint!("\r\x1b[K{}, round {round} of {rounds}: {}", workload.title, contestant.name);
            let sample = run(workload, contestant, effort.time, cores);
            samples.push(sample.map_err(|error| eprintln!("\n{} failed: {error}", contestant.name)).ok());
        }
    }
    eprint!("\r\x1b[K");
    contestants
        .iter()
        .zip(&samples)
        .filter_map(|(contestant, samples)| summary(contestant.name, samples))
        .collect()
}

fn run(workload: &Workload, contestant: &Contestant, time: Duration, cores: Cores) -> io::Result<Sample> {
    let workload = &workload.with(contestant.compression(workload.plan().compression));
    let mut command = contestant.command(workload.plan())?;
    let server = Server::start(&mut command, cores.server, cores.load)?;
    let target = target(&server, contestant, workload);
    let sample = match workload.job {
        Job::Echo { connections, messages, in_flight } => {
            let load = Load::new(open::open(target, connections)?, messages.scripts(in_flight, target.raw))?;
            echo(&server, load, messages, in_flight, time)
        }
        Job::Idle { connections, messages } => idle(&server, target, connections, messages),
        Job::Handshake => handshakes(&server, target, time),
        Job::Broadcast { receivers } => broadcast(&server, target, receivers, time),
    }?;
    server.stop()?;
    Ok(sample)
}

/// Returns the target of a workload's load.
pub fn target(server: &Server, contestant: &Contestant, workload: &Workload) -> Target {
    let Plan { compression, tls, .. } = workload.plan();
    Target { port: server.port, raw: contestant.is_raw(), compression, tls }
}

fn echo(
    server: &Server,
    mut load: Load,
    messages: Messages,
    in_flight: usize,
    time: Duration,
) -> io::Result<Sample> {
    load.run_batches(messages.distinct())?;
    load.run_for(WARM_UP)?;
    load.times.clear();
    let payload = load.payload();
    let (before, start) = (server.usage()?, Instant::now());
    let batches = load.run_for(time)?;
    let (used, seconds) = (server.usage()?.since(before), start.elapsed().as_secs_f64());
    let payload = load.payload() - payload;
    let resident = server.resident()?;
    load.drain()?;
    let count = batches * in_flight as u64;
    Ok(Sample {
        count,
        seconds,
        used,
        p50: percentile(&mut load.times, 50),
        p99: percentile(&mut load.times, 99),
        resident,
        bytes: None,
        reply: (messages.compression() != Compression::Off).then(|| payload as f64 / count as f64),
    })
}

/// One connection warms the server up; its memory is not counted for the idle connections.
fn idle(server: &Server, target: Target, connections: usize, messages: Messages) -> io::Result<Sample> {
    let scripts = messages.scripts(1, target.raw);
    let mut first = open::open(target, 1)?;
    open::exchange(&mut first, &scripts)?;
    let (used_before, before, start) = (server.usage()?, server.resident()?, Instant::now());
    let mut links = open::open(target, connections)?;
    open::exchange(&mut links, &scripts)?;
    let (used, resident) = (server.usage()?.since(used_before), server.resident()?);
    let bytes = resident.saturating_sub(before) as f64 / connections as f64;
    Ok(Sample {
        count: connections as u64,
        seconds: start.elapsed().as_secs_f64(),
        used,
        p50: None,
        p99: None,
        resident,
        bytes: Some(bytes),
        reply: None,
    })
}

fn handshakes(server: &Server, target: Target, time: Duration) -> io::Result<Sample> {
    open::open_and_drop(target, WARM_UP)?;
    let (before, start) = (server.usage()?, Instant::now());
    let count = open::open_and_drop(target, time)?;
    let (used, seconds) = (server.usage()?.since(before), start.elapsed().as_secs_f64());
    let resident = server.resident()?;
    Ok(Sample { count, seconds, used, p50: None, p99: None, resident, bytes: None, reply: None })
}

/// The first connection sends, and all of them receive the message.
fn broadcast(server: &Server, target: Target, receivers: usize, time: Duration) -> io::Result<Sample> {
    let mut links = open::open(target, receivers)?;
    // No server sends in this order. In the server's order, the load generator would wait for each socket in
    // turn, and each send would have to wake it.
    Random::new(0).shuffle(&mut links);
    let message = Batch::new(SMALL, 1, 0);
    let message = if target.raw { message.raw() } else { message };
    let mut report = || -> io::Result<()> {
        links[0].send_all(&message.request)?;
        links.iter_mut().try_for_each(|link| open::expect(link, &message.reply))
    };
    report()?;
    let (before, start) = (server.usage()?, Instant::now());
    let mut times = Vec::new();
    while start.elapsed() < time {
        let began = Instant::now();
        report()?;
        times.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    let (used, seconds) = (server.usage()?.since(before), start.elapsed().as_secs_f64());
    Ok(Sample {
        count: (times.len() * receivers) as u64,
        seconds,
        used,
        p50: percentile(&mut times, 50),
        p99: percentile(&mut times, 99),
        resident: server.resident()?,
        bytes: None,
        reply: None,
    })
}

fn summary(server: &str, rounds: &[Option<Sample>]) -> Option<Figures> {
    let samples: Vec<Sample> = rounds.iter().copied().flatten().collect();
    let of = |figure: &dyn Fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(figure));
    let micros = |time: Option<u32>| time.map(|nanoseconds| f64::from(nanoseconds) / 1000.0);
    let each = |sample: &Sample| sample.used.cpu_nanoseconds as f64 / sample.count as f64;
    let cpu = of(&|sample| Some(each(sample)))?;
    let user: u64 = samples.iter().map(|sample| sample.used.user_ticks).sum();
    let system: u64 = samples.iter().map(|sample| sample.used.system_ticks).sum();
    Some(Figures {
        server: server.into(),
        rate: of(&|sample| Some(sample.count as f64 / sample.seconds))?,
        cpu,
        rounds: rounds.iter().map(|sample| sample.as_ref().map(each)).collect(),
        user: cpu * user as f64 / (user + system).max(1) as f64,
        p50: of(&|sample| micros(sample.p50)),
        p99: of(&|sample| micros(sample.p99)),
        resident: of(&|sample| Some(sample.resident as f64))?,
        bytes: of(&|sample| sample.bytes),
        reply: of(&|sample| sample.reply),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_compared_round_by_round() {
        let figures = |cpu, rounds: &[Option<f64>]| Figures { cpu, ..Figures::of_rounds("", rounds) };
        // Twice the time in each round, on a machine that is slower in one; a failed round does not count.
        let a = figures(6.0, &[Some(2.0), Some(6.0), Some(20.0), None]);
        let b = figures(3.0, &[Some(1.0), Some(3.0), Some(10.0), Some(1.0)]);
        assert_eq!((a.over(&b), b.over(&a)), (2.0, 0.5));
        // Figures that were written without their rounds.
        assert_eq!(figures(6.0, &[]).over(&b), 2.0);
    }
}
