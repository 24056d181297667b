-- Inserts a batch of purchases: $1 ids, $2 products, $3 users, $4 units, $5 admission times, $6
-- epochs. Ordered by (product, unit), so that two workers with overlapping batches wait for each
-- other in one order. (A user's purchases under two epochs can still make a circle; PostgreSQL ends
-- one of the two, which is repeated.) The offer is chosen as `Offers::at` does. What is not
-- returned was not inserted; classify.sql says why.
INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
SELECT item.id, item.product_id, item.user_id, item.unit, item.admitted_at,
       coalesce((SELECT max(number) FROM offers
                 WHERE offers.product_id = item.product_id AND offers.since <= item.admitted_at), 1)
FROM unnest($1, $2, $3, $4, $5, $6) AS item (id, product_id, user_id, unit, admitted_at, epoch)
JOIN products ON products.id = item.product_id AND item.unit BETWEEN 1 AND products.total_stock
             AND item.epoch >= products.epoch
WHERE NOT EXISTS (SELECT FROM revocations WHERE revocations.purchase_id = item.id)
ORDER BY item.product_id, item.unit
ON CONFLICT DO NOTHING
RETURNING id
