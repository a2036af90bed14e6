//! Shows what happens to a cluster while it happens, from its event stream.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::http::Api;
use crate::{say, stamp, stop};

/// How often the cluster's status is asked for while events come.
const LOOK: Duration = Duration::from_millis(150);

/// Follows one cluster.
#[derive(Debug)]
pub(crate) struct Watch {
    api: Api,
    path: String,
    events: Receiver<Event>,
}

/// What is shown of an event.
#[derive(Debug)]
struct Event {
    /// When it happened, by the server's clock, in seconds.
    at: f64,
    node: Option<String>,
    state: String,
    message: String,
}

impl Event {
    fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let at = stamp::seconds(&word("created_at")?)?;
        Some(Self { at, node: word("node"), state: word("state")?, message: word("message")? })
    }
}

/// What a cluster is once nothing goes on any more.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Its document, as `GET /v1/clusters/<uuid>` gives it.
    There(Value),
    /// It is deleted.
    Gone,
}

impl Watch {
    /// Begins to follow the events of a cluster, from the first on.
    pub(crate) fn start(api: &Api, cluster: &str) -> Self {
        let path = format!("/v1/clusters/{cluster}");
        let (sender, events) = mpsc::channel();
        let (stream, stream_path) = (api.clone(), format!("{path}/events"));
        // Ends with the stream, that is with the cluster or the server, or when nobody listens any more. Should the
        // stream fail, the status below still tells the end.
        thread::spawn(move || {
            stream.follow(&stream_path, |data| Event::read(data).is_none_or(|event| sender.send(event).is_ok()))
        });
        Self { api: api.clone(), path, events }
    }

    /// Shows what happens until the cluster is settled, and answers how long that took, from the first event to the
    /// last. Fails when it ends in failure or after `limit`.
    pub(crate) fn until_settled(&self, title: &str, limit: Duration) -> Result<(Settled, Duration)> {
        let mut display = Display::new(title);
        let settled = stop::poll(limit, LOOK, || {
            self.show_news(&mut display);
            let answer = self.api.get(&self.path)?;
            if answer.status == 404 {
                return Ok(Some(Settled::Gone));
            }
            let cluster: Value = serde_json::from_str(&answer.body)
                .with_context(|| format!("GET {}: status {}: {}", self.path, answer.status, answer.body))?;
            let status = cluster.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
            display.status(&status);
            if status.ends_with("_FAILED") {
                let reason = cluster.get("status_reason").and_then(Value::as_str).unwrap_or("no reason given");
                bail!("the cluster is {status}: {reason}");
            }
            Ok(status.ends_with("_COMPLETE").then_some(Settled::There(cluster)))
        });
        // The last events may still be on their way.
        while let Ok(event) = self.events.recv_timeout(LOOK) {
            display.event(&event);
        }
        let took = display.took();
        display.finish();
        let settled = settled?.with_context(|| format!("{title}: not done after {} s", limit.as_secs()))?;
        Ok((settled, took))
    }

    fn show_news(&self, display: &mut Display) {
        while let Ok(event) = self.events.try_recv() {
            display.event(&event);
        }
    }
}

/// On a terminal one line for the whole and one per node; elsewhere one line per event.
struct Display {
    /// Times of the first and of the last event.
    span: Option<(f64, f64)>,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    nodes: BTreeMap<String, ProgressBar>,
    title: String,
}

impl Display {
    fn new(title: &str) -> Self {
        let bars = stdout().is_terminal().then(|| Bars::new(title));
        Self { span: None, bars }
    }

    fn event(&mut self, event: &Event) {
        let (first, last) = self.span.get_or_insert((event.at, event.at));
        *last = event.at;
        match &mut self.bars {
            Some(bars) => bars.event(event),
            None => {
                let node = event.node.as_deref().unwrap_or("-");
                let at = event.at - *first;
                say::note(&format!("{at:6.2} s  {node:<14} {:<8} {}", event.state, event.message));
            }
        }
    }

    /// From the first event to the last.
    fn took(&self) -> Duration {
        self.span.map_or(Duration::ZERO, |(first, last)| Duration::from_secs_f64((last - first).max(0.0)))
    }

    fn status(&self, status: &str) {
        if let Some(bars) = &self.bars {
            bars.head.set_prefix(format!("{} {status}", bars.title));
        }
    }

    fn finish(self) {
        if let Some(bars) = self.bars {
            bars.nodes.values().for_each(ProgressBar::abandon);
            bars.head.abandon_with_message("");
        }
    }
}

impl Bars {
    fn new(title: &str) -> Self {
        let all = MultiProgress::new();
        let head = all.add(
            ProgressBar::new_spinner().with_style(style("    {spinner} {prefix:.bold} {elapsed:.dim} {wide_msg}")),
        );
        head.set_prefix(title.to_owned());
        head.enable_steady_tick(Duration::from_millis(100));
        Self { all, head, nodes: BTreeMap::new(), title: title.to_owned() }
    }

    fn event(&mut self, event: &Event) {
        let sign = match event.state.as_str() {
            "done" => "✓",
            "failed" => "✗",
            "warning" => "!",
            // Worth a line of its own in a log, but not the place of what is being done.
            "info" if event.node.is_some() => return,
            _ => "·",
        };
        let Some(node) = &event.node else {
            self.head.set_message(event.message.clone());
            return;
        };
        let (all, nodes) = (&self.all, &mut self.nodes);
        let bar = nodes.entry(node.clone()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new_spinner().with_style(style("      {prefix:<20} {wide_msg}")));
            bar.set_prefix(node.clone());
            bar
        });
        bar.set_message(format!("{sign} {}", event.message));
    }
}

/// The templates above are fixed; one that indicatif refused would only look plainer.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_off_its_document() {
        let event = Event::read(
            r#"{"id": 7, "node": "web-worker-0", "state": "done", "message": "engine is up",
            "created_at": "2026-11-22T23:27:46.709318+00:00"}"#,
        );
        assert!(event.is_some_and(|event| event.node.as_deref() == Some("web-worker-0") && event.state == "done"));
        assert!(Event::read("not json").is_none());
    }
}
