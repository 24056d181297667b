//! The cookie that remembers the id which a visitor used last.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
};

use crate::{domain::UserId, http::PublicUrl};

const COOKIE: &str = "visitor";

pub(super) fn remembered(request: &HttpRequest) -> Option<UserId> {
    // actix has decoded it.
    UserId::parse(request.cookie(COOKIE)?.value()).ok()
}

pub(super) fn remember(mut response: HttpResponse, public: &PublicUrl, user: &UserId) -> HttpResponse {
    // An id may hold quotes and separators of cookies.
    let value: String = url::form_urlencoded::byte_serialize(user.as_str().as_bytes()).collect();
    let cookie = Cookie::build(COOKIE, value).path(public.href("/")).http_only(true);
    let cookie = cookie.secure(public.is_secure());
    let cookie = cookie.same_site(SameSite::Strict).max_age(Duration::days(30)).finish();
    if let Err(error) = response.add_cookie(&cookie) {
        tracing::debug!(%error, "the visitor cookie can't be set");
    }
    response
}
