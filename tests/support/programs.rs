//! Runs the examples as programs, found next to the test's own executable, where cargo builds them first.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Only a guard against hanging forever.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// Returns `target/<profile>/examples/<name>`, found from `target/<profile>/deps/<test>`.
pub(crate) fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let missing = "`cargo test` builds it; with `--test`, run `cargo build --examples` first";
    assert!(path.exists(), "{} is missing: {missing}", path.display());
    crate::emulator::command(&path)
}

/// Limits the program to this number of descriptors.
#[cfg(unix)]
pub(crate) fn limit_descriptors(command: &mut Command, few: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    use std::os::unix::process::CommandExt;
    let limit = move || {
        let few = Rlimit { current: Some(few), maximum: Some(few) };
        Ok(setrlimit(Resource::Nofile, few)?)
    };
    #[expect(unsafe_code, reason = "a limit for the child alone can be had no other way")]
    // SAFETY: between fork and exec only one system call is made, on plain values.
    unsafe {
        command.pre_exec(limit);
    }
}

/// A program that is killed if the test fails before it ends.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.0.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < HANG, "the program does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Most programs have ended by now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct EchoServer {
    pub(crate) program: Program,
    pub(crate) stdout: BufReader<ChildStdout>,
    url: String,
}

impl EchoServer {
    /// Starts it and waits until it prints the address it listens on.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(example("echo_server").args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut program = Program(child);
        let mut stdout = BufReader::new(program.0.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect(&line).to_owned();
        Self { program, stdout, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("ws://").unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_write_timeout(Some(HANG)).unwrap();
        Connection(stream)
    }

    /// Sends a request in plain HTTP, and returns the whole answer.
    pub(crate) fn request(&self, head: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Requests a page as a browser does, and returns the whole answer.
    pub(crate) fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.0.id()
    }

    /// Stops it with SIGTERM, and checks that it exited successfully.
    #[cfg(unix)]
    pub(crate) fn stop(mut self) {
        self.program.signal(libc::SIGTERM);
        self.check_end();
    }

    /// Kills it: there is no signal to stop it with.
    #[cfg(not(unix))]
    pub(crate) fn stop(self) {}

    #[cfg(unix)]
    pub(crate) fn check_end(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        let status = self.program.wait();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// A socket with timeouts, whose calls are repeated when they are interrupted.
///
/// The kernel repeats them itself only without a timeout. And the end of any program interrupts some call of
/// the process that started it, if the main thread is just starting a thread, hence blocks all signals: for
/// SIGCHLD, which is ignored, another thread is woken then.
#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl std::ops::Deref for Connection {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        repeat(|| self.0.read(buf))
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        repeat(|| self.0.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn repeat(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A path for a socket, removed when dropped.
pub(crate) struct SocketPath(PathBuf);

impl SocketPath {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("websocket-stream-{}-{n}", std::process::id()));
        // Left by an earlier process with this process id.
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
