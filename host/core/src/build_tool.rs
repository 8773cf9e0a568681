//! Cargo and what installs it, called with what a build needs of our environment and with nothing else: a
//! build runs code of others, and has no use for our secrets and credentials.

use std::ffi::OsStr;
use std::process::Command;

/// Variables that a build is given as they are: where things are, who asks, how to speak, compilers. Go asks no
/// registry.
const NAMES: [&str; 63] = [
    "CARGO_ENCODED_RUSTDOCFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_HOME",
    "CARGO_INCREMENTAL",
    "CARGO_LOG",
    "CARGO_MAKEFLAGS",
    "COLORTERM",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "CURL_CA_BUNDLE",
    "C_INCLUDE_PATH",
    "DEBIAN_FRONTEND",
    "DEVELOPER_DIR",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD",
    "LDFLAGS",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "LOGNAME",
    "MACOSX_DEPLOYMENT_TARGET",
    "MAKEFLAGS",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "NO_COLOR",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_USERCONFIG",
    "NUM_JOBS",
    "PATH",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUST_BACKTRACE",
    "RUST_MIN_STACK",
    "SDKROOT",
    "SHELL",
    "SOURCE_DATE_EPOCH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "npm_config_registry",
];
/// How names of other such variables begin: settings of cargo and rustup, and of the tools that find C
/// libraries. Of what begins with `CARGO_` all else is not passed: anybody may call a variable so.
const PREFIXES: [&str; 15] = [
    "CARGO_BUILD_",
    "CARGO_CACHE_",
    "CARGO_HTTP_",
    "CARGO_INSTALL_",
    "CARGO_NET_",
    "CARGO_PROFILE_",
    "CARGO_RESOLVER_",
    "CARGO_TARGET_",
    "CARGO_TERM_",
    "CARGO_UNSTABLE_",
    "CMAKE_",
    "LC_",
    "PKG_CONFIG_",
    "RUSTUP_",
    "__CARGO_",
];
/// How names of variables begin and end, with a name of somebody's own in between: registries, mirrors and
/// folders.
const BEGIN_AND_END: [(&str, &[&str]); 4] = [
    ("CARGO_REGISTRIES_", &["_INDEX", "_PROTOCOL"]),
    ("CARGO_REGISTRY_", &["DEFAULT", "INDEX"]),
    (
        "CARGO_SOURCE_",
        &[
            "_BRANCH",
            "_DIRECTORY",
            "_GIT",
            "_LOCAL_REGISTRY",
            "_REGISTRY",
            "_REPLACE_WITH",
            "_REV",
            "_TAG",
        ],
    ),
    ("XDG_", &["_DIR", "_DIRS", "_HOME"]),
];
/// Variables of C compilers, also for one target (`CC_x86_64_unknown_linux_musl`) or side (`HOST_CC`).
const COMPILERS: [&str; 8] =
    ["AR", "ARFLAGS", "CC", "CFLAGS", "CPPFLAGS", "CXX", "CXXFLAGS", "RANLIB"];
/// Where to reach the network by, in small letters.
const PROXIES: [&str; 5] = ["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];
/// A variable of which a word ends so holds a secret: `CARGO_REGISTRIES_MINE_TOKEN`, `CMAKE_APIKEY`. So does
/// one with the word `PAT`.
const SECRET_ENDS: [&str; 14] = [
    "AUTH",
    "COOKIE",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "KEYS",
    "PASS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
];
/// What cargo sets for programs that it starts, such as the tests of a package: crates would be compiled
/// again.
const OF_A_PACKAGE: &str = "CARGO_TARGET_TMPDIR";

/// A call of cargo, rustc, rustup or what installs them, by name or path. Of the environment it has the
/// variables for which [`is_build_setting`] holds.
pub fn build_tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let ours = std::env::vars_os();
    let passed = ours.filter(|(name, _)| name.to_str().is_some_and(is_build_setting));
    command.env_clear().envs(passed);
    command
}

/// Whether a build is given the variable of this name: it says where things are, how to compile, or how to
/// reach registries. Addresses of proxies and mirrors are passed as they are, with a password that may be
/// in them.
pub fn is_build_setting(name: &str) -> bool {
    let is_secret = name.split('_').any(|word| {
        let word = word.to_ascii_uppercase();
        word == "PAT" || SECRET_ENDS.iter().any(|end| word.ends_with(end))
    });
    let side = name.strip_prefix("HOST_").or_else(|| name.strip_prefix("TARGET_"));
    let of_compiler = side.unwrap_or(name).split('_').next().unwrap_or_default();
    let begins_and_ends = |(begin, ends): &(&str, &[&str])| {
        let rest = name.strip_prefix(begin);
        rest.is_some_and(|rest| ends.iter().any(|end| rest.ends_with(end)))
    };
    let is_setting = NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || BEGIN_AND_END.iter().any(begins_and_ends)
        || COMPILERS.contains(&of_compiler)
        || PROXIES.contains(&name.to_ascii_lowercase().as_str());
    is_setting && !is_secret && name != OF_A_PACKAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_gets_settings_and_no_secrets() {
        for passed in [
            "PATH",
            "HOME",
            "LC_ALL",
            "TMPDIR",
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_BUILD_JOBS",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_REGISTRIES_MINE_INDEX",
            "CARGO_SOURCE_CRATES_IO_REPLACE_WITH",
            "CARGO_REGISTRY_DEFAULT",
            "CARGO_REGISTRIES_MINE_PROTOCOL",
            "CARGO_SOURCE_MIRROR_REGISTRY",
            "CARGO_HTTP_CAINFO",
            "CARGO_HTTP_PROXY",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
            "CARGO_INCREMENTAL",
            "XDG_CACHE_HOME",
            "XDG_RUNTIME_DIR",
            "RUSTUP_HOME",
            "RUSTUP_DIST_SERVER",
            "RUSTUP_TOOLCHAIN",
            "https_proxy",
            "HTTPS_PROXY",
            "No_Proxy",
            "SSL_CERT_FILE",
            "CC",
            "HOST_CFLAGS",
            "CC_x86_64_unknown_linux_musl",
            "PKG_CONFIG_PATH",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_TRUSTED_HOST",
            "PIP_CONFIG_FILE",
            "NPM_CONFIG_REGISTRY",
            "npm_config_registry",
            "NPM_CONFIG_USERCONFIG",
        ] {
            assert!(is_build_setting(passed), "{passed}");
        }
        for kept in [
            "CLICKMILL_MASK_KEY",
            "CLICKMILL_CACHE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_PROJECT",
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "AZURE_CLIENT_ID",
            "GITHUB_TOKEN",
            "DATABASE_URL",
            "PGPASSWORD",
            "SSH_AUTH_SOCK",
            "NPM_TOKEN",
            "NPM_CONFIG__AUTH",
            "npm_config__authToken",
            "PIP_KEYRING_PROVIDER",
            "PIP_TARGET",
            "GOPROXY",
            "GOAUTH",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "CARGO_REGISTRIES_MINE_SECRET_KEY",
            "CARGO_REGISTRY_CREDENTIAL_PROVIDER",
            "cargo_registry_token",
            "RUSTUP_PASSWORD",
            "CARGO_REGISTRIES_MINE_APIKEY",
            "CARGO_REGISTRIES_MINE_WHATEVER",
            "CARGO_SOURCE_MINE_WHATEVER",
            "CARGO_MINE",
            "CARGO_pat",
            "CARGO_HTTP_APIKEY",
            "CMAKE_MYTOKEN",
            "RUSTUP_PASS",
            "XDG_SESSION_COOKIE",
            "XDG_SESSION_ID",
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_TARGET_TMPDIR",
            "OUT_DIR",
            "LD_PRELOAD",
            "",
        ] {
            assert!(!is_build_setting(kept), "{kept}");
        }
    }

    #[test]
    fn a_tool_starts_with_settings_only() {
        // Cargo runs this test.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let mut command = build_tool("env");
        command.env("CARGO_PROFILE_RELEASE_LTO", "fat");
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.iter().all(|name| is_build_setting(name)), "{names:?}");
        assert!(
            names.contains(&"CARGO_PROFILE_RELEASE_LTO") && names.contains(&"PATH"),
            "{names:?}"
        );
    }
}
