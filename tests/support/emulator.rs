//! Programs of another processor.

use std::path::Path;
use std::process::Command;

/// Returns the command that runs a program: an emulator in the environment variable `EXAMPLE_RUNNER` runs it.
pub(crate) fn command(program: &Path) -> Command {
    match std::env::var_os("EXAMPLE_RUNNER") {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}
