//! Grants as a table to read: role and resource on a line, what it is for on the next.

use std::fmt;

use super::{Access, Condition, Grant, Members, Principal, ReaderAccess, nothing, one_line};

/// The grants, the views and the notes.
#[derive(Debug)]
pub struct Listing<'a>(pub &'a Access, pub &'a Members);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(access, members) = self;
        if access.grants.is_empty() {
            writeln!(f, "{}", nothing(access))?;
        }
        let width = access.grants.iter().map(|grant| grant.role.len()).max().unwrap_or_default();
        let who = [
            (Principal::Host, "host", &members.host),
            (Principal::Readers, "readers", &members.readers),
        ];
        for (who, title, member) in who {
            if access.of(who).next().is_none() {
                continue;
            }
            writeln!(f, "{title}  {}\n", one_line(member))?;
            for grant in access.of(who) {
                writeln!(f, "  {:width$}  {}", grant.role, one_line(&grant.on.to_string()))?;
                writeln!(f, "      {}", one_line(&why(grant)))?;
            }
            writeln!(f)?;
        }
        for view in &access.views {
            writeln!(
                f,
                "view without sensitive columns, authorised on the dataset {}\n",
                view.of.dataset
            )?;
            for line in view.create().lines() {
                writeln!(f, "  {line}")?;
            }
            writeln!(f)?;
        }
        if !access.notes.is_empty() {
            writeln!(f, "notes\n")?;
        }
        for note in &access.notes {
            writeln!(f, "- {}", one_line(note))?;
        }
        Ok(())
    }
}

/// What a grant is for, and when.
fn why(grant: &Grant) -> String {
    let mut when = Vec::new();
    for one in &grant.when {
        match one {
            // Who reads this sees that there is nothing yet to grant a role on.
            Condition::Exists(_) => {}
            Condition::Missing(_) => when.push("first run only".to_owned()),
            Condition::ReadersOf(ReaderAccess::Table) => {
                when.push("readers of the table".to_owned())
            }
            Condition::ReadersOf(ReaderAccess::View) => when.push("readers of the view".to_owned()),
            Condition::Opened(tag) => when.push(format!("who may see `{tag}`")),
        }
    }
    if when.is_empty() { grant.why.clone() } else { format!("{} [{}]", grant.why, when.join(", ")) }
}
