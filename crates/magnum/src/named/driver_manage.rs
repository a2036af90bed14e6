//! `magnum-driver-manage list-drivers`.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::output::{Format, List, Quote};
use crate::cli::{ConfigFiles, StateDir};
use crate::{print, wiring};

/// Looks at drivers.
#[derive(Debug, Parser)]
#[command(name = "magnum-driver-manage", version, about)]
struct Cli {
    /// Say more; upstream's tool has it too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say less
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Show what led to an error
    #[arg(long, global = true)]
    debug: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the drivers that are offered
    ListDrivers(ListDrivers),
}

#[derive(Debug, Args)]
struct ListDrivers {
    /// Show the cluster types that each makes
    #[arg(short, long)]
    details: bool,
    /// Show the path of each one's template
    #[arg(short, long)]
    paths: bool,
    /// The output format
    #[arg(short, long, value_enum, default_value = "table")]
    format: Format,
    /// Show only this column; may be given several times
    #[arg(short, long)]
    column: Vec<String>,
    /// Sort by this column; may be given several times
    #[arg(long)]
    sort_column: Vec<String>,
    /// Smallest first
    #[arg(long, conflicts_with = "sort_descending")]
    sort_ascending: bool,
    /// Greatest first
    #[arg(long)]
    sort_descending: bool,
    /// When CSV has quotes
    #[arg(long, value_enum, default_value = "nonnumeric")]
    quote: Quote,
    /// JSON on one line
    #[arg(long)]
    noindent: bool,
    /// Taken and left out: tables are as wide as what is in them
    #[arg(long)]
    max_width: Option<i32>,
    /// Likewise
    #[arg(long)]
    fit_width: bool,
    /// Likewise
    #[arg(long)]
    print_empty: bool,
}

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let Command::ListDrivers(options) = Cli::parse().command;
    // As upstream's: the usual files, none from the command line.
    let settings = wiring::settings(&ConfigFiles::default(), &StateDir { state_dir: None })?;
    let mut columns = vec!["Name"];
    if options.details {
        columns.extend(["Server_Type", "OS", "COE"]);
    }
    if options.paths {
        columns.push("Template Path");
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (name, made) in wiring::offered(&settings) {
        // Without details a driver is one row, whatever it makes.
        for kind in made.into_iter().take(if options.details { usize::MAX } else { 1 }) {
            let mut row = vec![name.to_owned()];
            if options.details {
                row.extend([kind.server_type, kind.os, kind.coe]);
            }
            if options.paths {
                row.push("n/a".to_owned());
            }
            rows.push(row);
        }
    }
    let list = List { columns, rows }.sorted(&options.sort_column, options.sort_descending).only(&options.column);
    print::text(list.print(options.format, options.quote, !options.noindent))?;
    Ok(ExitCode::SUCCESS)
}
