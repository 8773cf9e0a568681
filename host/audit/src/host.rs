//! Where a chain is written: what its machine is called, by others and by itself.

use std::fmt;
use std::path::Path;

/// The most that is told of a machine's name.
const MAX_NAME_BYTES: usize = 64;
/// What the digest of a machine's id is for: the id itself is confidential (`machine-id(5)`).
const PURPOSE: &str = "clickmill 2026-11-26 audit log, machine id";

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What the network calls it. Its operator may rename it.
    pub name: String,
    /// What it calls itself since it was installed, digested: 16 hexadecimal digits. Containers of one
    /// image may share it, or have none.
    pub machine: Option<String>,
}

impl Host {
    /// This machine, as its kernel names it: environment variables may say anything.
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
        let told = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let name = ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter();
        let name = name.filter_map(read).find_map(told);
        let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter();
        let machine = machine.filter_map(read).find_map(told);
        Self::of(name.as_deref().unwrap_or("unknown"), machine.as_deref())
    }

    fn of(name: &str, machine: Option<&str>) -> Self {
        // What is told of it is found again by what stands around it.
        let fine = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let digest = |machine: &str| {
            let digest = blake3::derive_key(PURPOSE, machine.as_bytes());
            digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Self {
            name: name.chars().take(MAX_NAME_BYTES).map(fine).collect(),
            machine: machine.map(digest),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", self.name)?;
        match &self.machine {
            Some(machine) => write!(f, ", machine {machine}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_by_a_name_that_stands_for_nothing_else() {
        let host = Host::of("web-1; chain\n9", Some("b08dfa6083e7567a1921a715000001fb"));
        assert_eq!(host.name, "web-1__chain_9");
        let told = host.to_string();
        assert!(told.starts_with("host web-1__chain_9, machine "), "{told}");
        assert!(!told.contains("b08dfa60"), "{told}");
        assert_eq!(Host::of(&"x".repeat(300), None).to_string().len(), "host ".len() + 64);
        assert_eq!(Host::here(), Host::here());
    }
}
