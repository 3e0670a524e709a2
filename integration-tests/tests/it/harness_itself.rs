//! The harness tells the truth about the programs it runs.

use integration_tests::server_process::{ServerProcess, ServerProcessError};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> ServerProcess {
    ServerProcess::start("script", Command::new("sh").args(["-c", script])).unwrap()
}

#[tokio::test]
async fn a_line_of_a_running_program_is_seen() {
    let program = shell("echo first; echo second >&2; exec sleep 60");
    for awaited in ["first", "second"] {
        let seen = program.wait_for(awaited, PATIENCE, |line| (line == awaited).then_some(()));
        seen.await.unwrap();
    }
}

#[tokio::test]
async fn a_program_that_ends_early_is_quoted() {
    let program = shell("echo the port is taken; exit 3");
    let silent = program
        .wait_for("listening", PATIENCE, |line| {
            (line == "listening").then_some(())
        })
        .await
        .unwrap_err()
        .to_string();
    assert!(silent.contains("the program ended"), "{silent}");
    assert!(silent.contains("the port is taken"), "{silent}");
}

#[tokio::test]
async fn a_program_that_ends_kindly_keeps_its_exit_code() {
    let mut program = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    let ready = program.wait_for("ready", PATIENCE, |line| (line == "ready").then_some(()));
    ready.await.unwrap();
    assert_eq!(program.stop().await.unwrap().code(), Some(7));
    assert!(!program.is_running());
}

#[tokio::test]
async fn a_dropped_program_is_gone() {
    let program = shell("echo ready; exec sleep 60");
    let id = program.id();
    drop(program);
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let missing = ServerProcess::start("nobody", &mut Command::new("/no/such/program"));
    assert!(matches!(
        missing.unwrap_err(),
        ServerProcessError::Spawn { name, .. } if name == "nobody"
    ));
}
