use super::*;
use actix_web::body::to_bytes;

async fn reply_of(error: ApiError) -> (u16, String, serde_json::Value) {
    let reply = error.error_response();
    let status = reply.status().as_u16();
    let retry = reply
        .headers()
        .get(RETRY_AFTER)
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = to_bytes(reply.into_body()).await.unwrap();
    (status, retry, serde_json::from_slice(&body).unwrap())
}

#[actix_web::test]
async fn a_refusal_names_code_status_path_and_limit() {
    let error = ApiError::TooLarge {
        path: "$.products".to_owned(),
        name: "skus",
        limit: 1_000,
    };
    let (status, _, body) = reply_of(error).await;
    assert_eq!(status, 413);
    assert_eq!(
        body,
        serde_json::json!({ "errors": [ {
            "code": "inventory.request.too_large.error",
            "message": "$.products: at most 1000 (skus) in one request",
            "status": "413",
            "paths": ["$.products"],
            "parameters": { "limit": "1000", "name": "skus" }
        } ] })
    );
}

#[actix_web::test]
async fn a_failed_live_look_up_has_the_status_of_its_cause_and_names_the_policy() {
    let status_error = |status| D365Error::Status {
        status,
        message: "An internal secret-ish text".to_owned(),
    };
    let token_error = |is_configuration| D365Error::Token {
        client_id: "app".to_owned(),
        cause: "AADSTS7000215".to_owned(),
        is_configuration,
    };
    let throttled = D365Error::Throttled {
        retry_after: Duration::from_secs(42),
    };
    let timed_out = D365Error::TimedOut {
        stage: "headers",
        silent_for: Duration::ZERO,
    };
    let connection = D365Error::Connection {
        cause: "refused".to_owned(),
    };
    let bad = D365Error::BadAnswer {
        problem: "HTML".to_owned(),
    };
    let (unavailable, timeout, error) = ("backend.unavailable", "backend.timeout", "backend");
    for (failure, status, code, retry) in [
        (LiveFailure::NoCredentials, 503, unavailable, "10"),
        (LiveFailure::DeadlinePassed, 504, timeout, ""),
        (throttled.into(), 503, unavailable, "42"),
        (timed_out.into(), 504, timeout, ""),
        (connection.into(), 503, unavailable, "10"),
        (status_error(500).into(), 502, error, ""),
        (status_error(403).into(), 502, error, ""),
        (bad.into(), 502, error, ""),
        (token_error(true).into(), 502, error, ""),
        (token_error(false).into(), 503, unavailable, "10"),
    ] {
        let code = format!("inventory.{code}.error");
        assert_eq!(failure.code(), code);
        let reply = reply_of(ApiError::Live {
            failure: failure.clone(),
            policy: "reject",
        })
        .await;
        assert_eq!((reply.0, reply.1.as_str()), (status, retry), "{failure}");
        let problem = &reply.2["errors"][0];
        assert_eq!(problem["code"], code);
        assert_eq!(problem["parameters"]["policy"], "reject");
        assert!(!reply.2.to_string().contains("secret-ish"), "{}", reply.2);
    }
}
