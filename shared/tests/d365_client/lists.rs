use crate::erp::{Erp, sorted, world_of};
use d365_simulator::{Action, Config, Kind, LinkTrick, TlsFiles};
use shared::d365::{D365Client, D365Error, OnHandSource, Purpose, VariantQuestion};
use shared::stock::Sku;
use std::time::Duration;

fn paged() -> Erp {
    Erp::with(Config {
        page_size: 13,
        ..world_of(300)
    })
}

#[tokio::test]
async fn all_variants_are_read_through_all_pages() {
    let erp = paged();
    let expected = erp.simulator().variants("usmf").unwrap();
    assert!(expected.len() > 30);
    let variants = erp
        .client(Purpose::Prefetch)
        .variants(&VariantQuestion::All)
        .await
        .unwrap();
    assert_eq!(
        sorted(variants.iter().map(|variant| format!(
            "{}|{}|{}|{}",
            variant.sku, variant.item, variant.dimensions.color, variant.dimensions.size
        ))),
        sorted(expected.iter().map(|line| format!(
            "{}|{}|{}|{}",
            line.variant, line.item, line.color, line.size
        )))
    );
}

#[tokio::test]
async fn variants_are_found_by_number_and_by_item() {
    let erp = paged();
    let all = erp.simulator().variants("usmf").unwrap();
    let by_number = &all[0];
    let by_item = all.iter().find(|line| line.item != by_number.item).unwrap();
    let question = VariantQuestion::Of {
        skus: [&by_number.variant, &by_item.item]
            .map(|text| Sku::parse(text.as_str()).unwrap())
            .to_vec(),
        time_left: Duration::from_millis(2_500),
    };
    let variants = erp.client(Purpose::Live).variants(&question).await.unwrap();
    let expected = all
        .iter()
        .filter(|line| line.variant == by_number.variant || line.item == by_item.item)
        .map(|line| line.variant.clone());
    assert_eq!(
        sorted(variants.iter().map(|variant| variant.sku.to_string())),
        sorted(expected)
    );
}

#[tokio::test]
async fn a_chain_that_runs_in_a_circle_or_never_ends_is_given_up() {
    for trick in [LinkTrick::SamePage, LinkTrick::Endless] {
        let erp = paged();
        erp.break_all(Kind::Variants, Action::NextLink { trick, host: None });
        let question = VariantQuestion::Of {
            skus: vec![Sku::parse("SKU-1").unwrap()],
            time_left: Duration::from_secs(5),
        };
        let error = erp.client(Purpose::Live).variants(&question).await;
        assert!(
            matches!(error, Err(D365Error::BadAnswer { .. })),
            "{error:?}"
        );
        assert!(erp.asked(Kind::Variants).len() <= 10);
    }
}

#[tokio::test]
async fn the_warehouses_of_the_company_are_listed() {
    let erp = paged();
    let expected = erp
        .simulator()
        .warehouses()
        .into_iter()
        .filter(|line| line.company == "usmf" && !line.warehouse.is_empty())
        .map(|line| line.warehouse);
    let found = erp.client(Purpose::Prefetch).warehouses().await.unwrap();
    assert!(found.len() >= 3);
    assert_eq!(
        sorted(found.iter().map(ToString::to_string)),
        sorted(expected)
    );
}

#[tokio::test]
async fn an_authority_file_makes_a_private_certificate_trusted() {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificates, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificates, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let mut erp = Erp::with(Config {
        tls: Some(TlsFiles {
            certificates: certificates.clone(),
            key: key.clone(),
        }),
        ..Config::default()
    });
    let untrusted = erp.client(Purpose::Live).warehouses().await;
    assert!(
        matches!(untrusted, Err(D365Error::Token { .. })),
        "{untrusted:?}"
    );

    erp.tenant = format!("ca_file = {certificates:?}");
    let trusted = erp.client(Purpose::Live).warehouses().await.unwrap();
    assert!(!trusted.is_empty());

    for file in [key, folder.path().join("missing.pem")] {
        erp.tenant = format!("ca_file = {file:?}");
        let (clock, gate) = (erp.clock.clone(), erp.gate.clone());
        let refused = D365Client::new(&erp.settings(), Purpose::Live, clock, gate);
        assert!(
            matches!(&refused, Err(D365Error::Setup { problem }) if problem.contains("ca_file")),
            "{refused:?}"
        );
    }
}
