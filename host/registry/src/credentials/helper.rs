//! Docker's helpers, `docker-credential-NAME`: programs that keep credentials. One is asked by its standard input,
//! answers by its standard output, and has a minute for it.

use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Bytes of what a helper answers, at most.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// How long it is waited for: some ask the user first.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it has ended.
const OFTEN: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// Asks a helper for the name and the secret that it keeps of a registry.
pub(super) fn ask(helper: &str, key: &str) -> Result<Option<(String, String)>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if helper.is_empty() || !helper.bytes().all(plain) {
        return Err("the name of a helper in Docker's configuration is none".to_owned());
    }
    let program = format!("docker-credential-{helper}");
    let mut command = Command::new(&program);
    // Secrets of plugins and keys of the host are nothing to it.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CLICKMILL_") {
            command.env_remove(name);
        }
    }
    let (ended, answer) = match answer(command.arg("get"), key, PATIENCE) {
        Ok(answered) => answered,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            tracing::warn!(program, "Docker's configuration names a helper that is not installed");
            return Ok(None);
        }
        Err(error) => return Err(format!("`{program}` does not answer: {error}")),
    };
    if !ended.success() {
        // So it says that it has none.
        return Ok(None);
    }
    let Kept { username, secret } = serde_json::from_slice(&answer)
        .map_err(|_| format!("`{program}` does not answer as helpers do"))?;
    Ok(Some((username, secret)))
}

/// What a program answers, and how it has ended. One that takes longer is ended.
fn answer(
    command: &mut Command,
    key: &str,
    patience: Duration,
) -> io::Result<(ExitStatus, Vec<u8>)> {
    let late = Instant::now() + patience;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (input, output, key) = (child.stdin.take(), child.stdout.take(), key.to_owned());
    let (says, said) = mpsc::channel();
    // What it has started may keep the pipes open after it: only this thread waits for them.
    thread::spawn(move || {
        if let Some(mut input) = input {
            // One that wants no input has closed it.
            let _ = input.write_all(key.as_bytes());
        }
        let mut answer = Vec::new();
        let output = output.map(|output| output.take(MAX_ANSWER_BYTES));
        let read = output.map_or(Ok(0), |mut output| output.read_to_end(&mut answer));
        // Whoever asked may not wait any more.
        let _ = says.send(read.map(|_| answer));
    });
    let answer = match said.recv_timeout(patience) {
        Ok(answer) => ended(&mut child, late).and_then(|ended| Ok((ended, answer?))),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    };
    if answer.is_err() {
        // It may have ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
    }
    answer.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => io::Error::other(format!("it has not ended after {patience:?}")),
        _ => error,
    })
}

fn ended(child: &mut Child, late: Instant) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= late {
            return Err(ErrorKind::TimedOut.into());
        }
        thread::sleep(OFTEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_shell(script: &str, key: &str, patience: Duration) -> Result<(bool, Vec<u8>), String> {
        let answer = answer(Command::new("sh").args(["-c", script]), key, patience);
        answer.map(|(ended, answer)| (ended.success(), answer)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_helper_is_asked_and_answers() {
        let patience = Duration::from_secs(600);
        let long = "k".repeat(200_000);
        for (script, key, wanted) in [
            ("cat", "localhost", "localhost"),
            // More than a pipe holds, and nobody reads it.
            ("echo no", long.as_str(), "no\n"),
            ("exec 0<&-; echo no", "localhost", "no\n"),
        ] {
            let answer = of_shell(script, key, patience);
            assert_eq!(answer, Ok((true, wanted.as_bytes().to_vec())), "{script}");
        }
        let (is_well, endless) = of_shell("exec yes", "localhost", patience).unwrap();
        assert_eq!((is_well, endless.len() as u64), (false, MAX_ANSWER_BYTES));
    }

    #[test]
    fn a_helper_that_does_not_end_is_not_waited_for() {
        // Before it answers, after that, and what it has started.
        for script in ["exec sleep 1000", "exec >&-; exec sleep 1000", "sleep 20; :"] {
            let told = of_shell(script, "localhost", Duration::from_millis(300));
            assert_eq!(told, Err("it has not ended after 300ms".to_owned()), "{script}");
        }
    }
}
