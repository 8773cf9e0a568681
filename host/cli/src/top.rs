//! `clickmill top`: how a running pipeline does, live on a terminal.

mod draw;
mod seen;

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};

use super::admin::Admin;
use super::{Exit, Failure};
use seen::{EVERY, Seen};

const EXAMPLES: &str = "\
Examples:
  clickmill top
  clickmill top --admin 127.0.0.1:41233
  clickmill top --json | jq .rates

q, Esc or Ctrl-C ends it. Where standard output is no terminal, it prints once and ends.";

/// Shows how a running pipeline does: rates, latency, plugins, swaps, rejects
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Top {
    /// Print the numbers once as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: Admin,
}

impl Top {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.json {
            let status: serde_json::Value = self.admin.get("/v1/status")?;
            println!("{status}");
            return Ok(());
        }
        let mut seen = Seen::first(&self.admin)?;
        if !stdout().is_terminal() {
            println!("{}", printed(&seen)?);
            return Ok(());
        }
        let mut terminal = ratatui::try_init()?;
        let shown = loop {
            if let Err(error) = terminal.draw(|frame| draw::draw(frame, &seen)) {
                break Err(Failure::new(Exit::Environment, error));
            }
            match is_ended(EVERY) {
                Ok(false) => seen.look(&self.admin),
                Ok(true) => break Ok(()),
                Err(error) => break Err(Failure::new(Exit::Environment, error)),
            }
        };
        ratatui::restore();
        shown
    }
}

/// Waits, and says whether somebody ended it meanwhile.
fn is_ended(patience: Duration) -> std::io::Result<bool> {
    let until = Instant::now() + patience;
    while event::poll(until.saturating_duration_since(Instant::now()))? {
        let Event::Key(key) = event::read()? else { continue };
        let interrupt =
            key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        let quit = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
        if key.kind == KeyEventKind::Press && (quit || interrupt) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a terminal would show, as text.
fn printed(seen: &Seen) -> Result<String, Failure> {
    let (width, height) = (100, 40);
    let mut terminal = Terminal::new(TestBackend::new(width, height))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    terminal
        .draw(|frame| draw::draw(frame, seen))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let buffer = terminal.backend().buffer();
    let line = |row: u16| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    let lines: Vec<String> = (0..height).map(line).collect();
    Ok(lines.join("\n").trim_end().to_owned())
}
