//! What `clickmill top` shows.

use std::borrow::Cow;

use indicatif::{HumanBytes, HumanCount};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, Wrap};

use super::seen::Seen;
use clickmill_admin::wire::{StatusBody, TableBody};
use clickmill_core::terminal;

/// Which of several pipelines it is.
pub(super) struct Place<'a> {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Where its admin interface is.
    pub admin: &'a str,
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen, place: &Place<'_>) {
    let status = &seen.status;
    let plugins = status.plugins.len() as u16 + 3;
    let versions = seen.versions.len() as u16 + 3;
    let [head, flow, curves, table, history, rejects] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(
            5 + u16::from(status.records.is_some()) + u16::from(status.tables.len() > 1),
        ),
        Constraint::Length(5),
        Constraint::Length(plugins),
        Constraint::Length(versions),
        Constraint::Min(3),
    ])
    .areas(frame.area());
    frame.render_widget(header(seen, place), head);
    frame.render_widget(flowing(status), flow);
    draw_curves(frame, seen, curves);
    frame.render_widget(plugin_table(status), table);
    frame.render_widget(version_table(seen), history);
    frame.render_widget(reasons(status, rejects), rejects);
    // Control characters are not drawn. Those that turn the direction of writing have no width, and would go
    // along with the character before them.
    for cell in &mut frame.buffer_mut().content {
        if let Cow::Owned(_) = terminal::shown(cell.symbol()) {
            cell.set_symbol("?");
        }
    }
}

fn header(seen: &Seen, place: &Place<'_>) -> Paragraph<'static> {
    let status = &seen.status;
    let standing = match (&seen.lost, status.ready) {
        (Some(_), _) => Span::from(" LOST ").black().on_yellow(),
        (None, true) => Span::from(" READY ").black().on_green(),
        (None, false) => Span::from(" NOT READY ").white().on_red(),
    };
    let name = Line::from(vec![
        Span::from(status.pipeline.clone()).bold(),
        "  ".into(),
        standing,
        format!("  {} → {} {}", status.source, status.sink, status.table).into(),
        match place.of {
            1 => Span::default(),
            of => format!("  {}, {} of {of}, Tab for the next", place.admin, place.number).into(),
        },
    ]);
    let problem = match &seen.lost {
        Some(lost) => lost.lines().next().unwrap_or_default().to_owned(),
        None => status.problems.join("; "),
    };
    Paragraph::new(vec![name, Line::from(problem).red()]).wrap(Wrap { trim: true })
}

fn flowing(status: &StatusBody) -> Paragraph<'static> {
    let count = |number: u64| HumanCount(number).to_string();
    let seconds =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} s"));
    let latency = status
        .latency_ms
        .map_or("-".to_owned(), |latency| format!("{} / {} ms", latency.p50, latency.p99));
    let queues: Vec<String> =
        status.queues.iter().map(|queue| format!("{} {}", queue.name, queue.length)).collect();
    let mut lines = vec![
        Line::from(format!(
            "in {} ({:.0}/s)   out {} ({:.0}/s)   rejected {} ({:.1}/s)   filtered {}   in hand {}",
            count(status.rows_in),
            status.rates.rows_in,
            count(status.rows_out),
            status.rates.rows_out,
            count(status.rows_rejected),
            status.rates.rows_rejected,
            count(status.rows_filtered),
            count(status.rows_in_hand),
        )),
        Line::from(format!(
            "freshness {}   oldest unacknowledged {}   latency p50 / p99 {latency}",
            seconds(status.freshness_secs),
            seconds(status.oldest_unacknowledged_secs),
        )),
        Line::from(format!(
            "{} in {} batches   waiting: {}   retries {}   spooled {}   repeated {}",
            HumanBytes(status.bytes),
            count(status.batches),
            queues.join(", "),
            count(status.retries),
            count(status.spooled),
            count(status.repeated),
        )),
    ];
    if let Some(records) = status.records {
        let line = format!(
            "{} more rows made of records   records: {} with rows   {} with letters only   {} filtered whole",
            count(status.rows_made),
            count(records.with_rows),
            count(records.with_letters_only),
            count(records.filtered_whole),
        );
        lines.insert(1, Line::from(line));
    }
    if status.tables.len() > 1 {
        let table = |table: &TableBody| format!("{} {}", table.table, count(table.rows));
        let tables: Vec<String> = status.tables.iter().map(table).collect();
        lines.push(Line::from(format!("tables: {}", tables.join("   "))));
    }
    Paragraph::new(lines).block(titled("flow"))
}

fn draw_curves(frame: &mut Frame<'_>, seen: &Seen, area: Rect) {
    let halves = Layout::horizontal([Constraint::Percentage(50); 2]).spacing(2).areas(area);
    let [rows, rejects]: [Rect; 2] = halves;
    for (title, rates, color, area) in [
        ("rows out a second", &seen.rates, Color::Green, rows),
        ("rejected a second", &seen.rejects, Color::Red, rejects),
    ] {
        let width = usize::from(area.width);
        let last: Vec<u64> = rates.iter().rev().take(width).rev().copied().collect();
        let most = last.iter().max().copied().unwrap_or(0);
        let title = format!("{title}, at most {}", HumanCount(most));
        let curve = Sparkline::default().data(last).style(Style::new().fg(color));
        frame.render_widget(curve.block(titled(&title)), area);
    }
}

fn plugin_table(status: &StatusBody) -> Table<'static> {
    let million = |cost: f64, rows: u64| cost / rows.max(1) as f64 * 1e6;
    let rows = status.plugins.iter().map(|plugin| {
        let row = Row::new([
            Cell::from(plugin.stage.clone()),
            Cell::from(format!("{} {}", plugin.plugin, plugin.version)),
            Cell::from(plugin.standing.clone()),
            Cell::from(HumanCount(plugin.rows).to_string()),
            Cell::from(HumanCount(plugin.rejected).to_string()),
            Cell::from(HumanCount(plugin.faults).to_string()),
            Cell::from(format!("{:.2} s", million(plugin.seconds, plugin.rows))),
            Cell::from(HumanCount(million(plugin.fuel as f64, plugin.rows) as u64).to_string()),
            Cell::from(HumanBytes(plugin.memory_bytes as u64).to_string()),
        ]);
        match plugin.faults {
            0 => row,
            _ => row.style(Style::new().fg(Color::Red)),
        }
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Min(14),
        Constraint::Length(8),
        Constraint::Length(13),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(15),
        Constraint::Length(10),
    ];
    Table::new(rows, widths)
        .header(titles([
            "stage",
            "plugin",
            "runs as",
            "rows",
            "rejected",
            "faults",
            "s/million",
            "fuel/million",
            "memory",
        ]))
        .block(titled("plugins"))
}

fn version_table(seen: &Seen) -> Table<'static> {
    let rows = seen.versions.iter().map(|version| {
        let share = version.rejected as f64 / version.rows.max(1) as f64 * 100.0;
        let said = version.reason.clone().unwrap_or_else(|| version.changes.join("; "));
        Row::new([
            Cell::from(version.number.to_string()),
            Cell::from(version.plugin_set.chars().take(8).collect::<String>()),
            Cell::from(version.standing.clone()),
            Cell::from(version.actor.clone()),
            Cell::from(HumanCount(version.rows).to_string()),
            Cell::from(format!("{share:.2} %")),
            Cell::from(said),
        ])
    });
    let widths = [
        Constraint::Length(4),
        Constraint::Length(9),
        Constraint::Length(11),
        Constraint::Length(18),
        Constraint::Length(13),
        Constraint::Length(9),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths)
        .header(titles(["no", "set", "standing", "by", "rows", "rejected", "why"]))
        .block(titled("versions, the newest first"))
}

fn reasons(status: &StatusBody, area: Rect) -> Table<'static> {
    let mut reasons: Vec<_> = status.rejected_by.iter().collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.rows));
    let most = usize::from(area.height).saturating_sub(2);
    let rows = reasons.into_iter().take(most).map(|reason| {
        Row::new([
            Cell::from(HumanCount(reason.rows).to_string()),
            Cell::from(reason.stage.clone()),
            Cell::from(reason.code.clone()),
        ])
    });
    let widths = [Constraint::Length(13), Constraint::Length(12), Constraint::Fill(1)];
    Table::new(rows, widths).block(titled("rejected by stage and code"))
}

fn titled(title: &str) -> Block<'static> {
    let style = Style::new().add_modifier(Modifier::BOLD);
    Block::new()
        .borders(ratatui::widgets::Borders::TOP)
        .title(Span::styled(format!(" {title} "), style))
}

fn titles<const N: usize>(titles: [&'static str; N]) -> Row<'static> {
    Row::new(titles).style(Style::new().add_modifier(Modifier::DIM))
}
