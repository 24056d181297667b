-- Gives a product other terms: parameters as in add_product.sql. A lower stock is noted, not
-- obeyed: units above it may be on their way.
UPDATE products SET
    name = ?2, description = ?3, image = ?4, price_minor = ?5, original_price_minor = ?6, currency = ?7,
    sale_start = ?9, sale_end = ?10,
    total_stock = max(total_stock, ?8),
    lower_stock_to = CASE WHEN ?8 < total_stock THEN ?8 END,
    updated_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
WHERE id = ?1
