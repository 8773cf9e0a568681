//! Values of secrets, as an embedder or a golden case hands them over.

/// Values of secrets that do not come from the environment, by `stage.secret`.
pub type Secrets = std::collections::BTreeMap<String, String>;
