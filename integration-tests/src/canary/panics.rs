//! What services say that break: over every request, and in a task in the background.

use super::{Hunt, HuntError, Scene, WARM_UP, https};
use crate::binaries::{Program, Service};
use crate::eventually::eventually_within;
use std::path::Path;

/// What a panic begins with, in the words of whoever logs it.
const SAID: &str = "wanted by the rig:";

/// Makes services from this folder panic with all they know, and searches what they say of it.
pub(super) async fn search(scene: &Scene, hunt: &mut Hunt, folder: &Path) -> Result<(), HuntError> {
    let caller = scene.caller()?;
    for program in [Program::PrefetchWorker, Program::InventoryApi] {
        let name = format!("breaking {program}");
        let mut service = scene
            .launch(program, &[("CONNECTOR_GUARD_OFF", "NoPanics")])?
            .in_folder(folder)
            .named(&name)
            .start()
            .await?;
        wait_for(scene, &service, 1).await?;
        for (number, shown) in scene.callers.shown.iter().enumerate() {
            let url = format!("{}/nothing", https(&service));
            let request = caller.get(url).header(shown.name, &shown.value);
            // Whoever asks is hung up on; what a reply says would be searched.
            if let Ok(reply) = request.send().await {
                hunt.search("reply of a service that broke", &reply.text().await?);
            }
            wait_for(scene, &service, number + 2).await?;
        }
        service.process().kill()?;
        let log = scene.log_of(&service)?;
        hunt.panics += log.matches(SAID).count() as u64;
        hunt.search(&format!("log of {name}"), &log);
    }
    Ok(())
}

/// Waits until so many panics were told.
async fn wait_for(scene: &Scene, service: &Service, panics: usize) -> Result<(), HuntError> {
    eventually_within(WARM_UP, "a panic is told", async || {
        let log = scene.log_of(service).ok()?;
        (log.matches(SAID).count() >= panics).then_some(())
    })
    .await?;
    Ok(())
}
