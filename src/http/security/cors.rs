//! `api.cors_origins`: which pages of other origins may call this server from a browser (CORS,
//! Fetch standard).
//!
//! Credentials are never allowed: a server with this has no cookies, and takes the buyer from the
//! request.

use std::{future::ready, sync::Arc};

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use futures_util::future::Either;

use super::origin::Origin;
use crate::http::problem::Problem;

const EXPECTED: &str = "\"*\", or origins such as \"https://shop.example\", without a path";
/// How long a browser may keep the answer to a preflight; Chromium takes no more.
const MAX_AGE_S: &str = "7200";

/// The origins whose pages may call a server; none by default. Cheap to clone.
#[derive(Clone, Debug)]
pub enum CorsOrigins {
    Any,
    Listed(Arc<[Origin]>),
}

impl Default for CorsOrigins {
    fn default() -> Self {
        Self::Listed([].into())
    }
}

impl CorsOrigins {
    /// The error says what is allowed.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, &'static str> {
        if texts == ["*"] {
            return Ok(Self::Any);
        }
        let origins: Option<Arc<[Origin]>> = texts.iter().map(|text| Origin::parse(text)).collect();
        origins.map(Self::Listed).ok_or(EXPECTED)
    }

    fn is_off(&self) -> bool {
        matches!(self, Self::Listed(origins) if origins.is_empty())
    }

    /// The value of `Access-Control-Allow-Origin` for a request of this origin; `None`: its page
    /// may not read the answer.
    fn allow(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Listed(origins) => {
                let named = Origin::parse(origin.to_str().ok()?)?;
                origins.contains(&named).then(|| origin.clone())
            }
        }
    }
}

/// Answers preflights, and says in all other answers who may read them. Without origins nothing is
/// added: a preflight is then a method that no route has.
pub(crate) fn with_cors<S>(
    origins: &CorsOrigins,
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<BoxBody>, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    if origins.is_off() {
        return Either::Left(service.call(request));
    }
    let allowed = origins.allow(request.headers().get(header::ORIGIN));
    let varies = matches!(origins, CorsOrigins::Listed(_));
    let answering = if is_preflight(&request) {
        Either::Left(ready(Ok::<_, Error>(preflight(request, allowed.is_some()))))
    } else {
        Either::Right(service.call(request))
    };
    Either::Right(async move {
        let mut answer = answering.await?;
        let headers = answer.headers_mut();
        if varies {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(allowed) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, "retry-after");
        }
        Ok(answer)
    })
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(request: ServiceRequest, is_allowed: bool) -> ServiceResponse<BoxBody> {
    if !is_allowed {
        return request.error_response(Problem::OriginNotAllowed);
    }
    let mut answer = HttpResponse::NoContent().finish();
    let headers = answer.headers_mut();
    set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST");
    set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type");
    set(headers, header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    request.into_response(answer)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
