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

-- What a product was sold as, and since when. An offer never changes: a product that is given another name or
-- price has a new one.
CREATE TABLE offers (
    product_id  text        NOT NULL REFERENCES products (id),
    -- Counts the offers of a product, from 1.
    number      integer     NOT NULL,
    name        text        NOT NULL,
    price_minor bigint      NOT NULL,
    currency    text        NOT NULL,
    since       timestamptz NOT NULL,
    PRIMARY KEY (product_id, number)
);

CREATE FUNCTION add_offer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO offers (product_id, number, name, price_minor, currency, since)
    SELECT NEW.id, coalesce(max(number), 0) + 1, NEW.name, NEW.price_minor, NEW.currency, clock_timestamp()
    FROM offers WHERE product_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER offer_of_new_product AFTER INSERT ON products FOR EACH ROW EXECUTE FUNCTION add_offer();
CREATE TRIGGER offer_of_changed_product AFTER UPDATE OF name, price_minor, currency ON products FOR EACH ROW
    WHEN ((OLD.name, OLD.price_minor, OLD.currency) IS DISTINCT FROM (NEW.name, NEW.price_minor, NEW.currency))
    EXECUTE FUNCTION add_offer();

-- The source of truth. The two unique indexes and the bound on `unit` (checked against `total_stock` by the
-- only statement that inserts) make a double purchase and an oversale impossible, without a counter row.
CREATE TABLE purchases (
    id           uuid        PRIMARY KEY,
    product_id   text        NOT NULL,
    user_id      text        NOT NULL COLLATE "C",
    unit         integer     NOT NULL CHECK (unit >= 1),
    admitted_at  timestamptz NOT NULL,
    -- What was sold: the product's offer at `admitted_at`.
    offer        integer     NOT NULL,
    confirmed_at timestamptz NOT NULL DEFAULT now(),
    -- The purchase counts, or was cancelled and its unit is withheld.
    holds_unit   boolean     NOT NULL DEFAULT true,
    -- The purchase counts, or was cancelled and its buyer may not buy again.
    holds_right  boolean     NOT NULL DEFAULT true,
    cancelled_at timestamptz,
    cancelled_by text,
    -- The buyer sees it.
    cancel_reason text,
    -- The buyer's id was replaced by a pseudonym: a late message may name the buyer.
    is_erased    boolean     NOT NULL DEFAULT false,
    FOREIGN KEY (product_id, offer) REFERENCES offers (product_id, number),
    CHECK (cancelled_at IS NOT NULL OR (holds_unit AND holds_right)),
    CHECK ((cancelled_at IS NULL) = (cancelled_by IS NULL) AND (cancelled_at IS NULL) = (cancel_reason IS NULL))
);
CREATE UNIQUE INDEX purchases_one_per_user ON purchases (product_id, user_id) WHERE holds_right;
CREATE UNIQUE INDEX purchases_one_per_unit ON purchases (product_id, unit) WHERE holds_unit;
CREATE INDEX purchases_in_order ON purchases (product_id, unit, id);
CREATE INDEX purchases_cancelled ON purchases (product_id, user_id) WHERE cancelled_at IS NOT NULL;

-- The purchases that count.
CREATE VIEW live_purchases AS
SELECT id, product_id, user_id, unit, admitted_at, confirmed_at
FROM purchases WHERE holds_unit AND holds_right AND cancelled_at IS NULL;

-- Users who bought elsewhere and were imported: they may not buy, and have no unit of this sale.
CREATE TABLE earlier_buyers (
    product_id  text        NOT NULL REFERENCES products (id),
    user_id     text        NOT NULL COLLATE "C",
    purchase_id uuid        NOT NULL UNIQUE,
    imported_at timestamptz NOT NULL DEFAULT now(),
    imported_by text        NOT NULL,
    PRIMARY KEY (product_id, user_id)
);

-- Decisions of operators about purchases, in their order, until the leader has carried them over to admission.
-- A cancellation and an import have a purchase, an erasure has a pseudonym.
CREATE TABLE admission_changes (
    number       bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind         text    NOT NULL CHECK (kind IN ('cancel', 'import', 'rename')),
    product_id   text    NOT NULL REFERENCES products (id),
    user_id      text    NOT NULL COLLATE "C",
    purchase_id  uuid,
    -- Of a cancelled purchase; 0: none.
    unit         integer NOT NULL DEFAULT 0,
    admitted_at  timestamptz,
    holds_unit   boolean NOT NULL DEFAULT false,
    holds_right  boolean NOT NULL DEFAULT true,
    pseudonym    text    COLLATE "C",
    CHECK ((kind = 'rename') = (pseudonym IS NOT NULL)),
    CHECK ((kind = 'rename') = (purchase_id IS NULL) AND (kind = 'rename') = (admitted_at IS NULL))
);
CREATE INDEX admission_changes_of_purchase ON admission_changes (purchase_id);
CREATE INDEX admission_changes_returning ON admission_changes (product_id) WHERE kind = 'cancel' AND NOT holds_unit;

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
