-- Adds a product behind the others: ?1 id, ?2 name, ?3 description, ?4 image, ?5 price, ?6
-- original price, ?7 currency, ?8 total stock, ?9 start, ?10 end of the sale. A
-- known product stays as it is.
INSERT INTO products (id, name, description, image, price_minor, original_price_minor, currency, total_stock,
                      sale_start, sale_end, position)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, coalesce(max(position), 0) + 1 FROM products WHERE true
ON CONFLICT (id) DO NOTHING
