//! What the figures were measured on, and how steady that is.

use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use super::figures::Figures;
use crate::say;

/// How often the fixed piece of work is done.
const ROUNDS: usize = 15;
/// Steps of the fixed piece of work: a tenth of a second or two, unoptimised as these tasks are.
const STEPS: u64 = 20_000_000;

/// Says what the machine is and takes its noise: the time of a fixed piece of work, again and again.
pub(super) fn describe() -> Figures {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say::note(&format!("{cores} x {cpu}, {memory}, Linux {}", kernel.trim()));
    say::note(&format!("load average before: {}", load.split(' ').take(3).collect::<Vec<_>>().join(" ")));
    let noise: Figures = (0..ROUNDS).map(|_| fixed_work() * 1e3).collect();
    let spread = (noise.max() - noise.min()) / noise.median() * 100.0;
    say::note(&format!(
        "noise: a fixed piece of work took {:.0} to {:.0} ms (median {:.0}), a spread of {spread:.0} %",
        noise.min(),
        noise.max(),
        noise.median()
    ));
    noise
}

/// Seconds for a chain of multiplications that can't be cut short.
fn fixed_work() -> f64 {
    let began = Instant::now();
    let mut value = black_box(1_u64);
    for step in 0..STEPS {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
    }
    black_box(value);
    began.elapsed().as_secs_f64()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
