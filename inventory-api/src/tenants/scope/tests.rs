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
        fingerprint: None,
        wanted: std::sync::OnceLock::new(),
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
        places: &IN_LIST,
    }
}

fn found(scope: &AskedScope<'_>, directory: &Directory) -> String {
    found_by(scope, directory, &|_, _| Ok(()))
}

fn found_by(scope: &AskedScope<'_>, directory: &Directory, may_ask: &MayAsk<'_>) -> String {
    match scope.resolve(directory, 3, may_ask) {
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
            asked("us", "", &[" 11"]),
            "inventory.warehouse.not_found.error $.warehouseIds[0]",
        ),
        (asked("us", "", &["11 ", "11"]), "us 11  0"),
        (asked("usmf ", "", &[]), "us 11 0"),
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

#[test]
fn a_request_that_came_through_no_door_has_no_rights() {
    let request = actix_web::test::TestRequest::get().to_http_request();
    let refused = rights_of(&request).map(|_rights| ()).unwrap_err();
    assert_eq!(refused.code(), "inventory.authorization.error");
}

/// The rights of a caller who is bound to these channels and tenants; to none of a kind that is
/// empty.
fn bound<'a>(
    channels: &'a [&str],
    tenants: &'a [&str],
) -> impl Fn(&str, Option<&str>) -> Result<(), NotAllowed> + 'a {
    let may = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
    move |tenant, channel| match channel {
        Some(channel) if !may(channels, channel) => Err(NotAllowed::Channel),
        None if !channels.is_empty() => Err(NotAllowed::NoChannel),
        _ if may(tenants, tenant) => Ok(()),
        _ => Err(NotAllowed::Tenant),
    }
}

/// Tells the refusals of one code apart too: a text is as telling as a code.
fn refusal(scope: &AskedScope<'_>, directory: &Directory, may_ask: &MayAsk<'_>) -> String {
    let refused = scope.resolve(directory, 3, may_ask);
    refused.map(|_scope| ()).unwrap_err().to_string()
}

#[test]
fn what_a_caller_may_not_ask_about_looks_like_what_does_not_exist() {
    let directory = Directory::of_settings(two_tenants(), &channels());
    let directory = directory.with_published(two_tenants());
    let us = bound(&[], &["us"]);
    let shop = bound(&["shop", "lost", "unknown"], &[]);
    let us_plain = bound(&["plain", "shop"], &["us"]);
    let organization = NotAllowed::Tenant.to_string();
    let channel = NotAllowed::Channel.to_string();
    for (rights, existing, invented, expected) in [
        // Another tenant, by its id and by its company, with a warehouse it has and one it has not.
        (
            &us as &MayAsk<'_>,
            ("emea", "", "11"),
            ("x", "", "11"),
            &organization,
        ),
        (&us, ("emea", "", "99"), ("x", "", "99"), &organization),
        (&us, ("DEMF", "", "24"), ("XXMF", "", "24"), &organization),
        (
            &us,
            ("emea", "plain", ""),
            ("x", "plain", ""),
            &organization,
        ),
        // Another tenant's channel, alone and beside the caller's own tenant.
        (&us, ("", "shop", ""), ("", "x", ""), &channel),
        (&us, ("us", "shop", "11"), ("us", "x", "11"), &channel),
        (&us, ("", "lost", ""), ("", "x", ""), &channel),
        // A channel the caller is not bound to, and another tenant beside one it is bound to.
        (&shop, ("", "plain", ""), ("", "x", ""), &channel),
        (&shop, ("emea", "plain", "99"), ("x", "x", "99"), &channel),
        (&shop, ("us", "shop", ""), ("x", "shop", ""), &organization),
        (
            &shop,
            ("usmf", "shop", "99"),
            ("xxmf", "shop", "99"),
            &organization,
        ),
        (&us_plain, ("", "shop", ""), ("", "x", ""), &channel),
        (
            &us_plain,
            ("emea", "plain", ""),
            ("x", "plain", ""),
            &organization,
        ),
    ] {
        for (named, channel, warehouse) in [existing, invented] {
            let warehouses: Vec<&str> = Some(warehouse)
                .filter(|id| !id.is_empty())
                .into_iter()
                .collect();
            let scope = asked(named, channel, &warehouses);
            assert_eq!(&refusal(&scope, &directory, rights), expected, "{scope:?}");
        }
    }
}

#[test]
fn a_bound_caller_is_told_precisely_what_is_its_own() {
    let directory = Directory::of_settings(two_tenants(), &channels());
    let at_first = Directory::of_settings(two_tenants(), &channels());
    let directory = directory.with_published(two_tenants());
    let us = bound(&[], &["us", "later"]);
    let shop = bound(&["shop", "lost", "unknown"], &[]);
    let stranger = bound(&[], &["elsewhere"]);
    for (rights, scope, expected) in [
        (&us as &MayAsk<'_>, asked("us", "plain", &["11"]), "us 11 0"),
        (&us, asked("USMF", "", &[]), "us 11 0"),
        (&us, asked("", "", &[]), "us 11 0"),
        (
            &us,
            asked("us", "", &["24"]),
            "inventory.warehouse.not_found.error $.warehouseIds[0]",
        ),
        (
            &us,
            asked("later", "", &[]),
            "inventory.organization.not_found.error $.organization",
        ),
        (&shop, asked("demf", "shop", &[]), "emea 24,11 3"),
        (
            &shop,
            asked("", "", &["11"]),
            "inventory.authorization.error ",
        ),
        (
            &shop,
            asked("", "unknown", &[]),
            "inventory.channel.not_found.error $.channel",
        ),
        (
            &shop,
            asked("", "lost", &[]),
            "inventory.organization.not_found.error $.channel",
        ),
        (
            &stranger,
            asked("", "", &[]),
            "inventory.authorization.error ",
        ),
    ] {
        assert_eq!(found_by(&scope, &directory, rights), expected, "{scope:?}");
    }
    // Until Redis was read, a company that is not here may be the caller's own; so it is for all.
    for company in ["DEMF", "XXMF"] {
        let told = found_by(&asked(company, "", &[]), &at_first, &us);
        assert_eq!(told, "inventory.cache.unavailable.error ");
    }
}

#[test]
fn a_company_two_tenants_share_is_the_callers_own_one() {
    let tenants = vec![tenant("a", "usmf", &["11"]), tenant("b", "usmf", &["24"])];
    let directory = Directory::of_settings(tenants, &[]);
    let told = found_by(&asked("usmf", "", &[]), &directory, &bound(&[], &["b"]));
    assert_eq!(told, "b 24 0");
}

#[test]
fn a_tenant_alone_and_all_its_warehouses_are_refused_alike() {
    let directory = Directory::of_settings(two_tenants(), &channels());
    let directory = directory.with_published(two_tenants());
    let us = bound(&[], &["us"]);
    for named in ["emea", "x"] {
        let scope = asked(named, "", &["99"]);
        let alone = scope.resolve_tenant(&directory, &us).unwrap_err();
        let all = scope
            .resolve_all_warehouses(&directory, 3, &us)
            .unwrap_err();
        let expected = NotAllowed::Tenant.to_string();
        assert_eq!(
            (alone.to_string(), all.to_string()),
            (expected.clone(), expected)
        );
    }
}
