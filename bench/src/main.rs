//! Small programs that `cargo xtask bench` needs beside the server: they wait for its first answer, fill a database
//! with clusters, serve the same rows from a handler that does nothing else, and put load on either.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod bare;
mod entity;
mod first_answer;
mod load;
mod seed;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Helper of `cargo xtask bench`.
#[derive(Debug, Parser)]
enum Arguments {
    /// Asks for a page until it is answered with 200; prints when that was, in microseconds since 1970.
    FirstAnswer {
        /// The page.
        #[arg(long)]
        url: String,
        /// Authority of the server; waited for until it is there.
        #[arg(long)]
        ca: PathBuf,
    },
    /// Writes clusters, each with two node groups, into a server's SQLite database.
    Seed {
        /// The database.
        #[arg(long)]
        database: PathBuf,
        /// Project of the clusters.
        #[arg(long)]
        project: String,
        /// UUID of their template.
        #[arg(long)]
        template: String,
        /// How many.
        #[arg(long, default_value_t = 1000)]
        count: u32,
    },
    /// Serves all clusters of a project from a bare handler.
    Bare {
        /// The database.
        #[arg(long)]
        database: PathBuf,
        /// Project of the clusters.
        #[arg(long)]
        project: String,
        /// Address to listen on; loopback.
        #[arg(long)]
        bind: SocketAddr,
    },
    /// Asks for one page again and again; prints what it got as JSON.
    Load {
        /// The page.
        #[arg(long)]
        url: String,
        /// Sent as `X-Auth-Token`.
        #[arg(long, default_value = "none")]
        token: String,
        /// Connections that ask at the same time.
        #[arg(long, default_value_t = 4)]
        connections: u16,
        /// For how long.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::FirstAnswer { url, ca } => {
            println!("{}", first_answer::run(&url, &ca).await?);
            Ok(())
        }
        Arguments::Seed { database, project, template, count } => {
            seed::run(&database, &project, &template, count).await
        }
        Arguments::Bare { database, project, bind } => bare::run(&database, project, bind).await,
        Arguments::Load { url, token, connections, seconds } => {
            println!("{}", load::run(&url, &token, connections, seconds).await?);
            Ok(())
        }
    }
}
