-- Inserts a batch of purchases: ?1 is a JSON array of {id, product_id, user_id, unit, admitted_at,
-- epoch}. The offer is chosen as `Offers::at` does. What is not returned was not inserted;
-- classify.sql says why.
INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
SELECT item.value ->> 'id', item.value ->> 'product_id', item.value ->> 'user_id', item.value ->> 'unit',
       item.value ->> 'admitted_at',
       coalesce((SELECT max(number) FROM offers
                 WHERE offers.product_id = item.value ->> 'product_id'
                   AND offers.since <= item.value ->> 'admitted_at'), 1)
FROM json_each(?1) AS item
JOIN products ON products.id = item.value ->> 'product_id'
             AND item.value ->> 'unit' BETWEEN 1 AND products.total_stock
             AND item.value ->> 'epoch' >= products.epoch
WHERE NOT EXISTS (SELECT 1 FROM revocations WHERE revocations.purchase_id = item.value ->> 'id')
ORDER BY item.value ->> 'product_id', item.value ->> 'unit'
ON CONFLICT DO NOTHING
RETURNING id
