//! The table as a page for people.

use std::fmt::Write as _;

use super::{Effect, Label, LabelCatalogue, LabelType};

/// What stands before the table.
const HEAD: &str = "\
# Labels

Every label that a cluster template, cluster or node group may carry, made from `crates/coe/data/labels.yaml`.

Any other label is accepted and kept, as upstream does. The answer then has a header `Warning: 299 magnum \"...\"` for each of the first
ten labels that are not known, are for another engine or driver, or have a value of the wrong kind, and names the known label most like it; a
cluster's events say the same. Nothing is refused for its labels but what upstream refuses or fails at: a `boot_volume_size` or `min_node_count`
that is no number, and the values of labels marked *strict* for their own engine.

A `boolean` is `true` or `false`, in any case. A `size` is whole GB, a `duration` whole seconds. `secret` values are never repeated in
messages. *since* is the release that brought a label (nothing: Stein or before), *until* the last that knew it.

## Drivers

| word | engines | drivers |
| --- | --- | --- |
";

impl LabelCatalogue {
    /// The page `docs/labels.md`, in Markdown.
    #[must_use]
    pub fn document(&self) -> String {
        let mut page = HEAD.to_owned();
        for group in &self.drivers {
            // Writing to a String does not fail.
            let _ = writeln!(page, "| {} | {} | {} |", group.name, group.engines.join(", "), group.about);
        }
        page.push_str("\n## Labels\n\n| label | type | default | drivers | since | until | meaning |\n");
        page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for label in &self.labels {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} | {} | {} |",
                label.name,
                kind(label),
                default(label),
                label.drivers.join(", "),
                label.since.as_deref().unwrap_or_default(),
                until(label),
                meaning(label)
            );
        }
        page
    }
}

fn kind(label: &Label) -> String {
    let word = format!("{:?}", label.kind).to_lowercase();
    let words = label.values.join(", ");
    match label.kind {
        LabelType::Enum => format!("one of {words}"),
        LabelType::Words if !words.is_empty() => format!("some of {words}"),
        _ => word,
    }
}

fn default(label: &Label) -> String {
    let code = |value: &String| if value.contains(' ') { value.clone() } else { format!("`{value}`") };
    let mut text = label.default.as_ref().map(code).unwrap_or_default();
    for (group, value) in &label.defaults {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{group}: {}", code(value));
    }
    text
}

fn until(label: &Label) -> String {
    let until = label.until.clone().unwrap_or_default();
    match &label.instead {
        Some(instead) => format!("{until}; use `{instead}`"),
        None => until,
    }
}

fn meaning(label: &Label) -> String {
    let mut text = label.about.clone();
    if label.effect == Effect::None {
        text.push_str(" No effect.");
    }
    if label.strict {
        text.push_str(" *Strict.*");
    }
    text
}
