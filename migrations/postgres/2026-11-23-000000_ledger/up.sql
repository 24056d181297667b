-- What is sold. `epoch` is the incarnation of the product's admission state that may sell; a rebuild raises it.
CREATE TABLE products (
    id                   text        PRIMARY KEY,
    name                 text        NOT NULL,
    description          text        NOT NULL,
    image                text        NOT NULL,
    price_minor          bigint      NOT NULL CHECK (price_minor >= 0),
    original_price_minor bigint               CHECK (original_price_minor >= 0),
    currency             text        NOT NULL,
    total_stock          integer     NOT NULL CHECK (total_stock >= 1),
    sale_start           timestamptz,
    sale_end             timestamptz          CHECK (sale_end > sale_start),
    paused               boolean     NOT NULL DEFAULT false,
    epoch                bigint      NOT NULL DEFAULT 0,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);

-- The source of truth. The two unique constraints and the bound on `unit` (checked against `total_stock` by the
-- only statement that inserts) make a double purchase and an oversale impossible, without a counter row.
CREATE TABLE purchases (
    id           uuid        PRIMARY KEY,
    product_id   text        NOT NULL REFERENCES products (id),
    user_id      text        NOT NULL COLLATE "C",
    unit         integer     NOT NULL CHECK (unit >= 1),
    admitted_at  timestamptz NOT NULL,
    confirmed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT purchases_one_per_user UNIQUE (product_id, user_id),
    CONSTRAINT purchases_one_per_unit UNIQUE (product_id, unit)
);

-- Purchases that were answered SUCCESS and then taken back, and why. Nothing is ever silently gone.
CREATE TABLE revocations (
    purchase_id uuid        PRIMARY KEY,
    product_id  text        NOT NULL REFERENCES products (id),
    user_id     text        NOT NULL COLLATE "C",
    reason      text        NOT NULL,
    revoked_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX revocations_of_user ON revocations (product_id, user_id, revoked_at DESC);
