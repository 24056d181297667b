//! The tables of `migrations/postgres`.

diesel::table! {
    products (id) {
        id -> Text,
        name -> Text,
        description -> Text,
        image -> Text,
        price_minor -> BigInt,
        original_price_minor -> Nullable<BigInt>,
        currency -> Text,
        total_stock -> Integer,
        sale_start -> Nullable<Timestamptz>,
        sale_end -> Nullable<Timestamptz>,
        paused -> Bool,
        epoch -> BigInt,
        lower_stock_to -> Nullable<Integer>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    purchases (id) {
        id -> Uuid,
        product_id -> Text,
        user_id -> Text,
        unit -> Integer,
        admitted_at -> Timestamptz,
        confirmed_at -> Timestamptz,
    }
}

diesel::table! {
    revocations (purchase_id) {
        purchase_id -> Uuid,
        product_id -> Text,
        user_id -> Text,
        reason -> Text,
        revoked_at -> Timestamptz,
    }
}
