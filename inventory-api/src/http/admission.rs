//! What may be in work at once, of all callers and of one: requests, large and slow bodies, lines of
//! large replies. Around every request: counted, timed, and refused where too much is in work.

use crate::error::{ApiError, Scarce};
use crate::http::paths;
use crate::http::priority::Priority;
use crate::live::deadline::Arrival;
use crate::metrics;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, ResponseError};
use shared::http::caller_key::CallerKey;
use shared::http::rate_limiter::{RateLimiter, TooOften};
use shared::http::route_pattern::route_pattern;
use shared::http::shares::{NoShare, Share, Shares, Sizes};
use shared::process::clock::Clock;
use shared::settings::LimitSettings;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes beyond which a body is a large one: more than a thousand SKUs of forty characters take.
pub(crate) const LARGE_BODY: usize = 64 * 1024;
/// Large bodies in work; of one caller; of one caller waiting.
pub(crate) const LARGE_BODIES: Sizes = Sizes {
    all: 4,
    of_one_caller: 2,
    waiting: 8,
};

/// How long a body may be on its way without being called slow.
pub(crate) const SLOW_AFTER: Duration = Duration::from_millis(250);
/// Slow bodies; of one caller an eighth of the requests in work.
pub(crate) const SLOW_BODIES: Sizes = Sizes {
    all: 256,
    of_one_caller: 64,
    waiting: 0,
};

/// Lines (SKUs times warehouses) beyond which a reply is a large one: about 64 KiB.
pub(crate) const LARGE_LINES: usize = 230;
/// Lines of large replies, from the question to the last byte that was sent: about 35 MB; of one caller
/// twice the largest question. As many may wait as may be in work.
pub(crate) const LINES: Sizes = Sizes {
    all: 50_000,
    of_one_caller: 40_000,
    waiting: usize::MAX >> 4,
};

/// What is in work.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: LimitSettings,
    clock: Arc<dyn Clock>,
    /// Requests in work.
    in_flight: AtomicUsize,
    of_callers: RateLimiter,
    large_bodies: Shares,
    slow_bodies: Shares,
    lines: Shares,
}

/// One request's place among those in work; given back when it is dropped, also because its caller went
/// away.
struct InWork(Arc<Admission>);

impl Drop for InWork {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics::in_flight(before.saturating_sub(1));
    }
}

/// A large body's share, until it is dropped.
#[derive(Debug)]
pub(crate) struct LargeBody(#[expect(dead_code, reason = "given back when dropped")] Share);

impl Drop for LargeBody {
    fn drop(&mut self) {
        metrics::large_body(false);
    }
}

impl Admission {
    pub(crate) fn new(limits: &LimitSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            limits: limits.clone(),
            clock,
            in_flight: AtomicUsize::new(0),
            of_callers: RateLimiter::new(
                limits.requests_per_second_per_caller,
                limits.burst_per_caller(),
            ),
            large_bodies: Shares::new(LARGE_BODIES),
            slow_bodies: Shares::new(SLOW_BODIES),
            lines: Shares::new(LINES),
        }
    }

    /// Requests in work.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Refuses a browse question that asks for too much at this load. It came in as a question about
    /// one product: how many it names is known only once it was read.
    pub(crate) fn check_browsing(&self, skus: usize) -> Result<(), ApiError> {
        let limit = Priority::of_browsing(skus).places_of(self.limits.in_flight);
        if self.in_flight() > limit {
            return Err(full(Scarce::Requests, limit));
        }
        Ok(())
    }

    /// Waits for a large body's share, at most so long.
    pub(crate) async fn large_body(
        &self,
        caller: CallerKey,
        longest: Duration,
    ) -> Result<LargeBody, ApiError> {
        let share = within(longest, self.large_bodies.take(caller, 1)).await;
        let limit = LARGE_BODIES.of_one_caller as usize;
        let share = share.map_err(|NoShare| full(Scarce::LargeBodies, limit))?;
        metrics::large_body(true);
        Ok(LargeBody(share))
    }

    /// A slow body's share; there is one at once, or none.
    pub(crate) async fn slow_body(&self, caller: CallerKey) -> Result<Share, ApiError> {
        let limit = SLOW_BODIES.of_one_caller as usize;
        let share = self.slow_bodies.take(caller, 1).await;
        share.map_err(|NoShare| full(Scarce::SlowBodies, limit))
    }

    /// Waits for a share for a reply of so many lines, at most so long. A small one needs none.
    pub(crate) async fn lines(
        &self,
        lines: usize,
        caller: CallerKey,
        longest: Duration,
    ) -> Result<Option<Share>, ApiError> {
        if lines <= LARGE_LINES {
            return Ok(None);
        }
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        let share = within(longest, self.lines.take(caller, lines)).await;
        let limit = LINES.of_one_caller as usize;
        share
            .map(Some)
            .map_err(|NoShare| full(Scarce::LargeReplies, limit))
    }

    fn check_rate(&self, caller: CallerKey, now: Duration) -> Result<(), ApiError> {
        let taken = self.of_callers.take(caller, now);
        taken.map_err(|TooOften(wait)| ApiError::TooOften {
            limit: self.limits.requests_per_second_per_caller,
            wait,
        })
    }
}

async fn within(
    longest: Duration,
    share: impl Future<Output = Result<Share, NoShare>>,
) -> Result<Share, NoShare> {
    timeout(longest, share).await.unwrap_or(Err(NoShare))
}

fn full(what: Scarce, limit: usize) -> ApiError {
    ApiError::Full { what, limit }
}

/// Middleware, outermost: notes when a request came, and how it ended.
pub(crate) async fn measure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let Some(admission) = request.app_data::<Data<Admission>>().cloned() else {
        return next.call(request).await;
    };
    let started = admission.clock.monotonic();
    let route = paths::label(route_pattern(&request).as_deref());
    request.extensions_mut().insert(Arrival(started));
    request.extensions_mut().insert(Priority::of_route(route));
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let took = admission.clock.monotonic().saturating_sub(started);
    metrics::request(route, status.as_u16(), took);
    answer
}

/// Middleware, inside of the one that authenticates: lets a request through if there is a place for it
/// and its caller does not ask too often. So unauthenticated requests take no places.
pub(crate) async fn admit<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match place(&request) {
        Ok(_place) => next
            .call(request)
            .await
            .map(ServiceResponse::map_into_left_body),
        Err(refused) => Ok(request
            .into_response(refused.error_response())
            .map_into_right_body()),
    }
}

fn place(request: &ServiceRequest) -> Result<Option<InWork>, ApiError> {
    let Some(admission) = request.app_data::<Data<Admission>>().cloned() else {
        return Ok(None);
    };
    let admission = admission.into_inner();
    let priority = request.extensions().get::<Priority>().copied();
    let priority = priority.unwrap_or(Priority::Order);
    let limit = priority.places_of(admission.limits.in_flight);
    let before = admission.in_flight.fetch_add(1, Ordering::Relaxed);
    let place = InWork(Arc::clone(&admission));
    if before >= limit {
        return Err(full(Scarce::Requests, limit));
    }
    metrics::in_flight(before + 1);
    let now = admission.clock.monotonic();
    admission.check_rate(CallerKey::of(request.request()), now)?;
    Ok(Some(place))
}
