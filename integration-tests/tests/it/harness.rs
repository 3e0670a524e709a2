//! The harness tells the truth about the programs it runs, and each kind of Redis does what tests rely on.

use integration_tests::redis_fixture::{NoContainers, RedisFixture, containers_can_run};
use integration_tests::server_process::{ServerProcess, ServerProcessError};
use integration_tests::test_bed::Failure;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_program_s_end_is_told_with_its_last_lines_and_its_exit_code() -> Result<(), Failure> {
    let shell = |script| ServerProcess::start("script", Command::new("sh").args(["-c", script]));
    let awaited = |line: &str| (line == "ready").then_some(());
    let early = shell("echo the port is taken; exit 3")?;
    let silent = early.wait_for("ready", PATIENCE, awaited).await;
    let silent = silent.unwrap_err().to_string();
    assert!(silent.contains("the program ended"), "{silent}");
    assert!(silent.contains("the port is taken"), "{silent}");
    let mut kind = shell("trap 'exit 7' TERM; echo ready >&2; while :; do sleep 0.05; done")?;
    kind.wait_for("ready", PATIENCE, awaited).await?;
    assert_eq!(kind.stop().await?.code(), Some(7));
    let dropped = shell("echo ready; exec sleep 60")?;
    let id = dropped.id();
    drop(dropped);
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    let missing = ServerProcess::start("nobody", &mut Command::new("/no/such/program"));
    assert!(matches!(missing, Err(ServerProcessError::Spawn { name, .. }) if name == "nobody"));
    Ok(())
}

#[tokio::test]
async fn a_redis_keeps_its_address_and_loses_its_data_over_a_restart() -> Result<(), Failure> {
    let mut kinds = vec![RedisFixture::start_process().await?];
    match containers_can_run().await {
        Ok(()) => kinds.push(RedisFixture::start_container().await?),
        Err(reason @ NoContainers::NoEngine(_)) => println!("SKIPPED, no container: {reason}"),
        // An engine without the image is a mistake in the set-up, not a reason to skip.
        Err(reason @ NoContainers::NoImage) => return Err(reason.into()),
    }
    for mut redis in kinds {
        println!("Redis {} as {redis}", redis.version().await?);
        let url = redis.url();
        let mut connection = redis.connection().await?;
        redis::cmd("SET")
            .arg(&["key", "value"])
            .exec_async(&mut connection)
            .await?;
        redis.stop().await?;
        assert!(
            redis.connection().await.is_err(),
            "a stopped server answers"
        );
        redis.start_again().await?;
        assert_eq!(redis.url(), url);
        let mut connection = redis.connection().await?;
        let keys: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await?;
        assert_eq!(keys, 0);
        drop(redis);
        let client = redis::Client::open(url)?;
        let refused = client.get_multiplexed_async_connection().await;
        assert!(refused.unwrap_err().is_connection_refusal());
    }
    Ok(())
}
