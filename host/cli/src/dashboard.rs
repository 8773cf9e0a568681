//! `clickmill dashboard`: the dashboard without a running pipeline.

mod looker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{Exit, Failure, place};
use clickmill_admin as admin;
use clickmill_config as config;
use clickmill_config::{Listen, Place, Sink, Token};
use clickmill_dashboard::{Dashboard, Folder};
use clickmill_pipeline::AuditSink;
use clickmill_sink::Tables;

const EXAMPLES: &str = "\
Examples:
  clickmill dashboard
  clickmill dashboard --open
  clickmill dashboard host/pipelines/stream_gcp.toml
  clickmill dashboard host/pipelines/stream_gcp.toml --looker

A running stream serves its own dashboard, with a page on the pipeline: its address is told at the start.";

/// The dataset of a warehouse that no pipeline file names.
const DATASET: &str = "clickstream_analytics";
/// How often the page asks: a query over local files costs nothing.
const LOCAL_REFRESH: Duration = Duration::from_secs(5);
/// Over BigQuery each round is billed.
const BIGQUERY_REFRESH: Duration = Duration::from_secs(60);

/// Shows the dashboard over the warehouse, or over what a pipeline writes to
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    /// A pipeline file, whose tables are shown; the warehouse without one
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: Option<PathBuf>,

    /// Set a value of the pipeline file, such as sink.project=my-project
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Where to listen; beyond loopback only with --token-file
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7628")]
    listen: SocketAddr,

    /// File with a token that readers have to show
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// How often the page asks for new numbers (default: 5s, over BigQuery 60s: each time is a query per tile)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    refresh: Option<Duration>,

    /// Folder of tiles (default: sql/dashboard here or above, else those of the binary)
    #[arg(long, value_name = "FOLDER")]
    tiles: Option<PathBuf>,

    /// Open it in a browser
    #[arg(long)]
    open: bool,

    /// Print a link that makes a report of the BigQuery views in Looker Studio, and end
    #[arg(long)]
    looker: bool,
}

impl Serve {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let read = |path: &PathBuf| place::read_pipeline(path, &self.set);
        let pipeline = self.pipeline.as_ref().map(read).transpose()?;
        if self.looker {
            let link = pipeline.as_ref().and_then(|pipeline| looker::link(&pipeline.sink));
            let link = link.ok_or_else(|| {
                let error = anyhow::anyhow!("Looker Studio reads BigQuery, and there is none to read");
                Failure::new(Exit::BadInput, error).hint(
                    "name a pipeline file that writes to BigQuery, such as host/pipelines/stream_gcp.toml",
                )
            })?;
            println!("{link}");
            eprintln!(
                "it opens a report on the views that `clickmill tables apply` makes; sql/README.md says which view feeds which chart"
            );
            return Ok(());
        }
        if !self.listen.ip().is_loopback() && self.token_file.is_none() {
            let error = anyhow::anyhow!("{} is an address that others reach", self.listen);
            return Err(Failure::new(Exit::BadInput, error).hint(
                "name a file with a token: --token-file FILE; `openssl rand -hex 32` makes one",
            ));
        }
        let config = config::Admin {
            listen: Listen::At(self.listen),
            strict_port: true,
            token: self.token_file.map(Token::File),
            reveal: Vec::new(),
            max_freshness: None,
        };
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let mut dashboard = match &pipeline {
                Some(pipeline) => {
                    let tables = Tables::open(&pipeline.sink.place, warehouse).await?;
                    over(tables, &pipeline.sink, &pipeline.admin, warehouse)
                }
                None => local(Tables::open(&Place::Warehouse, warehouse).await?, warehouse),
            };
            if let Some(folder) = self.tiles {
                if !folder.is_dir() {
                    let error = anyhow::anyhow!("`{}` is not a folder", folder.display());
                    return Err(Failure::new(Exit::BadInput, error));
                }
                dashboard.folder = Folder::At(folder);
            }
            dashboard.refresh =
                self.refresh.unwrap_or(dashboard.refresh).max(Duration::from_secs(1));
            // Of the pipeline whose letters are shown.
            let audit = pipeline.as_ref().filter(|_| dashboard.reveals_payload).map(|pipeline| {
                let (tables, target) = (&dashboard.tables, &pipeline.sink.table);
                AuditSink::open(&place::audit(), &pipeline.name, tables, target, runtime.handle())
            });
            let audit = audit.transpose()?.map(Arc::new);
            let _kept = audit.as_ref().map(AuditSink::kept);
            if let Some(address) = admin::start(&config, dashboard, None, audit).await? {
                eprintln!("dashboard: http://{address}/   (Ctrl-C ends it)");
                if self.open {
                    open_in_browser(&format!("http://{address}/"));
                }
            }
            let (ended, end) = tokio::sync::oneshot::channel();
            let mut ended = Some(ended);
            let set = ctrlc::set_handler(move || {
                if let Some(ended) = ended.take() {
                    let _ = ended.send(());
                }
            });
            set.map_err(|error| Failure::new(Exit::Environment, error))?;
            // The handler lives as long as the process.
            let _ = end.await;
            Ok(())
        })
    }
}

/// A dashboard over the tables of a pipeline.
pub(super) fn over(
    tables: Tables,
    sink: &Sink,
    admin: &config::Admin,
    warehouse: &str,
) -> Dashboard {
    let (over, refresh) = match &sink.place {
        Place::Warehouse => (warehouse.to_owned(), LOCAL_REFRESH),
        Place::BigQuery(config) => {
            (format!("BigQuery {}.{}", config.project, sink.table.dataset), BIGQUERY_REFRESH)
        }
    };
    Dashboard {
        tables,
        dataset: sink.table.dataset.clone(),
        over,
        pipeline: None,
        folder: place::tiles(),
        refresh,
        reveals_payload: admin.reveal.iter().any(|column| column == "payload" || column == "*"),
    }
}

/// A dashboard over the local warehouse.
pub(super) fn local(tables: Tables, warehouse: &str) -> Dashboard {
    Dashboard {
        tables,
        dataset: DATASET.to_owned(),
        over: warehouse.to_owned(),
        pipeline: None,
        folder: place::tiles(),
        refresh: LOCAL_REFRESH,
        reveals_payload: false,
    }
}

/// Opens a page, where there is a browser to open it in.
pub(super) fn open_in_browser(address: &str) {
    if let Err(error) = open::that_detached(address) {
        tracing::debug!(%error, "no browser to open the dashboard in");
    }
}
