use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    pairs.collect()
}

fn judged(method: &Method, pairs: &[(&'static str, &'static str)]) -> Result<(), Refused> {
    judge(method, &headers(pairs), None, None)
}

#[test]
fn a_state_is_changed_for_our_own_pages_and_for_programs_only() {
    let host = ("host", "stock.example:8080");
    for (more, expected) in [
        (vec![], Ok(())),
        (vec![("content-type", "application/json")], Ok(())),
        (vec![("sec-fetch-site", "same-origin")], Ok(())),
        (
            vec![("sec-fetch-site", "cross-site")],
            Err(Refused::OtherSite),
        ),
        (
            vec![("sec-fetch-site", "same-site")],
            Err(Refused::OtherSite),
        ),
        (vec![("origin", "http://stock.example:8080")], Ok(())),
        (vec![("origin", "https://STOCK.example:8080")], Ok(())),
        (
            vec![("origin", "http://stock.example")],
            Err(Refused::OtherSite),
        ),
        (
            vec![("origin", "http://evil.example")],
            Err(Refused::OtherSite),
        ),
        (vec![("origin", "null")], Err(Refused::OtherSite)),
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://stock.example:8080"),
            ],
            Err(Refused::OtherSite),
        ),
        (vec![("content-type", "text/plain")], Err(Refused::Form)),
        (
            vec![("content-type", "Text/Plain; charset=utf-8")],
            Err(Refused::Form),
        ),
        (
            vec![("content-type", "multipart/form-data; boundary=x")],
            Err(Refused::Form),
        ),
        (
            vec![("content-type", "application/x-www-form-urlencoded")],
            Err(Refused::Form),
        ),
    ] {
        let all = [vec![host], more].concat();
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(judged(&method, &all), expected, "{method} {all:?}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(judged(&method, &all), Ok(()), "{method} {all:?}");
        }
    }
}

#[test]
fn where_nobody_signs_in_the_host_must_be_ours() {
    let listener = "127.0.0.1:8080".parse().unwrap();
    let allowed = AllowedHosts::of(listener, &["stock.test:9000".to_owned()]).unwrap();
    for (host, expected) in [
        ("127.0.0.1:8080", true),
        ("127.1.2.3:8080", true),
        ("localhost:8080", true),
        ("LOCALHOST", true),
        ("[::1]:8080", true),
        ("[::ffff:127.0.0.1]:8080", true),
        ("stock.test:9000", true),
        ("localhost:8081", false),
        ("stock.test:8080", false),
        ("evil.example:8080", false),
        ("localhost.evil.example:8080", false),
        ("127.0.0.1.evil.example:8080", false),
        ("localhost@evil.example:8080", false),
        ("evil.example@localhost:8080", false),
        ("192.168.0.1:8080", false),
        ("0.0.0.0:8080", false),
        ("", false),
    ] {
        assert_eq!(allowed.include(host), expected, "{host}");
        let with_host = headers(&[]);
        let judged = judge(&Method::GET, &with_host, Some(host), Some(&allowed));
        assert_eq!(judged.is_ok(), expected, "{host} in the request line");
    }
    assert_eq!(
        judge(&Method::GET, &headers(&[]), None, Some(&allowed)),
        Ok(()),
        "HTTP/1.0"
    );
    assert_eq!(AllowedHosts::of("0.0.0.0:8080".parse().unwrap(), &[]), None);
    assert!(AllowedHosts::of("[::1]:8080".parse().unwrap(), &[]).is_some());
}
