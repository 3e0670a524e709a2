use super::*;

fn judged(method: &Method, pairs: &[(HeaderName, &'static str)]) -> Result<(), Refused> {
    let headers = pairs
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    judge(method, &headers.collect(), None, None)
}

#[test]
fn a_state_is_changed_for_our_own_pages_and_for_programs_only() {
    use Refused::{Form, OtherSite};
    let host = (HOST, "stock.example:8080");
    for (name, value, expected) in [
        (CONTENT_TYPE, "application/json", Ok(())),
        (FETCH_SITE, "same-origin", Ok(())),
        (FETCH_SITE, "cross-site", Err(OtherSite)),
        (FETCH_SITE, "same-site", Err(OtherSite)),
        (ORIGIN, "http://stock.example:8080", Ok(())),
        (ORIGIN, "https://STOCK.example:8080", Ok(())),
        (ORIGIN, "http://stock.example", Err(OtherSite)),
        (ORIGIN, "http://evil.example", Err(OtherSite)),
        (ORIGIN, "null", Err(OtherSite)),
        (CONTENT_TYPE, "text/plain", Err(Form)),
        (CONTENT_TYPE, "Text/Plain; charset=utf-8", Err(Form)),
        (CONTENT_TYPE, "multipart/form-data; boundary=x", Err(Form)),
        (CONTENT_TYPE, "application/x-www-form-urlencoded", Err(Form)),
    ] {
        let all = [host.clone(), (name, value)];
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(judged(&method, &all), expected, "{method} {all:?}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(judged(&method, &all), Ok(()), "{method} {all:?}");
        }
    }
    assert_eq!(judged(&Method::POST, std::slice::from_ref(&host)), Ok(()));
    // A page cannot set this header, and can be of the same origin to itself.
    let both = [
        host,
        (FETCH_SITE, "cross-site"),
        (ORIGIN, "http://stock.example:8080"),
    ];
    assert_eq!(judged(&Method::POST, &both), Err(OtherSite));
}

#[test]
fn where_nobody_signs_in_the_host_must_be_ours() {
    let listener = "127.0.0.1:8080".parse().unwrap();
    let allowed = AllowedHosts::of(listener, &["stock.test:9000".to_owned()]).unwrap();
    let ours = "127.0.0.1:8080 127.1.2.3:8080 localhost:8080 LOCALHOST [::1]:8080 \
                [::ffff:127.0.0.1]:8080 stock.test:9000";
    let others = "localhost:8081 stock.test:8080 evil.example:8080 localhost.evil.example:8080 \
                  127.0.0.1.evil.example:8080 localhost@evil.example:8080 \
                  evil.example@localhost:8080 192.168.0.1:8080 0.0.0.0:8080";
    for (hosts, expected) in [(ours, true), (others, false)] {
        for host in hosts.split(' ') {
            assert_eq!(allowed.include(host), expected, "{host}");
            let named = judge(&Method::GET, &HeaderMap::new(), Some(host), Some(&allowed));
            assert_eq!(named.is_ok(), expected, "{host} in the request line");
        }
    }
    assert!(!allowed.include(""));
    let old = judge(&Method::GET, &HeaderMap::new(), None, Some(&allowed));
    assert_eq!(old, Ok(()), "HTTP/1.0");
    assert_eq!(AllowedHosts::of("0.0.0.0:8080".parse().unwrap(), &[]), None);
    assert!(AllowedHosts::of("[::1]:8080".parse().unwrap(), &[]).is_some());
}
