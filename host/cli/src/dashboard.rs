//! `clickmill dashboard`: the dashboard without a running pipeline, and links that open any dashboard.

mod looker;

use std::io::{IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::Args;

use super::admin::{Admin, reachable};
use super::duration::duration;
use super::{Exit, Failure, place, running};
use clickmill_admin as admin;
use clickmill_admin::Interface;
use clickmill_admin::wire::LinkBody;
use clickmill_config as config;
use clickmill_config::{Listen, Pipeline, Place, Sink, Token};
use clickmill_dashboard::{Dashboard, Folder};
use clickmill_pipeline::AuditSink;
use clickmill_sink::Tables;

const EXAMPLES: &str = "\
Examples:
  clickmill dashboard
  clickmill dashboard --open
  clickmill dashboard host/pipelines/stream_gcp.toml
  clickmill dashboard host/pipelines/stream_gcp.toml --looker
  clickmill dashboard --link
  clickmill dashboard --listen 0.0.0.0:7628 --token-file reader.token \\
      --host clicks.example.com

A running stream serves its own dashboard, with a page on the pipeline: its address is told at the start. A page wants to be opened by a link that works once, within ten minutes: it is told on a terminal, and --link prints another. Until its tab is closed the browser may look then, and change nothing.";

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

    /// Where to listen; beyond loopback only with a token
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7628")]
    listen: SocketAddr,

    /// File with a token that readers may show too; with --link, that of the process
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Environment variable with that token
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    token_env: Option<String>,

    /// A name by which readers reach it, beside loopback and the address it listens on; may be repeated
    #[arg(long = "host", value_name = "NAME", value_parser = host)]
    hosts: Vec<String>,

    /// How often the page asks for new numbers (default: 5s, over BigQuery 60s: each time is a query per tile)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
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

    /// Print a link that opens the dashboard of a process that runs, once, and end
    #[arg(long, conflicts_with_all = ["pipeline", "looker"])]
    link: bool,

    /// With --link: address of that process, as it says at its start; all that run here without it
    #[arg(long = "admin", value_name = "HOST:PORT", env = "CLICKMILL_ADMIN")]
    admin: Option<String>,
}

impl Serve {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        if self.link {
            return self.print_links();
        }
        let read = |path: &PathBuf| place::read_pipeline(path, &self.set);
        let pipeline = self.pipeline.as_ref().map(read).transpose()?;
        if self.looker {
            return print_looker_link(pipeline.as_ref());
        }
        let config = self.admin_config(pipeline.as_ref())?;
        let runtime = tokio::runtime::Runtime::new()?;
        let open = |place, warehouse| runtime.block_on(Tables::open(place, warehouse));
        let mut dashboard = match &pipeline {
            Some(pipeline) => {
                let tables = open(&pipeline.sink.place, warehouse)?;
                over(tables, &pipeline.sink, &pipeline.admin, warehouse)
            }
            None => local(open(&Place::Warehouse, warehouse)?, warehouse),
        };
        if let Some(folder) = self.tiles {
            if !folder.is_dir() {
                return Err(Failure::bad_input(format!("`{}` is not a folder", folder.display())));
            }
            dashboard.folder = Folder::At(folder);
        }
        dashboard.refresh = self.refresh.unwrap_or(dashboard.refresh).max(Duration::from_secs(1));
        // Of the pipeline whose letters are shown.
        let audit = pipeline.as_ref().filter(|_| dashboard.reveals_payload).map(|pipeline| {
            let (tables, target) = (&dashboard.tables, &pipeline.sink.table);
            AuditSink::open(&place::audit(), &pipeline.name, tables, target, runtime.handle())
        });
        let audit = audit.transpose()?.map(Arc::new);
        let _kept = audit.as_ref().map(AuditSink::kept);
        let Some(interface) = admin::start(&config, dashboard, None, audit)? else {
            return Ok(());
        };
        // Both until the end.
        let _announced = running::announce(None, &interface);
        tell(&interface, "   (Ctrl-C ends it)", self.open);
        let (ended, end) = mpsc::channel();
        let set = ctrlc::set_handler(move || {
            let _ = ended.send(());
        });
        set.map_err(|error| Failure::new(Exit::Environment, error))?;
        // The handler lives as long as the process.
        let _ = end.recv();
        Ok(())
    }

    /// How the page is served.
    fn admin_config(&self, pipeline: Option<&Pipeline>) -> Result<config::Admin, Failure> {
        let variable = self.token_env.clone().map(Token::Variable);
        let token = self.token_file.clone().map(Token::File).or(variable);
        if !self.listen.ip().is_loopback() && token.is_none() {
            return Err(Failure::bad_input(format!("{} is an address that others reach", self.listen)).hint(
                "name a file or variable with a token: --token-file FILE or --token-env NAME; `openssl rand -hex 32` makes one",
            ));
        }
        let named = pipeline.into_iter().flat_map(|pipeline| &pipeline.admin.hosts);
        Ok(config::Admin {
            listen: Listen::At(self.listen),
            strict_port: true,
            // There is nothing to operate.
            token: None,
            reader_token: token,
            hosts: self.hosts.iter().chain(named).cloned().collect(),
            reveal: Vec::new(),
            max_freshness: None,
        })
    }

    /// Prints a link for each dashboard that is asked for.
    fn print_links(self) -> Result<(), Failure> {
        let running = running::all().into_iter().map(|said| said.admin.to_string());
        let addresses = self.admin.map_or_else(|| running.collect(), |named| vec![named]);
        if addresses.is_empty() {
            let error = anyhow::anyhow!("no dashboard runs here that you have started");
            return Err(Failure::new(Exit::Environment, error).hint(
                "clickmill dashboard --open starts one; --admin HOST:PORT names one that runs elsewhere",
            ));
        }
        for address in addresses {
            let admin = Admin::at(address, self.token_file.clone());
            let link: LinkBody = admin.post("/v1/links", &serde_json::json!({}))?;
            let link = format!("http://{}{}", reachable(admin.address()), link.path);
            println!("{link}");
            if self.open {
                open_in_browser(&link);
            }
        }
        Ok(())
    }
}

/// Prints a link that makes a report in Looker Studio.
fn print_looker_link(pipeline: Option<&Pipeline>) -> Result<(), Failure> {
    let link = pipeline.and_then(|pipeline| looker::link(&pipeline.sink));
    let link = link.ok_or_else(|| {
        Failure::bad_input("Looker Studio reads BigQuery, and there is none to read").hint(
            "name a pipeline file that writes to BigQuery, such as host/pipelines/stream_gcp.toml",
        )
    })?;
    println!("{link}");
    eprintln!(
        "it opens a report on the views that `clickmill tables apply` makes; sql/README.md says which view feeds which chart"
    );
    Ok(())
}

/// Reads a host name.
fn host(text: &str) -> Result<String, String> {
    let wanted = "wanted a name such as clicks.example.com, without a port";
    config::is_host(text).then(|| text.to_ascii_lowercase()).ok_or_else(|| wanted.to_owned())
}

/// Says where the dashboard is. Its link is for who sits at the terminal: what is no terminal may be a log,
/// which others read.
pub(super) fn tell(interface: &Interface, more: &str, open: bool) {
    let address = reachable(&interface.address().to_string());
    if stderr().is_terminal() {
        eprintln!("dashboard: http://{address}{}{more}", interface.link());
    } else {
        eprintln!("dashboard: http://{address}/{more}");
        eprintln!("`clickmill dashboard --link --admin {address}` prints a link that opens it");
    }
    if open {
        open_in_browser(&format!("http://{address}{}", interface.link()));
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
        dataset: place::DATASET.to_owned(),
        over: warehouse.to_owned(),
        pipeline: None,
        folder: place::tiles(),
        refresh: LOCAL_REFRESH,
        reveals_payload: false,
    }
}

/// Opens a page, where there is a browser to open it in. Others on this machine may see the link among the
/// arguments of the browser: it works once, and if they are faster, nothing is left to them of it.
pub(super) fn open_in_browser(address: &str) {
    if let Err(error) = open::that_detached(address) {
        tracing::debug!(%error, "no browser to open the dashboard in");
    }
}
