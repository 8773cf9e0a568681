//! What is different between a pipeline file and what it said before, beside its stages.

use super::{Guard, Pipeline, Sink};

impl Pipeline {
    /// The keys and sections that are different in another reading of the file, but for the stages: `source`,
    /// `sink`, … A table's schema is part of the section that names its file.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Vec<&'static str> {
        // All of them: a section that is added is compared, or this is no Rust.
        let Self {
            name,
            source,
            format,
            plugins: _,
            sink,
            dead_letter,
            swap,
            admin,
            guard,
            trust,
            batch,
            workers,
        } = self;
        let compared = [
            ("name", *name == other.name),
            ("source", *source == other.source && *format == other.format),
            ("sink", is_same_sink(sink, &other.sink)),
            ("warehouse", sink.retention_days == other.sink.retention_days),
            ("dead_letter", *dead_letter == other.dead_letter),
            ("swap", *swap == other.swap),
            ("admin", *admin == other.admin),
            ("guard", guard.is(&other.guard)),
            ("trust", *trust == other.trust),
            ("batch", *batch == other.batch),
            ("workers", *workers == other.workers),
        ];
        compared.into_iter().filter(|(_, same)| !same).map(|(section, _)| section).collect()
    }
}

/// How long rows are kept is the warehouse's.
fn is_same_sink(sink: &Sink, other: &Sink) -> bool {
    Sink { retention_days: None, ..sink.clone() } == Sink { retention_days: None, ..other.clone() }
}

impl Guard {
    /// Whether it is the same: regular expressions are by their texts.
    fn is(&self, other: &Self) -> bool {
        let forms = |guard: &Self| -> Vec<(String, String)> {
            let form = |(column, form): &(String, regex::Regex)| {
                (column.clone(), form.as_str().to_owned())
            };
            guard.allow.iter().map(form).collect()
        };
        self.off == other.off && forms(self) == forms(other)
    }
}
