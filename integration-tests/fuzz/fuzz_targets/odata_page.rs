//! A page of D365: never a panic, and every row that is kept is one of the warehouse asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::d365::{D365Client, ProcessThrottleGate, Purpose};
use shared::process::clock::{Clock, SystemClock};
use shared::settings::Layers;
use shared::stock::WarehouseId;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

static CLIENT: LazyLock<D365Client> = LazyLock::new(|| {
    let environment = [
        ("ID", "contoso"),
        ("ENVIRONMENT_URL", "https://contoso.operations.dynamics.com"),
        ("LEGAL_ENTITY", "usmf"),
        ("WAREHOUSES", "24"),
        ("ENTRA__TENANT_ID", "directory"),
        ("ENTRA__CLIENT_ID", "app"),
        ("ENTRA__CLIENT_SECRET", "secret"),
    ]
    .map(|(name, value)| (format!("CONNECTOR__TENANTS__0__{name}"), value.to_owned()));
    let settings = Layers::with_environment(BTreeMap::from(environment)).load();
    let tenant = settings.expect("a tenant").tenants.remove(0);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let gate = Arc::new(ProcessThrottleGate::new(Arc::clone(&clock)));
    D365Client::new(&tenant, Purpose::Prefetch, clock, gate).expect("a client")
});

fuzz_target!(|page: &[u8]| {
    let warehouse = WarehouseId::parse("24").expect("a warehouse");
    if let Ok((rows, end)) = CLIENT.read_body(page, &warehouse) {
        assert!(rows.iter().all(|row| row.warehouse == warehouse));
        assert_eq!(rows.len() as u64 + end.dropped_rows + end.nameless_rows, end.rows);
    }
});
