-- Says what stands in the way of purchases that were not inserted: $1 ids, $2 products, $3 users,
-- $4 units.
SELECT item.id,
       products.total_stock, products.epoch,
       revocations.purchase_id IS NOT NULL AS revoked,
       own.id IS NOT NULL AS recorded,
       used.id IS NOT NULL AS right_used,
       mine.id AS mine_id, mine.unit AS mine_unit, mine.admitted_at AS mine_admitted_at,
       taken.id IS NOT NULL AS taken
FROM unnest($1, $2, $3, $4) AS item (id, product_id, user_id, unit)
LEFT JOIN products ON products.id = item.product_id
LEFT JOIN revocations ON revocations.purchase_id = item.id
LEFT JOIN purchases AS own ON own.id = item.id AND own.product_id = item.product_id
                          AND (own.user_id = item.user_id OR own.is_erased)
LEFT JOIN live_purchases AS mine ON mine.product_id = item.product_id AND mine.user_id = item.user_id
LEFT JOIN purchases AS used ON used.product_id = item.product_id AND used.user_id = item.user_id
                           AND used.holds_right AND used.cancelled_at IS NOT NULL
LEFT JOIN purchases AS taken ON taken.product_id = item.product_id AND taken.unit = item.unit
                            AND taken.holds_unit
