-- The system that this database belongs to; one row.
CREATE TABLE system (
    is_only    boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    -- Carried by every message, so that a message of another system is recognised.
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    -- First part of the names of Redis keys and queues.
    prefix     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What is sold.
CREATE TABLE products (
    id                   text        PRIMARY KEY,
    -- Its place among the products; the first one is that of `/sale/…`.
    position             integer     NOT NULL,
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
    -- The incarnation of the product's admission state that may sell; a rebuild raises it.
    epoch                bigint      NOT NULL DEFAULT 0,
    -- The latest epoch that admission was opened with; `epoch` is ahead of it while a rebuild is under way.
    opened_epoch         bigint      NOT NULL DEFAULT 0,
    -- A stock that an operator asks for and that is below `total_stock`: units above it may be on their way. The
    -- leader lowers admission first, and then `total_stock`, or clears this if more units are handed out.
    lower_stock_to       integer              CHECK (lower_stock_to >= 1),
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

-- Dead letters that an operator has given up: what they were, who did it, when and why.
CREATE TABLE discards (
    letter_id     text        NOT NULL,
    purchase_id   uuid,
    body          bytea       NOT NULL,
    letter_reason text        NOT NULL,
    discarded_by  text        NOT NULL,
    reason        text        NOT NULL,
    discarded_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX discards_once
    ON discards (letter_id, coalesce(purchase_id, '00000000-0000-0000-0000-000000000000'));
