-- Gives a product other terms: parameters as in add_product.sql.
UPDATE products SET
    name = ?2, description = ?3, image = ?4, price_minor = ?5, original_price_minor = ?6, currency = ?7,
    total_stock = ?8, sale_start = ?9, sale_end = ?10,
    updated_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
WHERE id = ?1
