//! A running pipeline in its fleet, as others look at it.

use std::sync::Arc;
use std::time::Duration;

use super::error::FleetError;
use super::standing::{Member, Replica, Standing};
use crate::observe::running::Running;

/// A running pipeline that is of a fleet. Cheap to clone.
#[derive(Clone)]
pub struct Membership {
    member: Arc<Member>,
    interval: Duration,
}

impl Membership {
    /// That of a running pipeline; `None` where it is of no fleet.
    pub fn of(running: &Running) -> Option<Self> {
        let context = running.context();
        let interval = context.pipeline.swap.fleet_interval;
        context.fleet.clone().map(|member| Self { member, interval })
    }

    /// Its name among the replicas.
    pub fn name(&self) -> &str {
        &self.member.name
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.member.standing()
    }

    /// The replicas, by name, as they were at most an interval ago. Waits for the fleet's store.
    pub fn replicas(&self) -> Result<Vec<Replica>, FleetError> {
        self.member.replicas(self.interval)
    }
}
