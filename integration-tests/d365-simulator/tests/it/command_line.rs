//! The built binary: its flags, its start and its end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_d365-simulator"))
}

#[tokio::test]
async fn it_says_where_it_listens_gives_its_apps_tokens_and_stops_on_a_signal() {
    let mut process = binary()
        .args(["--listen", "127.0.0.1:0", "--items", "50"])
        .args(["--client-id", "one", "--client-secret", "s1"])
        .args(["--client-id", "two", "--client-secret", "s2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("d365-simulator listening on ");
    let url = url.unwrap();
    let directory = d365_simulator::Config::ENTRA_TENANT;
    for (id, secret, status) in [("one", "s1", 200), ("two", "s2", 200), ("two", "s1", 401)] {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", url),
            ("client_id", id),
            ("client_secret", secret),
        ];
        let asked = reqwest::Client::new().post(format!("{url}/{directory}/oauth2/token"));
        let answer = asked.form(&form).send().await.unwrap();
        assert_eq!(answer.status(), status, "{id}");
    }
    let pid = process.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.unwrap().success());
    assert!(process.wait().unwrap().success());
}

#[test]
fn mistakes_stop_the_start_with_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let no_file = [
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        "/no.pem",
        "--tls-key",
        "/no.pem",
    ];
    for (flags, word) in [
        (&["--page-size", "20000"][..], "20000"),
        (&["--client-id", "one"], "--client-secret"),
        (&["--tls-cert", "x.pem"], "--tls-key"),
        (&no_file, "/no.pem"),
        (&["--items", "20", "--listen", &taken], &taken),
    ] {
        let output = binary().args(flags).output().unwrap();
        assert!(!output.status.success(), "{flags:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word), "{flags:?}: {said}");
    }
}
