//! The built binary: its flags, its scenarios, its start and its end.

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};

    /// A running simulator, killed when the test ends.
    struct Running {
        process: Child,
        url: String,
    }

    impl Drop for Running {
        fn drop(&mut self) {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }

    fn binary() -> Command {
        Command::new(env!("CARGO_BIN_EXE_d365-simulator"))
    }

    fn run(flags: &[&str]) -> Running {
        let mut process = binary()
            .args(["--listen", "127.0.0.1:0", "--log", "warn"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("d365-simulator listening on ")
            .unwrap()
            .to_owned();
        Running { process, url }
    }

    fn refused(flags: &[&str]) -> String {
        let Output { status, stderr, .. } = binary().args(flags).output().unwrap();
        assert!(!status.success(), "{flags:?}");
        String::from_utf8(stderr).unwrap()
    }

    fn scenario(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios")
            .join(name)
    }

    async fn json(url: &str) -> serde_json::Value {
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    #[tokio::test]
    async fn it_says_where_it_listens_and_stops_on_a_signal() {
        let mut running = run(&["--items", "50"]);
        let clock = json(&format!("{}/control/clock", running.url)).await;
        assert!(clock["now"].is_string());
        let pid = running.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        assert!(running.process.wait().unwrap().success());
    }

    #[tokio::test]
    async fn flags_win_over_the_scenario() {
        let file = scenario("dirty-data.toml");
        let running = run(&[
            "--scenario",
            file.to_str().unwrap(),
            "--items",
            "60",
            "--warehouses",
            "6",
        ]);
        let switches = json(&format!("{}/control/switches", running.url)).await;
        assert_eq!(switches["numbers"], "six-decimals");
        let truth = reqwest::get(format!(
            "{}/control/truth?company=usmf&warehouse=24",
            running.url
        ));
        let truth = truth.await.unwrap().text().await.unwrap();
        assert!(
            (30..70).contains(&truth.lines().count()),
            "{} rows",
            truth.lines().count()
        );
        assert!(
            truth.contains("9007199254740993.000001"),
            "the scenario's own rows"
        );
    }

    #[tokio::test]
    async fn apps_of_the_command_line_get_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let federated = folder.path().join("token");
        std::fs::write(&federated, "projected.token\n").unwrap();
        let running = run(&[
            "--items",
            "50",
            "--client-id",
            "one",
            "--client-secret",
            "s1",
            "--client-id",
            "two",
            "--client-secret",
            "s2",
            "--federated-token-file",
            federated.to_str().unwrap(),
            "--entra-tenant",
            "contoso",
        ]);
        let http = reqwest::Client::new();
        let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let cases: [(&[(&str, &str)], u16); 4] = [
            (&[("client_id", "one"), ("client_secret", "s1")], 200),
            (&[("client_id", "two"), ("client_secret", "s2")], 200),
            (&[("client_id", "two"), ("client_secret", "s1")], 401),
            (
                &[
                    ("client_id", "one"),
                    ("client_assertion_type", assertion),
                    ("client_assertion", "projected.token"),
                ],
                200,
            ),
        ];
        for (fields, status) in cases {
            let mut form = vec![
                ("grant_type", "client_credentials"),
                ("resource", running.url.as_str()),
            ];
            form.extend(fields);
            let request = http
                .post(format!("{}/contoso/oauth2/token", running.url))
                .form(&form);
            assert_eq!(request.send().await.unwrap().status(), status, "{fields:?}");
        }
    }

    #[test]
    fn every_scenario_is_understood() {
        let mut seen = 0;
        for file in std::fs::read_dir(scenario("")).unwrap() {
            let file = file.unwrap().path();
            drop(run(&[
                "--scenario",
                file.to_str().unwrap(),
                "--items",
                "20",
            ]));
            seen += 1;
        }
        assert!(seen >= 4);
    }

    #[test]
    fn mistakes_stop_the_start_with_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad.toml");
        std::fs::write(&bad, "[world]\nitmes = 5\n").unwrap();
        let cases: [(&[&str], &str); 7] = [
            (&["--scenario", bad.to_str().unwrap()], "itmes"),
            (&["--scenario", "/nowhere.toml"], "/nowhere.toml"),
            (&["--page-size", "20000"], "20000"),
            (&["--client-id", "one"], "--client-secret"),
            (&["--token-life", "0"], "token life"),
            (&["--tls-cert", "x.pem"], "--tls-key"),
            (
                &[
                    "--listen",
                    "127.0.0.1:0",
                    "--tls-cert",
                    "/no.pem",
                    "--tls-key",
                    "/no.pem",
                ],
                "/no.pem",
            ),
        ];
        for (flags, word) in cases {
            let said = refused(flags);
            assert!(said.contains(word), "{flags:?}: {said}");
        }
    }

    #[test]
    fn a_taken_address_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let said = refused(&["--listen", &address, "--items", "20"]);
        assert!(said.contains(&address), "{said}");
    }

    #[test]
    fn help_names_every_flag_without_secrets() {
        let help = String::from_utf8(binary().arg("--help").output().unwrap().stdout).unwrap();
        for flag in [
            "--listen",
            "--scenario",
            "--items",
            "--warehouses",
            "--seed",
            "--page-size",
            "--sales-per-second",
            "--client-id",
            "--client-secret",
            "--tls-cert",
            "--control-token",
        ] {
            assert!(help.contains(flag), "{flag}");
        }
        assert!(!help.contains(d365_simulator::Config::CLIENT_SECRET));
    }
}
