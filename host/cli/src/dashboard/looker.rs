//! A link that makes a report in Looker Studio, by its Linking API: a blank report with the views of a
//! dataset as its data sources. <https://developers.google.com/looker-studio/integrate/linking-api>

use url::Url;

use clickmill_config::{Place, Sink};
use clickmill_tables::views;

/// The link for the BigQuery views of a pipeline; `None` where its tables are not in BigQuery.
pub(super) fn link(sink: &Sink) -> Option<Url> {
    let Place::BigQuery(bigquery) = &sink.place else { return None };
    let dataset = &sink.table.dataset;
    let mut parameters = vec![
        ("c.mode".to_owned(), "edit".to_owned()),
        ("r.reportName".to_owned(), format!("clickmill {dataset}")),
    ];
    for (number, view) in views::in_dataset(dataset).enumerate() {
        for (key, value) in [
            ("connector", "bigQuery"),
            ("datasourceName", view.name.as_str()),
            ("projectId", bigquery.project.as_str()),
            ("type", "TABLE"),
            ("datasetId", dataset.as_str()),
            ("tableId", view.name.as_str()),
        ] {
            parameters.push((format!("ds.ds{number}.{key}"), value.to_owned()));
        }
    }
    Url::parse_with_params("https://lookerstudio.google.com/reporting/create", parameters).ok()
}
