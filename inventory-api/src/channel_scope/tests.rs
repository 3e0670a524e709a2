use super::*;
use shared::settings::{ChannelSettings, Layers};
use shared::stock::{LegalEntity, TenantId};
use std::io::Write;
use std::time::Duration;

fn tenant(id: &str, company: &str, warehouses: &[&str]) -> Arc<Tenant> {
    Arc::new(Tenant {
        id: TenantId::parse(id).unwrap(),
        legal_entity: LegalEntity::parse(company).unwrap(),
        warehouses: warehouses
            .iter()
            .map(|id| WarehouseId::parse(*id).unwrap())
            .collect(),
        refresh_interval: Duration::from_mins(15),
        live: None,
    })
}

fn channels() -> Vec<ChannelSettings> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(
        b"[[channels]]\nid = 'shop'\ntenant = 'emea'\nwarehouses = ['24', '11']\nbuffer = '3'\n\
          [[channels]]\nid = 'plain'\ntenant = 'us'\n\
          [[channels]]\nid = 'lost'\ntenant = 'gone'\n",
    )
    .unwrap();
    let settings = Layers::default().file(Some(file.path())).load().unwrap();
    settings.channels
}

fn two_tenants() -> Vec<Arc<Tenant>> {
    vec![
        tenant("emea", "demf", &["11", "24"]),
        tenant("us", "usmf", &["11"]),
    ]
}

fn asked<'a>(organization: &'a str, channel: &'a str, warehouses: &[&'a str]) -> AskedScope<'a> {
    let given = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    AskedScope {
        organization: given(organization),
        channel: given(channel),
        warehouses: (!warehouses.is_empty())
            .then(|| warehouses.iter().map(|id| Cow::Borrowed(*id)).collect()),
        places: Places::BodyList,
    }
}

fn found(scope: &AskedScope<'_>, directory: &Directory) -> String {
    match scope.resolve(directory, 3) {
        Ok(scope) => {
            let warehouses: Vec<_> = scope.warehouses.iter().map(WarehouseId::as_str).collect();
            format!(
                "{} {} {}",
                scope.tenant.id,
                warehouses.join(","),
                scope.policy.buffer
            )
        }
        Err(error) => {
            let path = match &error {
                ApiError::Invalid { path, .. }
                | ApiError::TooLarge { path, .. }
                | ApiError::WarehouseNotFound { path, .. } => path.clone(),
                ApiError::OrganizationNotFound { path, .. }
                | ApiError::ChannelNotFound { path, .. } => (*path).to_owned(),
                _ => String::new(),
            };
            format!("{} {path}", error.code())
        }
    }
}

#[test]
fn what_is_left_out_is_filled_in_only_where_there_is_no_choice() {
    let directory = Directory::of_settings(two_tenants(), &channels());
    let directory = directory.with_published(two_tenants());
    for (scope, expected) in [
        (asked("us", "", &[]), "us 11 0"),
        (asked("USMF", "", &[]), "us 11 0"),
        (asked("us", "", &["11"]), "us 11 0"),
        (asked("emea", "", &["24", "11", "24"]), "emea 24,11 0"),
        (asked("", "shop", &[]), "emea 24,11 3"),
        (asked("emea", "shop", &["11"]), "emea 11 3"),
        (asked("", "plain", &[]), "us 11 0"),
        (
            asked("", "", &["11"]),
            "inventory.request.invalid.error $.organization",
        ),
        (
            asked("emea", "", &[]),
            "inventory.request.invalid.error $.warehouseIds",
        ),
        (
            asked("us", "shop", &[]),
            "inventory.request.invalid.error $.organization",
        ),
        (
            asked("nowhere", "", &[]),
            "inventory.organization.not_found.error $.organization",
        ),
        (
            asked("", "nowhere", &[]),
            "inventory.channel.not_found.error $.channel",
        ),
        (
            asked("", "lost", &[]),
            "inventory.organization.not_found.error $.channel",
        ),
        (
            asked("us", "", &["11", "99"]),
            "inventory.warehouse.not_found.error $.warehouseIds[1]",
        ),
        (
            asked("us", "", &["11 "]),
            "inventory.warehouse.not_found.error $.warehouseIds[0]",
        ),
        (
            asked("us", "", &["1", "2", "3", "4"]),
            "inventory.request.too_large.error $.warehouseIds",
        ),
    ] {
        assert_eq!(found(&scope, &directory), expected, "{scope:?}");
    }
}

#[test]
fn one_tenant_needs_no_name() {
    let directory = Directory::of_settings(vec![tenant("us", "usmf", &["11"])], &[]);
    assert_eq!(found(&asked("", "", &[]), &directory), "us 11 0");
}

#[test]
fn one_company_in_two_tenants_is_not_guessed() {
    let tenants = vec![tenant("a", "usmf", &["11"]), tenant("b", "usmf", &["11"])];
    let directory = Directory::of_settings(tenants, &[]);
    assert_eq!(
        found(&asked("usmf", "", &[]), &directory),
        "inventory.request.invalid.error $.organization"
    );
    assert_eq!(found(&asked("b", "", &[]), &directory), "b 11 0");
}

#[test]
fn before_redis_was_read_an_unknown_name_is_not_called_wrong() {
    let at_first = Directory::of_settings(Vec::new(), &[]);
    let unavailable = "inventory.cache.unavailable.error ";
    assert_eq!(found(&asked("emea", "", &[]), &at_first), unavailable);
    assert_eq!(found(&asked("", "", &[]), &at_first), unavailable);
    let later = at_first.with_published(Vec::new());
    assert_eq!(
        found(&asked("emea", "", &[]), &later),
        "inventory.organization.not_found.error $.organization"
    );
    assert_eq!(
        found(&asked("", "", &[]), &later),
        "inventory.cache.cold.error "
    );
}
