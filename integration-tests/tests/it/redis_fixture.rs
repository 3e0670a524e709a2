//! Both kinds of Redis the tests can run on do what the tests rely on. Also says which kind this
//! machine's tests use.

use integration_tests::redis_fixture::{NoContainers, RedisFixture, containers_can_run};
use redis::AsyncCommands;

#[tokio::test]
async fn a_process_keeps_its_address_and_loses_its_data_over_a_restart() {
    keeps_its_address_and_loses_its_data(RedisFixture::start_process().await.unwrap()).await;
}

#[tokio::test]
async fn a_container_keeps_its_address_and_loses_its_data_over_a_restart() {
    match containers_can_run().await {
        Ok(()) => {
            let redis = RedisFixture::start_container().await.unwrap();
            keeps_its_address_and_loses_its_data(redis).await;
        }
        Err(reason @ NoContainers::NoEngine(_)) => println!("SKIPPED, no container: {reason}"),
        // An engine without the image is a mistake in the set-up, not a reason to skip.
        Err(reason @ NoContainers::NoImage) => panic!("{reason}"),
    }
}

#[tokio::test]
async fn the_tests_say_which_redis_they_use() {
    let redis = RedisFixture::start().await.unwrap();
    println!(
        "tests that leave the choice open use Redis {} as {redis}",
        redis.version().await.unwrap()
    );
    assert!(redis.url().ends_with(&redis.port().to_string()));
}

#[tokio::test]
async fn a_dropped_process_is_gone() {
    let redis = RedisFixture::start_process().await.unwrap();
    let url = redis.url();
    drop(redis);
    let client = redis::Client::open(url).unwrap();
    let refused = client.get_multiplexed_async_connection().await;
    assert!(refused.unwrap_err().is_connection_refusal());
}

async fn keeps_its_address_and_loses_its_data(mut redis: RedisFixture) {
    println!("Redis {} as {redis}", redis.version().await.unwrap());
    let url = redis.url();
    set(&redis, "before").await;
    assert_eq!(keys(&redis).await, 1);
    redis.flush().await.unwrap();
    assert_eq!(keys(&redis).await, 0);

    set(&redis, "kept by nobody").await;
    redis.stop().await.unwrap();
    assert!(
        redis.connection().await.is_err(),
        "a stopped server answers"
    );
    redis.start_again().await.unwrap();
    assert_eq!(redis.url(), url);
    assert_eq!(keys(&redis).await, 0);
}

async fn set(redis: &RedisFixture, key: &str) {
    let mut connection = redis.connection().await.unwrap();
    let () = connection.set(key, "value").await.unwrap();
}

async fn keys(redis: &RedisFixture) -> u64 {
    let mut connection = redis.connection().await.unwrap();
    redis::cmd("DBSIZE")
        .query_async(&mut connection)
        .await
        .unwrap()
}
