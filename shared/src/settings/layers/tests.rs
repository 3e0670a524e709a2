use super::*;
use crate::settings::{LogFormat, Secret, TokenEndpointVersion};
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

fn complaint(file: &str) -> String {
    load(file, &[]).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_whole() {
    let settings = Layers::default().load().unwrap();
    assert_eq!(settings.redis.command_timeout, Duration::from_millis(250));
    assert_eq!(settings.api.limits.body_bytes, 1024 * 1024);
    assert!(settings.tenants.is_empty());
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
    let hash = crate::http::auth::hash_password(&Secret::new("twelve and more")).unwrap();
    let text = text.replace(
        "name = \"icm\"",
        &format!("name = \"icm\"\npassword_hash = \"{hash}\""),
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
            ("CONNECTOR__REDIS__POOL_SIZE", "3"),
            ("CONNECTOR__REDIS__COMMAND_TIMEOUT", "1s"),
            ("CONNECTOR__TENANTS__0__WAREHOUSES", "51,61"),
            (
                "CONNECTOR__TENANTS__CONTOSO_EU__ENTRA__CLIENT_SECRET",
                "fresh",
            ),
            ("CONNECTOR__CHANNELS__0__ID", "shop"),
            ("CONNECTOR__CHANNELS__0__TENANT", "contoso-eu"),
            ("CONNECTOR__CHANNELS__SHOP__BUFFER", "2.5"),
            ("CONNECTOR__CHANNELS__SHOP__SHOW_QUANTITY", "false"),
            ("CONNECTOR__API__LIMITS__BODY_BYTES", "64KiB"),
            ("CONNECTOR__LOG__FORMAT", "human"),
            ("UNRELATED", "x"),
        ],
    )
    .unwrap();
    assert_eq!(settings.redis.pool_size, 3);
    assert_eq!(settings.redis.command_timeout, Duration::from_secs(1));
    assert_eq!(settings.tenants[0].warehouses[1].as_str(), "61");
    let secret = settings.tenants[0].entra.client_secret.as_ref().unwrap();
    assert_eq!(secret.expose(), "fresh");
    assert_eq!(settings.channels[0].buffer.to_string(), "2.5");
    assert!(!settings.channels[0].show_quantity);
    assert_eq!(settings.api.limits.body_bytes, 65_536);
    assert_eq!(settings.log.format, LogFormat::Human);
}

#[test]
fn a_flag_wins_over_environment_and_file() {
    let environment = [(
        "CONNECTOR__API__LISTEN".to_owned(),
        "127.0.0.1:1".to_owned(),
    )]
    .into();
    let settings = Layers::with_environment(environment)
        .flag("api.listen", Some("127.0.0.1:2"))
        .load()
        .unwrap();
    assert_eq!(settings.api.listen.port(), 2);
}

#[test]
fn lines_must_outlive_two_intervals_of_every_tenant() {
    let ttl = |ttl: &str| format!("[redis]\nline_ttl = \"{ttl}\"\n{TENANT}");
    let message = complaint(&ttl("30m"));
    assert!(
        message.starts_with("setting redis.line_ttl: ")
            && message.contains("two refresh intervals"),
        "{message}"
    );
    load(&ttl("31m"), &[]).unwrap();
}

#[test]
fn an_unknown_key_is_named_with_its_nearest_neighbour() {
    let message = complaint("[redis]\nurll = \"redis://x\"\n");
    assert_eq!(
        message,
        "setting redis.urll: there is no such key; did you mean \"url\"?"
    );
    let error = load("", &[("CONNECTOR__REDIS__POOLSIZE", "3")]).unwrap_err();
    assert_eq!(error.key, "redis.poolsize");
    let message = complaint(&TENANT.replace("client_id", "clientid"));
    assert!(
        message.contains("entra.clientid") && message.contains("client_id"),
        "{message}"
    );
}

#[test]
fn a_mistake_is_told_with_its_key_and_never_with_a_secret() {
    for (from, to, key) in [
        (
            "https://contoso",
            "http://contoso",
            "tenants[0].environment_url",
        ),
        (
            "https://contoso.operations.dynamics.com",
            "ftp://x",
            "tenants[0].environment_url",
        ),
        (
            "https://contoso.operations.dynamics.com",
            "not a url",
            "tenants[0].environment_url",
        ),
        (
            "dynamics.com\"",
            "dynamics.com/data\"",
            "tenants[0].environment_url",
        ),
        (
            "client_secret = \"c4n4ry\"",
            "",
            "tenants[0].entra.client_secret",
        ),
        (
            "client_secret = \"c4n4ry\"",
            "client_secret_file = \"/nowhere\"",
            "tenants[0].entra.client_secret_file",
        ),
        ("client_id = \"app\"", "", "tenants[0].entra.client_id"),
        ("[\"11\", \"24\"]", "[]", "tenants[0].warehouses"),
        (
            "[\"11\", \"24\"]",
            "[\"11\", \"11\"]",
            "tenants[0].warehouses",
        ),
        ("\"contoso-eu\"", "\"Contoso EU\"", "tenants[0].id"),
        ("\"USMF\"", "\"US'MF\"", "tenants[0].legal_entity"),
    ] {
        let file = TENANT.replace(from, to);
        assert_ne!(file, TENANT, "{from}");
        let error = load(&file, &[]).unwrap_err();
        assert_eq!(error.key, key, "{error}");
        assert!(!error.to_string().contains("c4n4ry"), "{error}");
    }
    let message = complaint("[redis]\npassword = \"c4n4ry\n");
    assert!(
        message.contains("line 2") && !message.contains("c4n4ry"),
        "{message}"
    );
}

#[test]
fn two_tenants_may_not_share_an_id() {
    let error = load(&format!("{TENANT}{TENANT}"), &[]).unwrap_err();
    assert_eq!(error.key, "tenants[1].id");
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
fn an_address_of_redis_says_where_it_is_and_nothing_else() {
    // A fragment switches certificate checks off; a query changes the protocol, or is not read.
    for more in ["#insecure", "/0?protocol=resp3", "/0?password=c4n4ry", "?"] {
        let file = format!("[redis]\nurl = \"rediss://cache:6380{more}\"\n");
        let error = load(&file, &[]).unwrap_err();
        assert_eq!(error.key, "redis.url", "{more}");
        assert!(!error.to_string().contains("c4n4ry"), "{error}");
    }
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
fn a_value_of_the_wrong_kind_is_never_quoted() {
    const CANARY: &str = "canary-4711";
    let files = [
        // An address nobody can parse, password included.
        format!("[redis]\nurl = \"redis://:{CANARY}@host:port\""),
        format!("[redis]\nurl = \"{CANARY}\""),
        "[redis]\npassword = 4711".to_owned(),
        "[redis]\npassword = 4711.5".to_owned(),
        "[redis]\npassword = [\"canary-4711\"]".to_owned(),
        format!("redis = \"{CANARY}\""),
        format!("api = \"{CANARY}, expected nothing\""),
        "[worker.events]\nsecret = 4711".to_owned(),
    ];
    for text in files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connector.toml");
        std::fs::write(&path, &text).unwrap();
        let error = Layers::default().file(Some(&path)).load().unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!error.key.is_empty(), "{text}: {said}");
        assert!(!said.contains("4711"), "{text}: {said}");
    }
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
        let said = complaint(&format!("[api.live]\nenvironments = [{wrong:?}]"));
        assert!(said.contains("api.live.environments"), "{said}");
    }
}
