//! A headless Chromium, driven by the WebDriver protocol. It is installed with apt where that is there
//! and allowed, and the test is not run, and says so, where it is not.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::emulators::{free_port, request};
use crate::support::{Interface, Process, installed, not_run};

/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser window.
pub(crate) struct Browser {
    _driver: Process,
    address: String,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a window. `None`, with the reason printed, where there is no Chromium.
    pub(crate) fn open(test: &str) -> Option<Self> {
        let Some((chromium, driver)) = programs() else {
            not_run(test, "Chromium is missing: `apt-get install chromium chromium-driver`");
            return None;
        };
        let profile = tempfile::tempdir().expect("a scratch folder");
        let port = free_port();
        let mut driver = Command::new(driver);
        driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Process::spawn(&mut driver);
        let address = format!("127.0.0.1:{port}");
        let mut browser =
            Self { _driver: driver, address, session: String::new(), _profile: profile };
        let folder = browser._profile.path().display();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1600",
            &format!("--user-data-dir={folder}"),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let began = Instant::now();
        let session = loop {
            if let Some(made) = request(&browser.address, "POST", "/session", Some(&capabilities)) {
                break made["value"]["sessionId"].as_str().map(str::to_owned).expect("a session");
            }
            assert!(began.elapsed() < PATIENCE, "the driver does not answer");
            std::thread::sleep(Duration::from_millis(50));
        };
        browser.session = session;
        Some(browser)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<Json>) -> Json {
        let path = format!("/session/{}/{path}", self.session);
        let answer = request(&self.address, method, &path, body.as_ref()).expect("an answer");
        assert!(answer["value"]["error"].is_null(), "{path}: {answer:#}");
        answer["value"].clone()
    }

    /// Goes to an address.
    #[track_caller]
    pub(crate) fn go(&self, address: &str) {
        self.ask("POST", "url", Some(json!({ "url": address })));
    }

    /// Opens a page by a link, after which this window may look at it.
    #[track_caller]
    pub(crate) fn sign_in(&self, at: &Interface) {
        self.go(&format!("http://{}{}", at.address, at.link()));
        self.wait("sessionStorage.getItem('clickmill-token') && !location.hash.includes('open=')");
    }

    /// What an expression in the page gives.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Json {
        let script = format!("return {expression}");
        self.ask("POST", "execute/sync", Some(json!({ "script": script, "args": [] })))
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub(crate) fn wait(&self, expression: &str) {
        let began = Instant::now();
        // What is not there yet has no properties.
        let holds = format!(
            "(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        );
        while self.value(&holds) != json!(true) {
            assert!(
                began.elapsed() < PATIENCE,
                "`{expression}` does not come: {}",
                self.value("document.body.innerText")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses keys, one after the other. WebDriver has names of its own for those without a sign.
    #[track_caller]
    pub(crate) fn press(&self, keys: &[&str]) {
        let steps: Vec<Json> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": steps }] });
        self.ask("POST", "actions", Some(actions));
    }

    /// One of the browser's own commands, such as `Emulation.setEmulatedMedia`.
    #[track_caller]
    pub(crate) fn command(&self, name: &str, parameters: Json) -> Json {
        self.ask("POST", "goog/cdp/execute", Some(json!({ "cmd": name, "params": parameters })))
    }

    /// What the console has said since this was asked last, but for what the browser itself says of
    /// answers that are errors, and of a script that a busy machine took long to come to.
    #[track_caller]
    pub(crate) fn said(&self) -> Vec<String> {
        let lines = self.ask("POST", "se/log", Some(json!({ "type": "browser" })));
        let lines = lines.as_array().cloned().unwrap_or_default();
        let own = lines.iter().filter(|line| line["source"] != "network");
        own.map(|line| line["message"].as_str().unwrap_or_default().to_owned())
            .filter(|message| !message.contains("was preloaded using link preload"))
            .collect()
    }

    /// The page as a PDF document.
    #[track_caller]
    pub(crate) fn print(&self) -> Vec<u8> {
        let printed = self.ask("POST", "print", Some(json!({ "background": true })));
        STANDARD.decode(printed.as_str().expect("text")).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = request(&self.address, "DELETE", &path, None);
    }
}

/// Chromium and its driver, installed where they can be.
fn programs() -> Option<(PathBuf, PathBuf)> {
    static FOUND: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    let find = || {
        let packages = ["chromium", "chromium-driver", "fonts-dejavu-core"];
        let driver = installed("chromedriver", &packages)?;
        Some((installed("chromium", &packages)?, driver))
    };
    FOUND.get_or_init(find).clone()
}
