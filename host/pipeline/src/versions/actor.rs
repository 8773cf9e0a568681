//! Who changes something: as they call themselves, and as the server knows them.

use clickmill_audit::{MAX_NAME_BYTES, one_line};

/// What the host calls itself, where it takes over, or back, by itself.
pub(crate) const HOST: &str = "clickmill";
/// What it calls itself where it takes up what has changed.
pub(crate) const WATCH: &str = "watch";
/// Who is said to have made the set of the pipeline file.
pub(crate) const FILE: &str = "pipeline file";

/// Who changes something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// A name. A caller from outside is called what it claims to be.
    pub name: String,
    /// What the server knows of the caller, such as `from 127.0.0.1:52044 as operator`; none of the host
    /// itself.
    pub caller: Option<String>,
}

/// A caller goes by a name of the host's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`actor` is `{0}`, as the host calls itself: name whoever asks")]
pub struct ReservedName(String);

impl Actor {
    /// The host itself, by one of its names.
    pub(crate) fn host(name: &str) -> Self {
        Self { name: name.to_owned(), caller: None }
    }

    /// Whoever calls, by the name that they claim.
    ///
    /// # Errors
    ///
    /// Where the host itself is called that.
    pub fn claimed(name: &str, caller: String) -> Result<Self, ReservedName> {
        let name = match one_line(name, MAX_NAME_BYTES) {
            name if name.is_empty() => "unknown".to_owned(),
            name => name,
        };
        if [HOST, WATCH, FILE].iter().any(|own| own.eq_ignore_ascii_case(&name)) {
            return Err(ReservedName(name));
        }
        Ok(Self { name, caller: Some(caller) })
    }

    /// Parts of an entry's detail that say something, in one text. What the server knows comes first: no
    /// claim can stand before it.
    pub(crate) fn detail(&self, parts: &[&str]) -> String {
        let parts = self.caller.as_deref().into_iter().chain(parts.iter().copied());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_goes_by_any_name_but_the_hosts_own() {
        let named = |name: &str| Actor::claimed(name, "from here".to_owned()).map(|a| a.name);
        assert_eq!(named("ada@web-1").as_deref(), Ok("ada@web-1"));
        assert_eq!(named("").as_deref(), Ok("unknown"));
        assert_eq!(named("a\nb").as_deref(), Ok("a b"));
        for reserved in ["watch", "WATCH", " clickmill\n", "clickmill\u{200b}", "Pipeline File"] {
            let error = named(reserved).unwrap_err().to_string();
            assert!(error.ends_with("as the host calls itself: name whoever asks"), "{error}");
        }
    }

    #[test]
    fn what_the_server_knows_comes_first() {
        let actor = Actor::claimed("ada", "from 127.0.0.1:9 as operator".to_owned()).unwrap();
        let note = "from 10.0.0.1:1 as operator";
        assert_eq!(
            actor.detail(&["", "all batches", note]),
            "from 127.0.0.1:9 as operator; all batches; from 10.0.0.1:1 as operator"
        );
        assert_eq!(Actor::host(WATCH).detail(&["all batches"]), "all batches");
    }
}
