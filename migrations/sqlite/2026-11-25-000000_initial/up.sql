-- UUIDs are text, instants are milliseconds since 1970. The embedded mode has no dead letters and no rebuild beside
-- other processes, so there are no columns and tables for them.

CREATE TABLE system (
    is_only    INTEGER NOT NULL DEFAULT 1 UNIQUE CHECK (is_only = 1),
    id         TEXT    NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    prefix     TEXT    NOT NULL,
    created_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
) STRICT;

CREATE TABLE products (
    id                   TEXT    PRIMARY KEY,
    position             INTEGER NOT NULL,
    name                 TEXT    NOT NULL,
    description          TEXT    NOT NULL,
    image                TEXT    NOT NULL,
    price_minor          INTEGER NOT NULL CHECK (price_minor >= 0),
    original_price_minor INTEGER          CHECK (original_price_minor >= 0),
    currency             TEXT    NOT NULL,
    total_stock          INTEGER NOT NULL CHECK (total_stock >= 1),
    sale_start           INTEGER,
    sale_end             INTEGER          CHECK (sale_end > sale_start),
    paused               INTEGER NOT NULL DEFAULT 0,
    epoch                INTEGER NOT NULL DEFAULT 0,
    created_at           INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    updated_at           INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
) STRICT;

CREATE TABLE purchases (
    id           TEXT    PRIMARY KEY,
    product_id   TEXT    NOT NULL REFERENCES products (id),
    user_id      TEXT    NOT NULL,
    unit         INTEGER NOT NULL CHECK (unit >= 1),
    admitted_at  INTEGER NOT NULL,
    confirmed_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    CONSTRAINT purchases_one_per_user UNIQUE (product_id, user_id),
    CONSTRAINT purchases_one_per_unit UNIQUE (product_id, unit)
) STRICT;

CREATE TABLE revocations (
    purchase_id TEXT    PRIMARY KEY,
    product_id  TEXT    NOT NULL REFERENCES products (id),
    user_id     TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    revoked_at  INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
) STRICT;
CREATE INDEX revocations_of_user ON revocations (product_id, user_id, revoked_at DESC);
