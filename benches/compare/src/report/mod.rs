//! The figures as text, as files and as pictures.

pub mod chart;
pub mod files;
pub mod table;

use crate::measure::Figures;
use crate::workload::Workload;

/// The measurements: each workload with the figures of all servers.
pub type Results = [(Workload, Vec<Figures>)];
