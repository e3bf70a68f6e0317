//! The figures as text, as files and as pictures.

pub mod chart;
pub mod files;
pub mod table;

use crate::measure::Figures;
use crate::workload::Workload;

/// What was measured: each workload with the figures of all servers.
pub type Results = [(Workload, Vec<Figures>)];
