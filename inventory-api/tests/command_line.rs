//! The built program: commands, exit codes, what it says.

#![expect(clippy::unwrap_used, reason = "in a test, what fails may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventory-api"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn config(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn checked(text: &str) -> Output {
    let file = config(text);
    program()
        .arg("check")
        .arg("-c")
        .arg(file.path())
        .output()
        .unwrap()
}

const OPEN: &str = "[api.auth]\ninsecure_no_authentication = true\n";

const TENANT: &str = "[[tenants]]\nid = 'contoso'\nenvironment_url = 'https://contoso.operations.dynamics.com'\n\
    legal_entity = 'usmf'\nwarehouses = ['11']\n[tenants.entra]\ntenant_id = 't'\nclient_id = 'c'\n";

#[test]
fn check_prints_the_settings_without_their_secrets() {
    let text = format!("{OPEN}{TENANT}client_secret = 'hush-hush'\n");
    let file = config(&text);
    for arguments in [vec!["check"], vec!["--check"]] {
        let output = program()
            .args(arguments)
            .env("CONNECTOR_CONFIG", file.path())
            .env("CONNECTOR__API__WORKERS", "3")
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{shown}");
        assert!(
            shown.contains("workers = 3") && shown.contains("***"),
            "{shown}"
        );
        assert!(!shown.contains("hush-hush"), "{shown}");
    }
}

#[test]
fn bad_settings_end_the_start_with_one_message_that_names_the_key() {
    let http = TENANT.replace("https:", "http:");
    for (text, key) in [
        ("[redis]\nurk = 1\n".to_owned(), "redis.urk"),
        (TENANT.to_owned(), "tenants[0].entra.client_secret"),
        (
            format!("{http}client_secret = 's'\n"),
            "tenants[0].environment_url",
        ),
        (
            format!("{TENANT}client_secret = 's'\n{TENANT}client_secret = 's'\n"),
            "tenants[1].id",
        ),
        ("[redis]\nurl = 'http://x'\n".to_owned(), "redis.url"),
        (String::new(), "api.auth"),
        (format!("{OPEN}[api]\nlisten = '0.0.0.0:1'\n"), "api.listen"),
        (
            format!("{OPEN}[worker]\nlisten = '[::]:1'\n"),
            "worker.listen",
        ),
    ] {
        for command in ["check", "run"] {
            let file = config(&text);
            let output = program()
                .arg(command)
                .arg("-c")
                .arg(file.path())
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(78), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains(key), "{said}");
        }
    }
    let missing = checked(OPEN);
    assert!(
        missing.status.success(),
        "no tenant is needed: one may be published"
    );
    let output = program()
        .args(["check", "-c", "/nowhere.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn a_password_becomes_a_hash_that_the_settings_take() {
    let hash_of = |password: &str| {
        let mut child = program()
            .arg("hash-password")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut typed = child.stdin.take().unwrap();
        writeln!(typed, "{password}").unwrap();
        drop(typed);
        child.wait_with_output().unwrap()
    };
    let output = hash_of("correct horse battery");
    assert!(output.status.success());
    let hash = String::from_utf8(output.stdout).unwrap();
    let hash = hash.trim_end();
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
    let user =
        format!("[[api.auth.basic]]\nname = 'icm'\npassword_hash = '{hash}'\nroles = ['browse']\n");
    let shown = checked(&user);
    let said = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{said}");
    assert!(said.contains("icm") && !said.contains("argon2"), "{said}");
    let short = hash_of("short");
    assert!(!short.status.success());
    let said = String::from_utf8(short.stderr).unwrap();
    assert!(said.contains("12") && !said.contains("short\n"), "{said}");
}

#[test]
fn openapi_prints_the_document() {
    let output = program().arg("openapi").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_starts_without_redis_says_where_it_listens_and_ends_when_told() {
    let file = config(OPEN);
    let child = program()
        .args(["-c", file.path().to_str().unwrap()])
        .args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--management-listen",
            "127.0.0.1:0",
        ])
        .args(["--redis-url", "redis://127.0.0.1:1", "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut surfaces = Vec::new();
    let mut is_said_open = false;
    while surfaces.len() < 2 {
        let line: serde_json::Value = serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
        is_said_open |= line["message"]
            .as_str()
            .is_some_and(|said| line["level"] == "WARN" && said.contains("not authenticated"));
        if line["message"] == "listening" {
            assert!(!line["address"].as_str().unwrap().ends_with(":0"));
            surfaces.push(line["surface"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(surfaces, ["api", "management"]);
    assert!(is_said_open, "an open door is told about before it opens");
    let pid = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = log.map(Result::unwrap).collect();
    assert!(running.0.wait().unwrap().success());
    assert!(rest.last().unwrap().contains("stopped"), "{rest:?}");
    let mut said = String::new();
    running
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
}
