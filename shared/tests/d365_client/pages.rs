use crate::erp::{Erp, first_page, query, shown, shown_truth, sorted, world_of};
use d365_simulator::{
    Action, Config, CutPoint, Kind, LinkTrick, NumberStyle, StockChange, StockKey, Switches,
};
use shared::d365::{D365Error, OnHandSource, PageLimits, PageStart, Purpose};
use shared::stock::{ItemNumber, OnHandRow, WarehouseId};
use std::time::Duration;

fn is_truth(erp: &Erp, warehouse: &WarehouseId, rows: &[OnHandRow]) {
    let expected = sorted(erp.truth(warehouse).iter().map(shown_truth));
    assert!(expected.len() > 30, "{}", expected.len());
    assert_eq!(sorted(rows.iter().map(shown)), expected);
}

#[tokio::test]
async fn a_page_brings_every_row_of_its_warehouse_and_nothing_else() {
    let erp = Erp::start();
    let page = first_page(&erp).await.unwrap();
    is_truth(&erp, &erp.warehouse(), &page.rows);
    assert_eq!(page.end.rows, page.rows.len() as u64);
    assert_eq!(page.end.dropped_rows, 0);
    assert_eq!(page.end.next_link, None);
    assert!(
        page.rows
            .iter()
            .any(|row| row.item.as_str().starts_with(' ')),
        "the world has items with leading blanks"
    );
}

#[tokio::test]
async fn the_as_of_is_not_later_than_the_request() {
    let erp = Erp::start();
    let before = erp.clock.now();
    let page = first_page(&erp).await.unwrap();
    let arrived = erp.asked(Kind::Page)[0].started;
    assert!(before <= page.as_of);
    let arrived: shared::stock::AsOf = arrived.to_string().parse().unwrap();
    assert!(page.as_of <= arrived, "{} {arrived}", page.as_of);
}

#[tokio::test]
async fn numbers_are_exact_however_they_are_written_and_compressed() {
    for numbers in [
        NumberStyle::Plain,
        NumberStyle::OneDecimal,
        NumberStyle::SixDecimals,
        NumberStyle::Exponent,
    ] {
        for gzip in [false, true] {
            let erp = Erp::start();
            erp.simulator().set_switches(Switches { numbers, gzip });
            let page = first_page(&erp).await.unwrap();
            is_truth(&erp, &erp.warehouse(), &page.rows);
        }
    }
}

#[tokio::test]
async fn inside_an_item_rows_go_on_where_they_ended() {
    let erp = Erp::start();
    let warehouse = erp.warehouse();
    for item in ["T*", "T-SHIRT"] {
        for color in 0..7 {
            let key = StockKey {
                color: format!("C{color}"),
                ..StockKey::of("usmf", item, warehouse.as_str())
            };
            erp.simulator()
                .put_stock(&key, &StockChange::on_hand("1"))
                .unwrap();
        }
    }
    let client = erp.client(Purpose::Prefetch);
    for item in ["T*", "T-SHIRT"] {
        let mut colors = Vec::new();
        for skip in [0, 3, 6, 9] {
            let item = ItemNumber::parse(item).unwrap();
            let start = PageStart::WithinItem { item, skip };
            let page = client
                .read_page(&query(&warehouse, start, 3))
                .await
                .unwrap();
            let found = page.rows.into_iter();
            colors.extend(found.map(|row| row.dimensions.color.to_string()));
        }
        let expected: Vec<String> = (0..7).map(|color| format!("C{color}")).collect();
        assert_eq!(colors, expected, "{item}");
    }
}

#[tokio::test]
async fn links_lead_through_the_whole_warehouse() {
    let mut erp = Erp::with(Config {
        page_size: 11,
        ..world_of(60)
    });
    erp.tenant = "paging = \"next-link\"".to_owned();
    let client = erp.client(Purpose::Prefetch);
    let warehouse = erp.warehouse();
    let mut rows = Vec::new();
    let mut start = PageStart::First;
    let mut pages = 0;
    loop {
        let page = query(&warehouse, start, 10_000);
        let page = client.read_page(&page).await.unwrap();
        rows.extend(page.rows);
        pages += 1;
        match page.end.next_link {
            Some(link) => start = PageStart::Link(link),
            None => break,
        }
    }
    assert!(pages > 3);
    is_truth(&erp, &warehouse, &rows);
}

#[tokio::test]
async fn a_spoiled_page_is_an_error_and_never_a_short_page() {
    let html = |content_type: &str| Action::Html {
        content_type: content_type.to_owned(),
    };
    let cut = |after| Action::Cut { after };
    let null = Action::NullProperty {
        property: "OnHandQuantity".to_owned(),
        row: 3,
    };
    for (action, expected) in [
        (html("text/html"), "content type"),
        (html("application/json"), "not a page"),
        (Action::BadJson, "not a page: EOF"),
        (cut(CutPoint::Rows(5)), "connection"),
        (cut(CutPoint::Bytes(0)), "connection"),
        (Action::TruncatedGzip, "connection"),
        (Action::ServerError, "500"),
        (Action::Forbidden, "read privilege"),
        (Action::Unavailable { retry_after: None }, "503"),
        (
            Action::HugeBody { bytes: 4 << 20 },
            "larger than 1048576 bytes",
        ),
        (null, "row 4: OnHandQuantity is null"),
    ] {
        let erp = Erp::start();
        erp.simulator().set_switches(Switches {
            gzip: matches!(action, Action::TruncatedGzip),
            ..Switches::default()
        });
        erp.break_all(Kind::Page, action.clone());
        let error = first_page(&erp).await.err().unwrap();
        let said = error.to_string();
        assert!(said.contains(expected), "{action:?}: {said}");
        assert_eq!(erp.asked(Kind::Page).len(), 1, "a page is not repeated");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (erp, elsewhere) = (Erp::start(), Erp::start());
    let location = format!("http://127.0.0.1:{}/login", elsewhere.port());
    erp.break_all(Kind::Page, Action::Redirect { location });
    let error = first_page(&erp).await.err().unwrap();
    assert!(matches!(error, D365Error::Status { status: 302, .. }));
    assert_eq!(elsewhere.simulator().counters().requests, 0);
}

#[tokio::test]
async fn a_hostile_link_spoils_the_page_and_is_never_followed() {
    let (erp, elsewhere) = (Erp::start(), Erp::start());
    let trick = LinkTrick::OtherHost;
    let host = Some(format!("localhost:{}", elsewhere.port()));
    erp.break_all(Kind::Page, Action::NextLink { trick, host });
    let error = first_page(&erp).await.err().unwrap();
    assert!(error.to_string().contains("nextLink"), "{error}");
    assert_eq!(elsewhere.simulator().counters().requests, 0);
}

#[tokio::test]
async fn rows_of_another_company_or_warehouse_are_dropped_and_counted() {
    let erp = Erp::start();
    let company = "dat".to_owned();
    erp.break_all(Kind::Page, Action::WrongCompany { company });
    let page = first_page(&erp).await.unwrap();
    assert_eq!(page.rows, []);
    assert_eq!(page.end.dropped_rows, page.end.rows);
    assert!(page.end.rows > 0);

    for warehouse in ["", "other"] {
        erp.simulator().clear_faults();
        let wrong = Action::WrongWarehouse {
            warehouse: warehouse.to_owned(),
            every: 2,
        };
        erp.break_all(Kind::Page, wrong);
        let page = first_page(&erp).await.unwrap();
        assert!(page.end.dropped_rows > 10);
        is_truth(&erp, &erp.warehouse(), &page.rows);
    }
}

#[tokio::test]
async fn a_page_has_its_time_and_not_more() {
    let erp = Erp::start();
    for action in [
        Action::BlackHole,
        Action::Trickle {
            bytes: 1,
            pause_ms: 20,
        },
    ] {
        erp.simulator().clear_faults();
        erp.break_all(Kind::Page, action.clone());
        let limits = PageLimits {
            time: Duration::from_millis(300),
            bytes: 1024 * 1024,
        };
        let client = erp.client(Purpose::Prefetch).with_page_limits(limits);
        let started = erp.clock.monotonic();
        let first = query(&erp.warehouse(), PageStart::First, 100);
        let error = client.read_page(&first).await;
        assert!(
            matches!(error.err().unwrap(), D365Error::TimedOut { .. }),
            "{action:?}"
        );
        let took = erp.clock.monotonic().saturating_sub(started);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}
