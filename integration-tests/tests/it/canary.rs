//! No secret shows in anything the services say, and the hunter would have found one.

use integration_tests::canary::hunt;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_anywhere() {
    let hunt = hunt(false, None).await.unwrap();
    assert_eq!(hunt.hits, Vec::<String>::new());
    assert!(hunt.texts > 500 && hunt.bytes > 1_000_000, "{hunt:?}");
    assert!(hunt.let_in >= 54 && hunt.turned_away >= 162, "{hunt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hunter_finds_a_planted_canary_in_each_kind_of_text() {
    // It complains itself of a kind in which it found none.
    let hunt = hunt(true, None).await.unwrap();
    assert!(!hunt.hits.is_empty());
}
