use super::*;
use crate::http::auth::hash_password;
use crate::settings::entra::TokenEndpointVersion;
use crate::settings::log::LogFormat;
use crate::settings::secret::Secret;
use std::time::Duration;

const TENANT: &str = r#"
[[tenants]]
id = "contoso-eu"
environment_url = "https://contoso.operations.dynamics.com"
legal_entity = "USMF"
warehouses = ["11", "24"]
[tenants.entra]
tenant_id = "directory"
client_id = "app"
client_secret = "c4n4ry"
"#;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Layers::with_environment(environment)
        .file(Some(&path))
        .load()
}

fn hash() -> String {
    hash_password(&Secret::new("twelve and more")).unwrap()
}

#[test]
fn the_commented_examples_are_valid_settings() {
    let text = DEFAULTS
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(example) if example.contains(" = ") || example.starts_with('[') => example,
            _ => line,
        })
        // These name files that do not exist here.
        .filter(|line| {
            !line.starts_with("# #") && !line.contains("_file =") && !line.contains("\"…\"")
        })
        .filter(|line| !line.starts_with("ca_file"))
        .collect::<Vec<_>>()
        .join("\n");
    let text = text.replace("client_id =", "client_secret = \"x\"\nclient_id =");
    let text = text.replace(
        "name = \"icm\"",
        &format!("name = \"icm\"\npassword_hash = \"{}\"", hash()),
    );
    let settings = load(&text, &[]).unwrap();
    assert_eq!(settings.tenants.len(), 1);
    assert_eq!(settings.channels.len(), 1);
}

#[test]
fn the_environment_reaches_every_key() {
    let settings = load(
        TENANT,
        &[
            ("CONNECTOR__REDIS__COMMAND_TIMEOUT", "1s"),
            ("CONNECTOR__TENANTS__0__WAREHOUSES", "51,61"),
            ("CONNECTOR__TENANTS__0__CALLS_AT_ONCE", "8"),
            (
                "CONNECTOR__TENANTS__CONTOSO_EU__ENTRA__CLIENT_SECRET",
                "fresh",
            ),
            ("CONNECTOR__CHANNELS__0__ID", "shop"),
            ("CONNECTOR__CHANNELS__0__TENANT", "contoso-eu"),
            ("CONNECTOR__CHANNELS__SHOP__BUFFER", "2.5"),
            ("CONNECTOR__CHANNELS__SHOP__SHOW_QUANTITY", "false"),
            ("CONNECTOR__API__LIMITS__BODY_BYTES", "64KiB"),
            ("CONNECTOR__API__LIMITS__SKUS", "3"),
            ("CONNECTOR__LOG__FORMAT", "human"),
            ("CONNECTOR__API__AUTH__BASIC__0__NAME", "icm"),
            ("CONNECTOR__API__AUTH__BASIC__0__PASSWORD_HASH", &hash()),
            ("CONNECTOR__API__AUTH__BASIC__0__ROLES", "browse,order"),
            ("CONNECTOR__API__AUTH__BASIC__0__CHANNELS", "shop"),
            ("UNRELATED", "x"),
        ],
    )
    .unwrap();
    assert_eq!(settings.redis.command_timeout, Duration::from_secs(1));
    assert_eq!(settings.tenants[0].warehouses[1].as_str(), "61");
    assert_eq!(settings.tenants[0].calls_at_once, 8);
    let secret = settings.tenants[0].entra.client_secret.as_ref().unwrap();
    assert_eq!(secret.expose(), "fresh");
    assert_eq!(settings.channels[0].buffer.to_string(), "2.5");
    assert!(!settings.channels[0].show_quantity);
    let limits = &settings.api.limits;
    assert_eq!((limits.body_bytes, limits.skus), (65_536, 3));
    assert_eq!(settings.log.format, LogFormat::Human);
    let caller = &settings.api.auth.basic[0];
    assert_eq!((caller.roles.len(), &caller.tenants), (2, &None));
    assert_eq!(caller.channels.as_deref(), Some(&["shop".to_owned()][..]));
}

#[test]
fn a_flag_wins_over_environment_and_file() {
    let environment = [("CONNECTOR__API__LISTEN", "127.0.0.1:1")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Layers::with_environment(environment.into())
        .flag("api.listen", Some("127.0.0.1:2"))
        .load()
        .unwrap();
    assert_eq!(settings.api.listen.port(), 2);
}

/// A file as it is, or a tenant with a text replaced; the key that is named, and a word of the hint.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_mistake_names_its_key_and_a_hint_and_never_a_secret() {
    let tenant = |from: &str, to: &str| {
        let file = TENANT.replace(from, to);
        assert_ne!(file, TENANT, "{from}");
        file
    };
    let url = "https://contoso.operations.dynamics.com";
    let (secret, two) = ("client_secret = \"c4n4ry\"", "[\"11\", \"24\"]");
    let redis = |line: &str| format!("[redis]\n{line}\n");
    for (file, key, hint) in [
        (redis("urll = \"redis://x\""), "redis.urll", "mean \"url\""),
        (
            redis("pool_size = 3"),
            "redis.pool_size",
            "any more: connections",
        ),
        (
            tenant("warehouses", "variants_max_age = \"1h\"\nwarehouses"),
            "tenants[0].variants_max_age",
            "any more: a list",
        ),
        (
            tenant("client_id", "clientid"),
            "tenants[0].entra.clientid",
            "client_id",
        ),
        (
            tenant("https://contoso", "http://contoso"),
            "tenants[0].environment_url",
            "https",
        ),
        (
            tenant(url, "ftp://x"),
            "tenants[0].environment_url",
            "not ftp",
        ),
        (
            tenant(url, "not a url"),
            "tenants[0].environment_url",
            "no address",
        ),
        (
            tenant("dynamics.com\"", "dynamics.com/data\""),
            "tenants[0].environment_url",
            "bare",
        ),
        (
            tenant(secret, ""),
            "tenants[0].entra.client_secret",
            "is missing",
        ),
        (
            tenant(secret, "client_secret_file = \"/nowhere\""),
            "tenants[0].entra.client_secret_file",
            "/nowhere",
        ),
        (
            tenant("client_id = \"app\"", ""),
            "tenants[0].entra.client_id",
            "is missing",
        ),
        (tenant(two, "[]"), "tenants[0].warehouses", "at least one"),
        (
            tenant(two, "[\"11\", \"11 \"]"),
            "tenants[0].warehouses",
            "named twice",
        ),
        (
            tenant("\"contoso-eu\"", "\"Contoso EU\""),
            "tenants[0].id",
            "",
        ),
        (
            tenant("\"USMF\"", "\"US'MF\""),
            "tenants[0].legal_entity",
            "",
        ),
        (
            format!("{TENANT}{TENANT}"),
            "tenants[1].id",
            "must be unique",
        ),
        (
            format!("{}{TENANT}", redis("line_ttl = \"30m\"")),
            "redis.line_ttl",
            "two refresh",
        ),
        (
            redis("command_timeout = \"soon\""),
            "redis.command_timeout",
            "\"15m\"",
        ),
        (
            "[api]\nworkers = \"many\"".to_owned(),
            "api.workers",
            "neither a number",
        ),
        (
            "[worker]\nlease = \"1s\"".to_owned(),
            "worker.lease",
            "at least 5s",
        ),
        // A fragment switches certificate checks off; a query changes the protocol, or is not read.
        (
            redis("url = \"rediss://cache#insecure\""),
            "redis.url",
            "ca_file",
        ),
        (
            redis("url = \"rediss://cache/0?protocol=resp3\""),
            "redis.url",
            "query",
        ),
        (
            redis("url = \"rediss://cache?password=c4n4ry\""),
            "redis.url",
            "query",
        ),
        (redis("url = \"rediss://cache?\""), "redis.url", "query"),
        (
            redis("url = \"redis://:c4n4ry@host:port\""),
            "redis.url",
            "no address",
        ),
        (redis("url = \"c4n4ry\""), "redis.url", "no address"),
        (
            redis("password = 4711"),
            "redis.password",
            "expected a string",
        ),
        (
            redis("password = 4711.5"),
            "redis.password",
            "expected a string",
        ),
        (
            redis("password = [\"c4n4ry\"]"),
            "redis.password",
            "expected a string",
        ),
        ("redis = \"c4n4ry\"".to_owned(), "redis", "expected struct"),
        ("api = \"c4n4ry, expected nothing\"".to_owned(), "api", ""),
        (
            "[worker.events]\nsecret = 4711".to_owned(),
            "worker.events.secret",
            "",
        ),
        (redis("password = \"c4n4ry"), "", "line 2"),
    ] {
        let error = load(&file, &[]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.key, key, "{error}");
        assert!(error.problem.contains(hint), "{error}");
        assert!(
            !shown.contains("c4n4ry") && !shown.contains("4711"),
            "{shown}"
        );
    }
    load(&format!("{}{TENANT}", redis("line_ttl = \"31m\"")), &[]).unwrap();
    let error = load("", &[("CONNECTOR__REDIS__LINETTL", "3")]).unwrap_err();
    assert_eq!(error.key, "redis.linettl");
}

#[test]
fn secrets_are_masked_wherever_settings_are_shown() {
    let file = format!("{TENANT}\n[redis]\nurl = \"rediss://user:c4n4ry@cache:6380/1\"\n");
    let settings = load(&file, &[]).unwrap();
    let shown = settings.shown().unwrap();
    assert!(shown.contains("***"), "{shown}");
    assert!(!shown.contains("c4n4ry"), "{shown}");
    assert!(!format!("{settings:?}").contains("c4n4ry"));
    assert_eq!(settings.redis.password.unwrap().expose(), "c4n4ry");
    assert_eq!(settings.redis.username.as_deref(), Some("user"));
}

#[test]
fn the_original_connectors_names_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.properties");
    let text = "# Azure\n\
        intershop.inventory.azure.resource = https\\://contoso.operations.dynamics.com\n\
        intershop.inventory.azure.tenant=directory\n\
        intershop.inventory.azure.clientID: app\n\
        intershop.inventory.azure.clientSecret=a\\\n   b\n\
        intershop.inventory.azure.token.requestURL=https://login.microsoftonline.com/directory/oauth2/token\n\
        intershop.inventory.azure.token.minimumTTL=120\n\
        ! threads\n\
        intershop.inventory.threadPool.size=7\n\
        eureka.name=something-else\n";
    std::fs::write(&path, text).unwrap();
    let environment: BTreeMap<_, _> = [
        ("CONNECTOR__TENANTS__0__LEGAL_ENTITY", "usmf"),
        ("CONNECTOR__TENANTS__0__WAREHOUSES", "24"),
        ("INTERSHOP_INVENTORY_AZURE_CLIENTID", "app-from-environment"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let settings = Layers::with_environment(environment.clone())
        .properties(Some(&path))
        .load()
        .unwrap();
    let tenant = &settings.tenants[0];
    assert_eq!(tenant.id.as_str(), "default");
    assert_eq!(
        tenant.environment_url.host_str(),
        Some("contoso.operations.dynamics.com")
    );
    assert_eq!(tenant.entra.client_id, "app-from-environment");
    assert_eq!(tenant.entra.client_secret.as_ref().unwrap().expose(), "ab");
    assert_eq!(tenant.entra.minimum_token_lifetime, Duration::from_mins(2));
    assert_eq!(
        tenant.entra.token_endpoint_version,
        TokenEndpointVersion::V1
    );
    assert_eq!(settings.api.workers, 7);

    std::fs::write(&path, "intershop.inventory.azure.clientId=x\n").unwrap();
    let error = Layers::with_environment(environment)
        .properties(Some(&path))
        .load()
        .unwrap_err();
    assert_eq!(error.key, "intershop.inventory.azure.clientId");
}

#[test]
fn a_left_over_properties_file_wins_over_nothing_of_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let properties = folder.path().join("inventory.properties");
    let old = "intershop.inventory.threadPool.size=7\nintershop.inventory.azure.clientID=old\n\
        intershop.inventory.azure.resource=https://old.example\n";
    std::fs::write(&properties, old).unwrap();
    let file = folder.path().join("connector.toml");
    let loaded = |own: &str, variable: Option<&str>| {
        std::fs::write(&file, format!("{own}\n{TENANT}")).unwrap();
        let environment = variable.map(|value| ("CONNECTOR__API__WORKERS".into(), value.into()));
        let settings = Layers::with_environment(environment.into_iter().collect())
            .file(Some(&file))
            .properties(Some(&properties))
            .load()
            .unwrap();
        let entra = &settings.tenants[0].entra;
        assert_eq!(entra.client_id, "app");
        assert_eq!(entra.token_endpoint_version, TokenEndpointVersion::V2);
        settings.api.workers
    };
    assert_eq!(loaded("[api]\nworkers = 3", None), 3);
    assert_eq!(loaded("[api]\nworkers = 3", Some("4")), 4);
    assert_eq!(loaded("", Some("4")), 4);
    assert_eq!(loaded("[api]\ndrain_timeout = \"1s\"", None), 7);
}

#[test]
fn layers_show_no_value() {
    let environment = [("OTHER_SECRET".to_owned(), "c4n4ry".to_owned())];
    let layers = Layers::with_environment(environment.into())
        .flag("redis.url", Some("redis://:c4n4ry@cache"));
    let shown = format!("{layers:?}");
    assert!(
        shown.contains("redis.url") && !shown.contains("c4n4ry"),
        "{shown}"
    );
}

#[test]
fn a_published_address_gets_a_token_only_if_the_settings_name_it() {
    let allows = |environments: &str, address: &str| {
        let file = format!("[api.live]\nenvironments = {environments}");
        let live = load(&file, &[]).unwrap().api.live;
        live.may_be_sent_tokens(&address.parse().unwrap())
    };
    let default = "[\".dynamics.com\"]";
    for (address, expected) in [
        ("https://contoso.operations.dynamics.com", true),
        ("https://CONTOSO.operations.dynamics.com/", true),
        ("https://contoso.operations.dynamics.com:8443", false),
        ("http://contoso.operations.dynamics.com", false),
        ("https://dynamics.com", false),
        ("https://evildynamics.com", false),
        ("https://contoso.operations.dynamics.com.example", false),
        ("http://127.0.0.1:1", false),
        ("https://[::1]", false),
    ] {
        assert_eq!(allows(default, address), expected, "{address}");
    }
    let one = "[\"https://erp.example:444\"]";
    assert!(allows(one, "https://erp.example:444"));
    assert!(!allows(one, "https://erp.example"));
    assert!(!allows(one, "https://a.erp.example:444"));
    assert!(!allows("[]", "https://contoso.operations.dynamics.com"));
    for wrong in [
        ".com",
        ".",
        "contoso.dynamics.com",
        "http://erp.example",
        ".a b.c",
    ] {
        let error = load(&format!("[api.live]\nenvironments = [{wrong:?}]"), &[]).unwrap_err();
        assert_eq!(error.key, "api.live.environments", "{wrong}");
    }
}
