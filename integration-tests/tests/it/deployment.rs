//! The configuration files shipped in `deploy/` are accepted by the programs they are for.

use integration_tests::binaries::Program;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the shipped files expect the secrets, and which.
const SECRETS: &str = "/run/secrets/connector";
const SECRET_FILES: [(&str, &str); 4] = [
    ("redis-password", "secret"),
    ("d365-client-secret", "secret"),
    ("icm-password-hash", HASH),
    ("operator-password-hash", HASH),
];
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$nHFlT7ZACpSn3HeD+XeqvA$DFDnQAKvU9UEKcdEKlW9zPDaZqfmgpleL3Q5KkkVs/s";

#[test]
fn both_services_accept_the_shipped_configurations() {
    for file in ["compose/connector.toml", "kubernetes/connector.toml"] {
        let place = tempfile::tempdir().unwrap();
        for (file, secret) in SECRET_FILES {
            fs::write(place.path().join(file), secret).unwrap();
        }
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../deploy")
            .join(file);
        let here = place.path().to_str().unwrap();
        let text = fs::read_to_string(shipped).unwrap().replace(SECRETS, here);
        let config = place.path().join("connector.toml");
        fs::write(&config, text).unwrap();
        for program in [Program::InventoryApi, Program::PrefetchWorker] {
            let checked = Command::new(program.path().unwrap())
                .args(["--check", "--config"])
                .arg(&config)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success(), "{program}, {file}: {said}");
        }
    }
}
