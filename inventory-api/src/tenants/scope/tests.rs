use super::*;
use shared::settings::{ChannelSettings, Layers};
use shared::stock::{LegalEntity, TenantId};
use std::io::Write;
use std::time::Duration;

fn tenant(id: &str, company: &str, warehouses: &str) -> Arc<Tenant> {
    let warehouses = warehouses.split(',').map(WarehouseId::parse);
    Arc::new(Tenant {
        id: TenantId::parse(id).unwrap(),
        legal_entity: LegalEntity::parse(company).unwrap(),
        warehouses: warehouses.map(Result::unwrap).collect(),
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

/// Tenants `emea` and `us`, with the channels; Redis was read.
fn directory() -> Directory {
    let tenants = || vec![tenant("emea", "demf", "11,24"), tenant("us", "usmf", "11")];
    Directory::of_settings(tenants(), &channels()).with_published(tenants())
}

/// `organization/channel/warehouses`; what is empty is left out.
fn asked<'a>(text: &'a str) -> AskedScope<'a> {
    let given = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    let mut words = text.split('/');
    let mut word = || words.next().unwrap();
    AskedScope {
        organization: given(word()),
        channel: given(word()),
        warehouses: match word() {
            "" => None,
            ids => Some(ids.split(',').map(Cow::Borrowed).collect()),
        },
        places: &IN_LIST,
    }
}

/// Tenant, warehouses and buffer, or the refusal's code and path.
fn found(text: &str, directory: &Directory, may_ask: &MayAsk<'_>) -> String {
    match asked(text).resolve(directory, 3, may_ask) {
        Ok(scope) => {
            let warehouses: Vec<_> = scope.warehouses.iter().map(WarehouseId::as_str).collect();
            let buffer = scope.policy.buffer;
            format!("{} {} {buffer}", scope.tenant.id, warehouses.join(","))
        }
        Err(error) => format!("{} {}", error.code(), error.status_and_path()),
    }
}

/// Checks a table of `question | outcome`; `inventory.` and `.error` are left out of codes.
fn check(table: &str, directory: &Directory, may_ask: &MayAsk<'_>) {
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (text, expected) = line.split_once('|').unwrap();
        let found = found(text.trim_start(), directory, may_ask);
        let found = found.replace("inventory.", "").replace(".error", "");
        assert_eq!(found.trim_end(), expected.trim(), "{text}");
    }
}

#[test]
fn what_is_left_out_is_filled_in_only_where_there_is_no_choice() {
    check(
        "
us//| us 11 0
USMF//| us 11 0
usmf //| us 11 0
us//11| us 11 0
us//11 ,11| us 11  0
emea//24,11,24| emea 24,11 0
/shop/| emea 24,11 3
emea/shop/11| emea 11 3
/plain/| us 11 0
//11| request.invalid 422 $.organization
emea//| request.invalid 422 $.warehouseIds
us/shop/| request.invalid 422 $.organization
nowhere//| organization.not_found 404 $.organization
/nowhere/| channel.not_found 404 $.channel
/lost/| organization.not_found 404 $.channel
us//11,99| warehouse.not_found 404 $.warehouseIds[1]
us// 11| warehouse.not_found 404 $.warehouseIds[0]
us//1,2,3,4| request.too_large 413 $.warehouseIds
",
        &directory(),
        &bound(&[], &[]),
    );
    let only = Directory::of_settings(vec![tenant("us", "usmf", "11")], &[]);
    assert_eq!(found("//", &only, &bound(&[], &[])), "us 11 0");
}

#[test]
fn one_company_in_two_tenants_is_not_guessed_unless_one_alone_is_the_callers() {
    let tenants = vec![tenant("a", "usmf", "11"), tenant("b", "usmf", "24")];
    let directory = Directory::of_settings(tenants, &[]);
    check(
        "usmf//| request.invalid 422 $.organization\nb//| b 24 0",
        &directory,
        &bound(&[], &[]),
    );
    check("usmf//| b 24 0", &directory, &bound(&[], &["b"]));
}

#[test]
fn before_redis_was_read_an_unknown_name_is_not_called_wrong() {
    let at_first = Directory::of_settings(Vec::new(), &[]);
    check(
        "emea//| cache.unavailable 503\n//| cache.unavailable 503",
        &at_first,
        &bound(&[], &[]),
    );
    let later = at_first.with_published(Vec::new());
    check(
        "emea//| organization.not_found 404 $.organization\n//| cache.cold 503",
        &later,
        &bound(&[], &[]),
    );
}

#[test]
fn a_request_that_was_not_authenticated_has_no_rights() {
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

#[test]
fn what_a_caller_may_not_ask_about_looks_like_what_does_not_exist() {
    let directory = directory();
    let us = bound(&[], &["us"]);
    let shop = bound(&["shop", "lost", "unknown"], &[]);
    let us_plain = bound(&["plain", "shop"], &["us"]);
    let (organization, channel) = (NotAllowed::Tenant, NotAllowed::Channel);
    for (rights, existing, invented, expected) in [
        // Another tenant, by its id and by its company, with a warehouse it has and one it has not.
        (&us as &MayAsk<'_>, "emea//11", "x//11", organization),
        (&us, "emea//99", "x//99", organization),
        (&us, "DEMF//24", "XXMF//24", organization),
        (&us, "emea/plain/", "x/plain/", organization),
        // Another tenant's channel, alone and beside the caller's own tenant.
        (&us, "/shop/", "/x/", channel),
        (&us, "us/shop/11", "us/x/11", channel),
        (&us, "/lost/", "/x/", channel),
        // A channel the caller is not bound to, and another tenant beside one it is bound to.
        (&shop, "/plain/", "/x/", channel),
        (&shop, "emea/plain/99", "x/x/99", channel),
        (&shop, "us/shop/", "x/shop/", organization),
        (&shop, "usmf/shop/99", "xxmf/shop/99", organization),
        (&us_plain, "/shop/", "/x/", channel),
        (&us_plain, "emea/plain/", "x/plain/", organization),
    ] {
        for text in [existing, invented] {
            let refused = asked(text).resolve(&directory, 3, rights).unwrap_err();
            // A text says as much as a code.
            assert_eq!(refused.to_string(), expected.to_string(), "{text}");
        }
    }
    for text in ["emea//99", "x//99"] {
        let alone = asked(text).resolve_tenant(&directory, &us).unwrap_err();
        let all = asked(text).resolve_all_warehouses(&directory, 3, &us);
        for refused in [alone, all.unwrap_err()] {
            assert_eq!(refused.to_string(), organization.to_string());
        }
    }
}

#[test]
fn a_bound_caller_learns_precisely_what_is_its_own() {
    let directory = directory();
    check(
        "
us/plain/11| us 11 0
USMF//| us 11 0
//| us 11 0
us//24| warehouse.not_found 404 $.warehouseIds[0]
later//| organization.not_found 404 $.organization
",
        &directory,
        &bound(&[], &["us", "later"]),
    );
    check(
        "
demf/shop/| emea 24,11 3
//11| authorization 403
/unknown/| channel.not_found 404 $.channel
/lost/| organization.not_found 404 $.channel
",
        &directory,
        &bound(&["shop", "lost", "unknown"], &[]),
    );
    check(
        "//| authorization 403",
        &directory,
        &bound(&[], &["elsewhere"]),
    );
    // Until Redis was read, a company that is not here may be the caller's own; so it is for all.
    let at_first = Directory::of_settings(vec![tenant("us", "usmf", "11")], &channels());
    let us = bound(&[], &["us"]);
    check(
        "DEMF//| cache.unavailable 503\nXXMF//| cache.unavailable 503",
        &at_first,
        &us,
    );
}
