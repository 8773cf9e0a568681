//! What a caller shows: tokens that the pipeline file names, one that the process makes for those on its
//! machine, and those of browsers, each handed out once against the code of a link.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use blake3::Hash;

use super::AdminError;
use clickmill_config as config;
use clickmill_config::Token;
use clickmill_core::{lock, private};

/// How long a link works that nobody has opened.
pub(super) const LINK_LIFE: Duration = Duration::from_secs(600);
/// Links that wait to be opened, at most: the oldest gives way.
const MAX_LINKS: usize = 16;
/// Browsers that are known, at most: the oldest gives way.
const MAX_BROWSERS: usize = 64;
/// The least that a token may have, in bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// What somebody who is let in may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Look: status, taps, tiles, letters. It came in by a link and makes no other: where that link was
    /// somebody else's, nothing is left of whoever opened it once it is taken back.
    Browser,
    /// Look, and make links.
    Reader,
    /// That, and change what runs.
    Operator,
}

/// All tokens. They are kept as digests, which are compared in the same time, whatever is shown.
pub(super) struct Tokens {
    known: Vec<(Hash, Role)>,
    handed_out: Mutex<Issued>,
}

/// Links and browsers, the oldest first.
#[derive(Default)]
struct Issued {
    links: Vec<Link>,
    browsers: Vec<Hash>,
}

/// A link that was made.
struct Link {
    code: Hash,
    made: Instant,
    /// The token of the browser that has opened it.
    opened: Option<Hash>,
}

impl Tokens {
    /// The tokens that a configuration names, and one of an operator that is made now and returned.
    pub(super) fn new(config: &config::Admin) -> Result<(Self, String), AdminError> {
        let made = secret();
        let read = |token: &Option<Token>| {
            if let Some(Token::File(path)) = token
                && private::is_open_to_others(path).unwrap_or(false)
            {
                tracing::warn!(
                    file = %path.display(),
                    "others on this machine may read or change the file of an admin token: `chmod 600` it"
                );
            }
            token.as_ref().map(read).transpose()
        };
        let (operators, readers) = (read(&config.token)?, read(&config.reader_token)?);
        if operators.is_some() && operators == readers {
            return Err(AdminError::TokensSame);
        }
        let of = |token: Option<String>, role| token.map(|token| (digest(&token), role));
        let known = [
            Some((digest(&made), Role::Operator)),
            of(operators, Role::Operator),
            of(readers, Role::Reader),
        ];
        let known = known.into_iter().flatten().collect();
        Ok((Self { known, handed_out: Mutex::default() }, made))
    }

    /// What whoever shows a token may do.
    pub(super) fn role(&self, shown: &str) -> Option<Role> {
        let shown = digest(shown);
        // All are compared: how long it takes says nothing of which it is.
        let named = self.known.iter().filter(|(token, _)| *token == shown).map(|(_, role)| *role);
        let browsers = lock(&self.handed_out).browsers.iter().filter(|b| **b == shown).count();
        named.chain((browsers > 0).then_some(Role::Browser)).max()
    }

    /// A code for a link, which works once.
    pub(super) fn link(&self) -> String {
        self.link_at(Instant::now())
    }

    fn link_at(&self, now: Instant) -> String {
        let code = secret();
        let links = &mut lock(&self.handed_out).links;
        links.retain(|link| now.duration_since(link.made) < LINK_LIFE);
        if links.len() >= MAX_LINKS {
            links.remove(0);
        }
        links.push(Link { code: digest(&code), made: now, opened: None });
        code
    }

    /// A token for the browser that opens a link; `None` where the code is none, too old, or was
    /// used. Whoever comes second may be the one whom the link was made for: then neither has a token.
    pub(super) fn open(&self, code: &str) -> Option<String> {
        self.open_at(code, Instant::now())
    }

    fn open_at(&self, code: &str, now: Instant) -> Option<String> {
        let code = digest(code);
        let Issued { links, browsers } = &mut *lock(&self.handed_out);
        links.retain(|link| now.duration_since(link.made) < LINK_LIFE);
        let link = links.iter_mut().find(|link| link.code == code)?;
        if let Some(first) = link.opened {
            browsers.retain(|browser| *browser != first);
            return None;
        }
        let token = secret();
        link.opened = Some(digest(&token));
        if browsers.len() >= MAX_BROWSERS {
            browsers.remove(0);
        }
        browsers.push(digest(&token));
        Some(token)
    }
}

fn digest(text: &str) -> Hash {
    blake3::hash(text.trim().as_bytes())
}

/// 256 random bits, as text.
fn secret() -> String {
    Hash::from_bytes(rand::random()).to_hex().to_string()
}

/// What is wrong with the tokens that a configuration names.
pub fn look(config: &config::Admin) -> Vec<AdminError> {
    let named = [&config.token, &config.reader_token].into_iter().flatten();
    named.filter_map(|token| read(token).err()).collect()
}

/// Reads a token that the configuration names.
fn read(token: &Token) -> Result<String, AdminError> {
    let (text, from) = match token {
        Token::File(path) => {
            let failed = |source| AdminError::TokenFile { path: path.clone(), source };
            let text = std::fs::read_to_string(path).map_err(failed)?;
            (text, format!("`{}`", path.display()))
        }
        Token::Variable(name) => {
            (std::env::var(name).unwrap_or_default(), format!("environment variable `{name}`"))
        }
    };
    let text = text.trim().to_owned();
    if text.len() < MIN_TOKEN_BYTES {
        return Err(AdminError::TokenShort { from, bytes: text.len() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clickmill_config::Listen;

    /// A configuration with these texts in files as tokens.
    fn config(folder: &std::path::Path, operators: &str, readers: &str) -> config::Admin {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            (!text.is_empty()).then_some(Token::File(path))
        };
        config::Admin {
            listen: Listen::Off,
            strict_port: false,
            token: file("operators", operators),
            reader_token: file("readers", readers),
            hosts: Vec::new(),
            reveal: Vec::new(),
            max_freshness: None,
        }
    }

    #[test]
    fn who_shows_which_token_may_do_what() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["an operator's token\n", "  a reader's token\n"];
        let (tokens, made) = Tokens::new(&config(folder.path(), one, other)).unwrap();
        assert!(made.len() >= 32, "{made}");
        for (shown, role) in [
            (made.as_str(), Some(Role::Operator)),
            ("an operator's token", Some(Role::Operator)),
            ("a reader's token", Some(Role::Reader)),
            (&made[1..], None),
            ("an operator's token!", None),
            ("", None),
        ] {
            assert_eq!(tokens.role(shown), role, "{shown}");
        }
        let (others, _) = Tokens::new(&config(folder.path(), "", "")).unwrap();
        assert_eq!(others.role(&made), None, "each process makes its own");
        assert_eq!(others.role("an operator's token"), None);
    }

    #[test]
    fn tokens_are_long_and_two() {
        let folder = tempfile::tempdir().unwrap();
        let short = Tokens::new(&config(folder.path(), "short", "")).err().unwrap();
        assert!(matches!(short, AdminError::TokenShort { bytes: 5, .. }), "{short}");
        let same = Tokens::new(&config(folder.path(), "one and the same", "one and the same\n"));
        assert!(matches!(same.err().unwrap(), AdminError::TokensSame));
    }

    #[test]
    fn a_link_works_once_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let (tokens, made) = Tokens::new(&config(folder.path(), "", "")).unwrap();
        let now = Instant::now();
        let code = tokens.link_at(now);
        assert_eq!(tokens.role(&code), None, "a code is no token");
        let browser = tokens.open_at(&code, now).unwrap();
        assert_eq!(tokens.role(&browser), Some(Role::Browser));
        assert_eq!(tokens.open_at(&browser, now), None, "a token is no code");
        assert_eq!(tokens.open_at(&made, now), None);
        // Somebody has seen the link: it is not known who was first.
        assert_eq!(tokens.open_at(&code, now), None);
        assert_eq!(tokens.role(&browser), None);
        let late = tokens.link_at(now);
        assert_eq!(tokens.open_at(&late, now + LINK_LIFE), None);
        // What is long over takes nothing back.
        let code = tokens.link_at(now);
        let browser = tokens.open_at(&code, now).unwrap();
        assert_eq!(tokens.open_at(&code, now + LINK_LIFE), None);
        assert_eq!(tokens.role(&browser), Some(Role::Browser));
    }

    #[test]
    fn links_and_browsers_are_bounded_and_the_newest_work() {
        let folder = tempfile::tempdir().unwrap();
        let (tokens, _) = Tokens::new(&config(folder.path(), "", "")).unwrap();
        let codes: Vec<String> = (0..=MAX_LINKS).map(|_| tokens.link()).collect();
        assert_eq!(tokens.open(&codes[0]), None);
        assert!(codes[1..].iter().all(|code| tokens.open(code).is_some()));
        let open = |_| tokens.open(&tokens.link()).unwrap();
        let browsers: Vec<String> = (0..=MAX_BROWSERS).map(open).collect();
        assert_eq!(tokens.role(&browsers[0]), None);
        assert!(browsers[1..].iter().all(|browser| tokens.role(browser).is_some()));
    }
}
