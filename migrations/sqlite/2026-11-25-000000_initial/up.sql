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
    -- See the migration of PostgreSQL.
    lower_stock_to       INTEGER          CHECK (lower_stock_to >= 1),
    created_at           INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    updated_at           INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
) STRICT;

CREATE TABLE offers (
    product_id  TEXT    NOT NULL REFERENCES products (id),
    number      INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    price_minor INTEGER NOT NULL,
    currency    TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    PRIMARY KEY (product_id, number)
) STRICT;

CREATE TRIGGER offer_of_new_product AFTER INSERT ON products BEGIN
    INSERT INTO offers (product_id, number, name, price_minor, currency, since)
    SELECT NEW.id, coalesce(max(number), 0) + 1, NEW.name, NEW.price_minor, NEW.currency,
           CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM offers WHERE product_id = NEW.id;
END;
CREATE TRIGGER offer_of_changed_product AFTER UPDATE OF name, price_minor, currency ON products
WHEN (OLD.name, OLD.price_minor, OLD.currency) IS NOT (NEW.name, NEW.price_minor, NEW.currency) BEGIN
    INSERT INTO offers (product_id, number, name, price_minor, currency, since)
    SELECT NEW.id, coalesce(max(number), 0) + 1, NEW.name, NEW.price_minor, NEW.currency,
           CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM offers WHERE product_id = NEW.id;
END;

CREATE TABLE purchases (
    id           TEXT    PRIMARY KEY,
    product_id   TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    unit         INTEGER NOT NULL CHECK (unit >= 1),
    admitted_at  INTEGER NOT NULL,
    offer        INTEGER NOT NULL,
    confirmed_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    holds_unit    INTEGER NOT NULL DEFAULT 1,
    holds_right   INTEGER NOT NULL DEFAULT 1,
    cancelled_at  INTEGER,
    cancelled_by  TEXT,
    cancel_reason TEXT,
    is_erased     INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (product_id, offer) REFERENCES offers (product_id, number),
    CHECK (cancelled_at IS NOT NULL OR (holds_unit AND holds_right)),
    CHECK ((cancelled_at IS NULL) = (cancelled_by IS NULL) AND (cancelled_at IS NULL) = (cancel_reason IS NULL))
) STRICT;
CREATE UNIQUE INDEX purchases_one_per_user ON purchases (product_id, user_id) WHERE holds_right;
CREATE UNIQUE INDEX purchases_one_per_unit ON purchases (product_id, unit) WHERE holds_unit;
CREATE INDEX purchases_in_order ON purchases (product_id, unit, id);
CREATE INDEX purchases_cancelled ON purchases (product_id, user_id) WHERE cancelled_at IS NOT NULL;

CREATE VIEW live_purchases AS
SELECT id, product_id, user_id, unit, admitted_at, confirmed_at
FROM purchases WHERE holds_unit AND holds_right AND cancelled_at IS NULL;

CREATE TABLE earlier_buyers (
    product_id  TEXT    NOT NULL REFERENCES products (id),
    user_id     TEXT    NOT NULL,
    purchase_id TEXT    NOT NULL UNIQUE,
    imported_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    imported_by TEXT    NOT NULL,
    PRIMARY KEY (product_id, user_id)
) STRICT;

CREATE TABLE admission_changes (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL CHECK (kind IN ('cancel', 'import', 'rename')),
    product_id  TEXT    NOT NULL REFERENCES products (id),
    user_id     TEXT    NOT NULL,
    purchase_id TEXT,
    unit        INTEGER NOT NULL DEFAULT 0,
    admitted_at INTEGER,
    holds_unit  INTEGER NOT NULL DEFAULT 0,
    holds_right INTEGER NOT NULL DEFAULT 1,
    pseudonym   TEXT,
    CHECK ((kind = 'rename') = (pseudonym IS NOT NULL)),
    CHECK ((kind = 'rename') = (purchase_id IS NULL) AND (kind = 'rename') = (admitted_at IS NULL))
) STRICT;
CREATE INDEX admission_changes_of_purchase ON admission_changes (purchase_id);
CREATE INDEX admission_changes_returning ON admission_changes (product_id) WHERE kind = 'cancel' AND NOT holds_unit;

CREATE TABLE revocations (
    purchase_id TEXT    PRIMARY KEY,
    product_id  TEXT    NOT NULL REFERENCES products (id),
    user_id     TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    revoked_at  INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
) STRICT;
CREATE INDEX revocations_of_user ON revocations (product_id, user_id, revoked_at DESC);
