//! websocket-stream and its peers, measured side by side; see README.md.

mod child;
mod codec;
mod compression;
mod contestants;
mod counting;
mod load;
mod measure;
mod options;
mod report;
mod servers;
mod stats;
mod sys;
mod tls;
mod workload;

use measure::{Cores, Effort};
use options::{Command, Options};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match options::parse(lexopt::Parser::from_env()).map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    match options.command {
        Command::Help => println!("{}", options::USAGE),
        Command::Server(server, plan) => server.run(plan)?,
        Command::Measure => measure_all(&options)?,
        Command::Codec => {
            sys::pin(cores()?.server)?;
            let tables = codec::run();
            if let Some(file) = &options.markdown {
                std::fs::write(file, codec::markdown(&tables))?;
            }
        }
        Command::Report(ref files) => {
            let mut results = Vec::new();
            for file in files {
                results.extend(report::files::from_json(&std::fs::read_to_string(file)?)?);
            }
            for (workload, figures) in &results {
                print!("{}", report::table::render(workload, figures));
            }
            write(&results, &options)?;
        }
        Command::Million(ref file) => {
            let samples = report::chart::million::samples(&std::fs::read_to_string(file)?)?;
            report::chart::million::draw(&samples, &options.output)?;
        }
        Command::Callgrind => count(counting::Counter::Callgrind, &options)?,
        Command::Syscalls => count(counting::Counter::Strace, &options)?,
    }
    Ok(())
}

fn measure_all(options: &Options) -> Result<(), Box<dyn Error>> {
    let contestants = options.contestants();
    sys::raise_open_files()?;
    let cores = cores()?;
    let effort = Effort { rounds: options.rounds, time: Duration::from_secs_f64(options.seconds) };
    let mut results = Vec::new();
    for workload in &options.workloads {
        let figures = measure::workload(workload, &contestants, effort, cores);
        print!("{}", report::table::render(workload, &figures));
        results.push((*workload, figures));
    }
    write(&results, options)
}

/// Draws the charts, and writes the requested files.
fn write(results: &report::Results, options: &Options) -> Result<(), Box<dyn Error>> {
    report::chart::draw(results, &options.output)?;
    if let Some(file) = &options.json {
        std::fs::write(file, report::files::to_json(results)?)?;
    }
    if let Some(file) = &options.markdown {
        std::fs::write(file, report::files::markdown(results))?;
    }
    Ok(())
}

fn count(counter: counting::Counter, options: &Options) -> Result<(), Box<dyn Error>> {
    counting::run(counter, &options.contestants(), &options.workloads, &options.output, cores()?)?;
    Ok(())
}

/// Returns the cores: the first for the server, the second for the load generator.
fn cores() -> Result<Cores, Box<dyn Error>> {
    match sys::cores()?.as_slice() {
        [] => Err("there is no core to run on".into()),
        [one] => {
            eprintln!("there is only one core: server and load share it, the rates mean little");
            Ok(Cores { server: *one, load: *one })
        }
        [server, load, ..] => Ok(Cores { server: *server, load: *load }),
    }
}
