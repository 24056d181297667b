-- Uses up the rights of users who bought elsewhere: $1 product, $2 users, $3 ids and $4 times of
-- their purchases, $5 operator. Users who have a purchase here, or were imported before, stay as
-- they are. Returns the numbers of the changes that admission must follow.
WITH added AS (
    INSERT INTO earlier_buyers (product_id, user_id, purchase_id, imported_at, imported_by)
    SELECT $1, item.user_id, item.purchase_id, item.admitted_at, $5
    FROM unnest($2, $3, $4) AS item (user_id, purchase_id, admitted_at)
    WHERE NOT EXISTS (SELECT FROM purchases
                      WHERE purchases.product_id = $1 AND purchases.user_id = item.user_id
                        AND purchases.holds_right)
    ON CONFLICT DO NOTHING
    RETURNING user_id, purchase_id, imported_at
)
INSERT INTO admission_changes (kind, product_id, user_id, purchase_id, admitted_at)
SELECT 'import', $1, user_id, purchase_id, imported_at FROM added
RETURNING number
