//! The page of an OpenAPI document. Its files are compiled in: it needs no network, and asks none but this
//! server.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use actix_web::web::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use utoipa_swagger_ui::Config;

/// Scripts are files of ours; Swagger UI writes styles into its elements and draws pictures from `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'self'; \
                      form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
];

/// Swagger UI for one document.
#[derive(Clone)]
pub struct ApiPage {
    config: Arc<Config<'static>>,
}

impl fmt::Debug for ApiPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiPage").finish_non_exhaustive()
    }
}

impl ApiPage {
    /// Of the document at this path.
    pub fn of(document: &'static str) -> Self {
        // A validator would be sent the document's address.
        let config = Config::from(document)
            .validator_url("none")
            .try_it_out_enabled(true);
        Self {
            config: Arc::new(config),
        }
    }

    /// The page itself; `files` is where its files are, seen from the page's own address.
    pub fn index(&self, files: &str) -> Option<HttpResponse> {
        let (page, _) = self.read("index.html")?;
        let page = String::from_utf8_lossy(&page);
        let page = page.replacen("<head>", &format!("<head>\n    <base href=\"{files}\">"), 1);
        Some(reply("text/html; charset=utf-8", 60).body(page))
    }

    /// A script, style or picture of the page.
    pub fn file(&self, name: &str) -> Option<HttpResponse> {
        let (bytes, kind) = self.read(name)?;
        Some(reply(&kind, 3_600).body(bytes))
    }

    fn read(&self, name: &str) -> Option<(Bytes, String)> {
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&self.config));
        let file = file.ok().flatten()?;
        // Not copied: a reply that nobody reads costs nothing.
        let bytes = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        Some((bytes, file.content_type))
    }
}

fn reply(kind: &str, seconds: u32) -> actix_web::HttpResponseBuilder {
    let mut reply = HttpResponse::Ok();
    reply.content_type(kind);
    reply.insert_header((CACHE_CONTROL, format!("max-age={seconds}")));
    for header in HEADERS {
        reply.insert_header(header);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    async fn text(reply: Option<HttpResponse>) -> String {
        let body = to_bytes(reply.unwrap().into_body()).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[actix_web::test]
    async fn the_page_runs_under_its_policy_and_calls_nobody_else() {
        let page = ApiPage::of("/inventory/api");
        let index = page.index("api/page/").unwrap();
        for (name, value) in HEADERS {
            assert_eq!(index.headers().get(&name).unwrap(), value);
        }
        let index = text(Some(index)).await;
        assert!(index.contains("<base href=\"api/page/\">"), "{index}");
        // What a policy without 'unsafe-inline' would forbid, and what leads elsewhere.
        for script in index.split("<script").skip(1) {
            assert!(script.trim_start().starts_with("src=\"./"), "{script}");
        }
        for forbidden in [
            "<style",
            "onload=",
            "http:",
            "https:",
            "href=\"//",
            "src=\"//",
        ] {
            let address = index.replace("https://github.com", "");
            assert!(!address.contains(forbidden), "{forbidden} in {index}");
        }
        let start = text(page.file("swagger-initializer.js")).await;
        assert!(start.contains("\"validatorUrl\": \"none\""), "{start}");
        assert!(start.contains("\"url\": \"/inventory/api\""), "{start}");
        assert!(!start.contains("http"), "{start}");
        for style in ["swagger-ui.css", "index.css"] {
            let style = text(page.file(style)).await;
            assert!(!style.contains("@import") && !style.contains("url(http"));
        }
        assert!(page.file("nothing.js").is_none());
    }
}
