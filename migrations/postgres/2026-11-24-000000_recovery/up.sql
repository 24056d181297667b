ALTER TABLE products
    -- A stock that the catalogue asks for and that is below `total_stock`: units above it may be on their way. The
    -- leader lowers admission first, and then `total_stock`, or clears this if more units are handed out.
    ADD COLUMN lower_stock_to integer CHECK (lower_stock_to >= 1),
    -- The latest epoch that admission was opened with; `epoch` is ahead of it while a rebuild is under way.
    ADD COLUMN opened_epoch bigint NOT NULL DEFAULT 0;
UPDATE products SET opened_epoch = epoch;

-- Dead letters that an operator has given up: what they were, who did it, when and why. Nothing is ever dropped
-- without such a record.
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
