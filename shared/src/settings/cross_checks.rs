//! What no single section shows, after each has been checked.

use super::auth_checks;
use super::configuration::Settings;
use super::error::{Section, SettingsError};
use std::fmt::Display;

/// Checks the whole and brings it into its one form.
pub(super) fn settle(settings: &mut Settings) -> Result<(), SettingsError> {
    let intervals = settings
        .tenants
        .iter()
        .map(|tenant| tenant.refresh_interval);
    settings.redis.settle(intervals.max().unwrap_or_default())?;
    settings.api.check()?;
    settings.worker.settle()?;
    let listeners = [
        ("api", settings.api.listen),
        ("worker", settings.worker.listen),
    ];
    auth_checks::settle(&mut settings.api.auth, listeners)?;
    for (at, tenant) in settings.tenants.iter().enumerate() {
        let earlier = settings.tenants[..at].iter().map(|tenant| &tenant.id);
        check_unique(&format!("tenants[{at}]"), &tenant.id, earlier)?;
        tenant.check(&format!("tenants[{at}]"))?;
    }
    for (at, channel) in settings.channels.iter().enumerate() {
        let earlier = settings.channels[..at].iter().map(|channel| &channel.id);
        check_unique(&format!("channels[{at}]"), &channel.id, earlier)?;
        channel.check(&format!("channels[{at}]"))?;
    }
    Ok(())
}

fn check_unique<'a, T: PartialEq + Display + 'a>(
    entry: &str,
    id: &T,
    mut earlier: impl Iterator<Item = &'a T>,
) -> Result<(), SettingsError> {
    Section(entry).require(
        earlier.all(|other| other != id),
        "id",
        format!("another entry has the id {id}; ids must be unique"),
    )
}
