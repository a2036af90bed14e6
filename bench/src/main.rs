//! Small programs that `cargo xtask bench` needs beside the server: they wait for its first answer, fill a database
//! with clusters, serve the same rows from a handler that does nothing else, and put load on either. And those that
//! `cargo xtask release-test` needs: slow clients, and requests at a fixed pace.

mod bare;
mod entity;
mod first_answer;
mod load;
mod paced;
mod seed;
mod slow;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Helper of `cargo xtask bench` and `cargo xtask release-test`.
#[derive(Debug, Parser)]
enum Arguments {
    /// Asks for a page until it is answered with 200; prints when that was, in microseconds since 1970.
    FirstAnswer {
        /// The page.
        #[arg(long)]
        url: String,
        /// Authority of the server, waited for until it is there; for plain HTTP there is none.
        #[arg(long)]
        ca: Option<PathBuf>,
    },
    /// Fills a database with templates and clusters.
    Seed(seed::Seed),
    /// Removes the templates that the load has made.
    Tidy {
        /// URL of the database.
        #[arg(long)]
        database: String,
    },
    /// Serves the same rows from bare handlers.
    Bare(bare::Bare),
    /// Asks for the same pages again and again; prints what it got as JSON.
    Load(load::Load),
    /// Holds many slow connections until its input ends; prints `ready` when they are there, and at the end as JSON how they
    /// fared.
    Slow(slow::Slow),
    /// Asks at a fixed pace until its input ends; prints the answers as JSON.
    Paced(paced::Paced),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut runtime = match arguments {
        Arguments::Bare(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    match arguments {
        Arguments::FirstAnswer { url, ca } => print(first_answer::run(&url, ca.as_deref()).await?)?,
        Arguments::Seed(seed) => seed::run(&seed).await?,
        Arguments::Tidy { database } => seed::tidy(&database).await?,
        Arguments::Bare(bare) => bare::run(bare).await?,
        Arguments::Load(load) => print(load::run(load).await?)?,
        Arguments::Slow(slow) => print(slow::run(slow).await?)?,
        Arguments::Paced(paced) => print(paced::run(paced).await?)?,
    }
    Ok(())
}

/// Prints a line. When nobody reads it that is an error, not a panic.
fn print(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}
