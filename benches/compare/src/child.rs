//! A server in a separate process, and the resources that it used.

use crate::servers::{Mode, Plan};
use crate::sys;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running server, which is ended when dropped.
pub struct Server {
    process: Child,
    /// Its port on the loopback interface.
    pub port: u16,
}

/// The resources that a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, counted by the scheduler.
    pub cpu_nanoseconds: u64,
    /// Processor time in sampled clock ticks, only accurate enough to divide it into user and system.
    pub user_ticks: u64,
    pub system_ticks: u64,
}

impl Server {
    /// Starts a server on this core. The server prints its port to its standard output.
    pub fn start(command: &mut Command, core: usize, load_core: usize) -> io::Result<Self> {
        // The child inherits the core of this thread.
        sys::pin(core)?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        sys::pin(load_core)?;
        let mut server = Self { process: process?, port: 0 };
        let mut line = String::new();
        if let Some(output) = server.process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        server.port = line
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("{command:?} did not print its address")))?;
        Ok(server)
    }

    /// Returns the resources used so far.
    pub fn usage(&self) -> io::Result<Usage> {
        let pid = self.process.id();
        let (user_ticks, system_ticks) = ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat"))?)
            .ok_or_else(|| io::Error::other("/proc/PID/stat is not as it should be"))?;
        Ok(Usage { cpu_nanoseconds: sys::cpu_nanoseconds(pid)?, user_ticks, system_ticks })
    }

    /// Returns its resident memory in bytes, counted page by page if the kernel does that.
    pub fn resident(&self) -> io::Result<u64> {
        let pid = self.process.id();
        let exact = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        let text = exact.or_else(|_| std::fs::read_to_string(format!("/proc/{pid}/status")))?;
        resident(&text).ok_or_else(|| io::Error::other("the kernel does not report resident memory"))
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> io::Result<()> {
        sys::terminate(self.process.id());
        self.process.wait()?;
        Ok(())
    }

    /// Stops a server that this process only traces: asks the server to end; the tracer then ends by itself.
    pub fn stop_traced(mut self) -> io::Result<()> {
        let pid = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()) {
            sys::terminate(child);
        }
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Usage {
    /// Returns the resources used between the two.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu_nanoseconds: self.cpu_nanoseconds - before.cpu_nanoseconds,
            user_ticks: self.user_ticks - before.user_ticks,
            system_ticks: self.system_ticks - before.system_ticks,
        }
    }
}

/// Returns a plan as arguments: for this program's servers and for all others.
pub fn arguments(plan: Plan) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    if plan.mode == Mode::Broadcast {
        arguments.push("--broadcast".into());
    }
    if plan.many {
        arguments.push("--many".into());
    }
    if plan.tls {
        arguments.push("--tls".into());
    }
    if let Some(word) = plan.compression.word() {
        arguments.extend(["--deflate".into(), word.into()]);
    }
    arguments
}

/// Returns the user and system ticks in `/proc/PID/stat`; the name before them may contain any characters.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Returns the resident bytes in `/proc/PID/smaps_rollup` or `/proc/PID/status`.
fn resident(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("Rss:").or(line.strip_prefix("VmRSS:")))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_after_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 21 43 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some((21, 43)));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_read_from_either_file() {
        assert_eq!(
            resident("5570-7ffd ---p 0 00:00 0 [rollup]\nRss:  1640 kB\nPss: 2 kB\n"),
            Some(1640 << 10)
        );
        assert_eq!(resident("VmHWM:\t 9 kB\nVmRSS:\t   12 kB\n"), Some(12 << 10));
        assert_eq!(resident("Name: x\n"), None);
    }
}
