use crate::http::auth::hash_password;
use crate::settings::{Layers, RoleName, Secret, Settings, SettingsError};

fn load(text: &str) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    std::fs::write(&path, text).unwrap();
    Layers::default().file(Some(&path)).load()
}

fn hash() -> String {
    hash_password(&Secret::new("correct horse")).unwrap()
}

fn user(lines: &str) -> String {
    format!("[[api.auth.basic]]\n{lines}\n")
}

#[test]
fn without_a_decision_nothing_is_served() {
    let problem = load("").unwrap().check_authentication().unwrap_err();
    assert_eq!(problem.key, "api.auth");
    for decided in [
        "[api.auth]\ninsecure_no_authentication = true".to_owned(),
        user(&format!(
            "name = 'icm'\npassword_hash = '{}'\nroles = ['browse']",
            hash()
        )),
        "[api.auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks_file = '/keys'\nalgorithm = 'ES256'"
            .to_owned(),
    ] {
        load(&decided).unwrap().check_authentication().unwrap();
    }
}

#[test]
fn without_authentication_only_loopback_listeners_serve() {
    let open = "[api.auth]\ninsecure_no_authentication = true\n";
    for (more, key) in [
        ("[api]\nlisten = '0.0.0.0:8080'", "api.listen"),
        ("[api]\nlisten = '[::]:8080'", "api.listen"),
        ("[api]\nlisten = '10.0.0.1:8080'", "api.listen"),
        ("[worker]\nlisten = '0.0.0.0:8090'", "worker.listen"),
        (
            "[api.auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks_file = '/k'\nalgorithm = 'RS256'",
            "api.auth.insecure_no_authentication",
        ),
    ] {
        assert_eq!(
            load(&format!("{open}{more}")).unwrap_err().key,
            key,
            "{more}"
        );
    }
    load(&format!("{open}[api]\nlisten = '[::1]:8080'")).unwrap();
}

#[test]
fn a_user_has_a_name_of_its_own_roles_and_one_hash() {
    let hash = hash();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hash");
    std::fs::write(&file, format!("{hash}\n")).unwrap();
    let file = file.display();
    let settings = load(&user(&format!(
        "name = 'icm'\npassword_hash_file = '{file}'\nroles = ['browse', 'order']\nchannels = ['shop']"
    )));
    let settings = settings.unwrap();
    let read = &settings.api.auth.basic[0];
    assert_eq!(read.password_hash.as_ref().unwrap().expose(), hash);
    assert_eq!(read.roles, [RoleName::Browse, RoleName::Order]);
    assert_eq!(read.tenants, None);
    assert!(!settings.shown().unwrap().contains(&hash[20..]));

    let cheap = hash.replace("m=19456", "m=64");
    let argon2i = hash.replace("argon2id", "argon2i");
    for (lines, key) in [
        (
            format!("name = ''\npassword_hash = '{hash}'\nroles = ['browse']"),
            "name",
        ),
        (
            format!("name = 'a:b'\npassword_hash = '{hash}'\nroles = ['browse']"),
            "name",
        ),
        (
            format!("name = 'a'\npassword_hash = '{hash}'\nroles = []"),
            "roles",
        ),
        ("name = 'a'\nroles = ['browse']".to_owned(), "password_hash"),
        (
            "name = 'a'\npassword_hash = 'plain'\nroles = ['browse']".to_owned(),
            "password_hash",
        ),
        (
            format!("name = 'a'\npassword_hash = '{cheap}'\nroles = ['browse']"),
            "password_hash",
        ),
        (
            format!("name = 'a'\npassword_hash = '{argon2i}'\nroles = ['browse']"),
            "password_hash",
        ),
        (
            "name = 'a'\npassword_hash_file = '/no'\nroles = ['browse']".to_owned(),
            "password_hash_file",
        ),
    ] {
        let problem = load(&user(&lines)).unwrap_err();
        assert_eq!(problem.key, format!("api.auth.basic[0].{key}"), "{lines}");
    }
    let one = user(&format!(
        "name = 'a'\npassword_hash = '{hash}'\nroles = ['browse']"
    ));
    assert_eq!(
        load(&one.repeat(2)).unwrap_err().key,
        "api.auth.basic[1].name"
    );
    let unknown_role = user(&format!(
        "name = 'a'\npassword_hash = '{hash}'\nroles = ['root']"
    ));
    assert!(load(&unknown_role).is_err());
}

#[test]
fn an_issuer_has_one_place_for_its_keys_and_it_is_safe() {
    let jwt = "[api.auth.jwt]\nissuer = 'i'\naudience = 'a'\nalgorithm = 'RS256'\n";
    load(&format!("{jwt}jwks_url = 'https://login.example/keys'")).unwrap();
    load(&format!("{jwt}jwks_url = 'http://127.0.0.1:9/keys'")).unwrap();
    for (line, key) in [
        ("", "jwks_url"),
        ("jwks_url = 'http://login.example/keys'", "jwks_url"),
        ("jwks_url = 'https://u:p@login.example/keys'", "jwks_url"),
        ("jwks_url = 'https://x/'\njwks_file = '/k'", "jwks_file"),
        ("jwks_file = '/k'\nleeway = '1h'", "leeway"),
    ] {
        let problem = load(&format!("{jwt}{line}")).unwrap_err();
        assert_eq!(problem.key, format!("api.auth.jwt.{key}"), "{line}");
    }
    let both = jwt.replace("RS256", "HS256");
    assert!(load(&format!("{both}jwks_file = '/k'")).is_err());
}
