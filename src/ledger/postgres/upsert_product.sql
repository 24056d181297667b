-- Adds or changes a product: $1 id, $2 name, $3 description, $4 image, $5 price, $6 original price,
-- $7 currency, $8 total stock, $9 start, $10 end of the sale. A lower stock is noted, not obeyed:
-- units above it may be on their way.
INSERT INTO products (id, name, description, image, price_minor, original_price_minor, currency, total_stock,
                      sale_start, sale_end)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, description = excluded.description, image = excluded.image,
    price_minor = excluded.price_minor, original_price_minor = excluded.original_price_minor,
    currency = excluded.currency, sale_start = excluded.sale_start, sale_end = excluded.sale_end,
    total_stock = greatest(products.total_stock, excluded.total_stock),
    lower_stock_to = CASE WHEN excluded.total_stock < products.total_stock THEN excluded.total_stock END,
    updated_at = now()
