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
