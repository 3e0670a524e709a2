//! A page of D365: the same whole or in pieces, and never a panic. The first byte says how large the
//! pieces are.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use shared::d365::read_recorded_page;
use shared::settings::{Layers, TenantSettings};
use shared::stock::WarehouseId;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};

static TENANT: LazyLock<TenantSettings> = LazyLock::new(|| {
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
    settings.expect("a tenant").tenants.remove(0)
});
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|input: &[u8]| {
    let Some((&size, page)) = input.split_first() else {
        return;
    };
    let warehouse = WarehouseId::parse("24").expect("a warehouse");
    let read = |chunks| RUNTIME.block_on(read_recorded_page(&TENANT, &warehouse, chunks));
    let whole = read(vec![Bytes::copy_from_slice(page)]);
    let pieces = page.chunks(usize::from(size).max(1));
    let in_pieces = read(pieces.map(Bytes::copy_from_slice).collect());
    match (whole, in_pieces) {
        (Ok((rows, end)), Ok((other_rows, other_end))) => {
            assert_eq!(rows, other_rows);
            assert_eq!(end, other_end);
        }
        (whole, in_pieces) => assert_eq!(whole.is_ok(), in_pieces.is_ok()),
    }
});
