//! Headers that let somebody in, and therefore are nobody's business.
//!
//! `Debug` of a request prints its headers, in a panic's words as well; a value that is marked as
//! sensitive prints as such.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, PROXY_AUTHORIZATION};

/// The key of those who send events.
pub const EVENT_KEY: HeaderName = HeaderName::from_static("x-connector-key");

/// Marks what a request shows as its credentials.
pub fn hide(request: &mut ServiceRequest) {
    hide_in(request.headers_mut());
}

fn hide_in(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, EVENT_KEY] {
        for mut value in headers.remove(&name) {
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn debug_of_a_request_shows_no_credentials() {
        let mut request = TestRequest::default()
            .append_header((AUTHORIZATION, "Basic k4n4ry-1"))
            .append_header((AUTHORIZATION, "Bearer k4n4ry-2"))
            .append_header((COOKIE, "session=k4n4ry-3"))
            .append_header((EVENT_KEY, "k4n4ry-4"))
            .append_header(("accept", "application/json"))
            .to_srv_request();
        assert_eq!(format!("{request:?}").matches("k4n4ry").count(), 4);
        hide(&mut request);
        let shown = format!("{request:?} {:?}", request.request());
        assert!(!shown.contains("k4n4ry"), "{shown}");
        assert!(shown.contains("application/json"));
        let first = request.headers().get(AUTHORIZATION);
        assert_eq!(
            first.and_then(|value| value.to_str().ok()),
            Some("Basic k4n4ry-1")
        );
    }
}
