ALTER TABLE products DROP COLUMN lower_stock_to;
