//! How a plugin set begins that is swapped in.

use std::time::Duration;

use clap::Args;

use super::duration::duration;

// A share of the batches, for a while. (No text of help: the verb has its own.)
#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    /// Begin with a share of the batches, such as 5%
    #[arg(id = "canary", long = "canary", value_name = "SHARE", value_parser = share, group = "canary_of")]
    pub share: Option<f64>,

    /// For how long, such as 30s
    #[arg(id = "canary_for", long = "canary-for", value_name = "DURATION", value_parser = duration, requires = "canary_of")]
    time: Option<Duration>,
}

impl CanaryArgs {
    /// For how long, in seconds.
    pub(crate) fn secs(&self) -> Option<f64> {
        self.time.map(|time| time.as_secs_f64())
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / scale);
    match share {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("wanted more than 0 and at most 100%, such as 5% or 0.05".to_owned()),
    }
}
