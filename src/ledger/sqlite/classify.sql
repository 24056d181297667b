-- Says what stands in the way of purchases that were not inserted: ?1 as in record.sql.
SELECT item.value ->> 'id' AS id,
       products.total_stock, products.epoch,
       revocations.purchase_id IS NOT NULL AS revoked,
       mine.id AS mine_id, mine.unit AS mine_unit, mine.admitted_at AS mine_admitted_at,
       taken.id IS NOT NULL AS taken
FROM json_each(?1) AS item
LEFT JOIN products ON products.id = item.value ->> 'product_id'
LEFT JOIN revocations ON revocations.purchase_id = item.value ->> 'id'
LEFT JOIN purchases AS mine ON mine.product_id = item.value ->> 'product_id'
                           AND mine.user_id = item.value ->> 'user_id'
LEFT JOIN purchases AS taken ON taken.product_id = item.value ->> 'product_id'
                            AND taken.unit = item.value ->> 'unit'
