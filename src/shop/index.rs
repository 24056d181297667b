//! `GET /`: the list of products, what can be bought first.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use futures_util::future::join_all;

use super::{sale_view::SaleView, state::Shop};
use crate::{
    domain::{Phase, Product},
    http::{
        Site,
        pages::{Numbers, render, see_other},
        problem::Problem,
    },
};

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'page> {
    site: &'page Site,
    numbers: &'page Numbers,
    /// None of them is empty.
    groups: Vec<Group<'page>>,
}

struct Group<'page> {
    title: &'static str,
    cards: Vec<Card<'page>>,
}

struct Card<'page> {
    product: &'page Product,
    sale: SaleView,
}

/// In the order of the page, which is that of the variants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Live,
    Upcoming,
    Over,
}

impl Place {
    const ALL: [Self; 3] = [Self::Live, Self::Upcoming, Self::Over];

    fn of(phase: Option<Phase>) -> Self {
        match phase {
            Some(Phase::Active | Phase::Paused) | None => Self::Live,
            Some(Phase::Upcoming) => Self::Upcoming,
            Some(Phase::SoldOut | Phase::Ended) => Self::Over,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Live => "On sale",
            Self::Upcoming => "Coming soon",
            Self::Over => "Over",
        }
    }
}

/// A catalogue of one product has no list: its page is the front page.
pub(super) async fn index(shop: Data<Shop>, numbers: Numbers) -> Result<HttpResponse, Problem> {
    let catalogue = shop.catalogue.current();
    let products = match catalogue.products() {
        [] => return Err(Problem::NotReady),
        [only] => return Ok(see_other(&shop.site.href(&format!("/products/{}", only.id)))),
        products => products,
    };
    let card =
        async |product| Card { product, sale: SaleView::read(&shop.checkout, &numbers, product).await };
    let mut cards = join_all(products.iter().map(card)).await;
    // Stable: within a place in the order of the catalogue, and the next opening first.
    cards.sort_by_key(|card| {
        let opens_at = card.sale.opens_at.filter(|_| card.sale.is_upcoming());
        (Place::of(card.sale.phase), !card.sale.is_active(), opens_at)
    });
    let mut groups: Vec<Group<'_>> = Vec::new();
    for place in Place::ALL {
        let rest = cards.partition_point(|card| Place::of(card.sale.phase) <= place);
        let cards: Vec<_> = cards.drain(..rest).collect();
        if !cards.is_empty() {
            groups.push(Group { title: place.title(), cards });
        }
    }
    Ok(render(StatusCode::OK, &IndexPage { site: &shop.site, numbers: &numbers, groups }))
}
