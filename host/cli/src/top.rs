//! `clickmill top`: how the pipelines that run on this machine do, live on a terminal.

mod draw;
mod seen;

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};

use super::admin::{Admin, USUAL};
use super::{Exit, Failure, running};
use draw::Place;
use seen::{EVERY, Seen};

const EXAMPLES: &str = "\
Examples:
  clickmill top
  clickmill top --admin 127.0.0.1:41233
  clickmill top --json | jq .rates

Tab shows the next pipeline where several run; q, Esc or Ctrl-C ends it. Where standard output is not a terminal, it prints once and ends. Pipelines that others run, or that run elsewhere, are named by --admin.";

/// Shows how the pipelines that you run on this machine do: rates, latency, plugins, swaps, rejects
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Top {
    /// Print the numbers once as JSON, an object a line for each pipeline
    #[arg(long)]
    json: bool,

    /// Address of the admin interface of one pipeline, as it says at its start; all that run here are
    /// shown without it
    #[arg(long = "admin", value_name = "HOST:PORT", env = "CLICKMILL_ADMIN")]
    address: Option<String>,

    /// File with a token of the pipeline; else the environment variable CLICKMILL_ADMIN_TOKEN; else that of a
    /// pipeline that you run on this machine is found by itself
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Top {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let admins = self.admins();
        if self.json {
            return each(&admins, |admin| {
                let mut status: serde_json::Value = admin.get("/v1/status")?;
                status["admin"] = admin.address().into();
                println!("{status}");
                Ok(())
            });
        }
        if !stdout().is_terminal() {
            return each(&admins, |admin| {
                println!("{}", printed(&Seen::first(admin)?, admin.address())?);
                Ok(())
            });
        }
        let mut all = Vec::new();
        let looked = each(&admins, |admin| {
            all.push((admin, Seen::first(admin)?));
            Ok(())
        });
        if all.is_empty() {
            return looked;
        }
        show(all)
    }

    /// Whom to ask: the one that is named, or all that run here.
    fn admins(&self) -> Vec<Admin> {
        let at = |address: String| Admin::at(address, self.token_file.clone());
        let found = match &self.address {
            Some(address) => vec![at(address.clone())],
            None => {
                let pipelines = running::all().into_iter().filter(|said| said.pipeline.is_some());
                pipelines.map(|said| at(said.admin.to_string())).collect()
            }
        };
        if found.is_empty() { vec![at(USUAL.to_owned())] } else { found }
    }
}

/// Does something for each, which fails where it does for all. Of several that fail, or fail beside others
/// that do not, each is told: it may have ended by now, or want a token.
fn each<'a>(
    admins: &'a [Admin],
    mut done: impl FnMut(&'a Admin) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failed: Vec<Failure> = admins.iter().filter_map(|admin| done(admin).err()).collect();
    let last = if failed.len() == admins.len() { failed.pop() } else { None };
    for failure in failed {
        eprintln!("{failure}");
    }
    last.map_or(Ok(()), Err)
}

/// Shows one of them at a time, until a key ends it.
fn show(mut all: Vec<(&Admin, Seen)>) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Environment, error);
    let mut terminal = ratatui::try_init()?;
    let mut at = 0;
    let shown = loop {
        let (admin, seen) = &all[at];
        let place = Place { number: at + 1, of: all.len(), admin: admin.address() };
        if let Err(error) = terminal.draw(|frame| draw::draw(frame, seen, &place)) {
            break Err(failed(error));
        }
        match wait(EVERY) {
            Ok(Pressed::Nothing) => all.iter_mut().for_each(|(admin, seen)| seen.look(admin)),
            Ok(Pressed::Next) => at = (at + 1) % all.len(),
            Ok(Pressed::End) => break Ok(()),
            Err(error) => break Err(failed(error)),
        }
    };
    ratatui::restore();
    shown
}

/// What the keys that were pressed ask for.
enum Pressed {
    Nothing,
    Next,
    End,
}

/// Waits for a key, for so long at most.
fn wait(time: Duration) -> std::io::Result<Pressed> {
    let until = Instant::now() + time;
    while event::poll(until.saturating_duration_since(Instant::now()))? {
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Ok(Pressed::End);
            }
            KeyCode::Char('q') | KeyCode::Esc => return Ok(Pressed::End),
            KeyCode::Tab => return Ok(Pressed::Next),
            _ => {}
        }
    }
    Ok(Pressed::Nothing)
}

/// What a terminal would show, as text.
fn printed(seen: &Seen, admin: &str) -> Result<String, Failure> {
    let (width, height) = (100, 40);
    let mut terminal = Terminal::new(TestBackend::new(width, height))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    terminal
        .draw(|frame| draw::draw(frame, seen, &Place { number: 1, of: 1, admin }))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let buffer = terminal.backend().buffer();
    let line = |row: u16| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    let lines: Vec<String> = (0..height).map(line).collect();
    Ok(lines.join("\n").trim_end().to_owned())
}
