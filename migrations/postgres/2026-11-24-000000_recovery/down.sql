DROP TABLE discards;
ALTER TABLE products DROP COLUMN lower_stock_to, DROP COLUMN opened_epoch;
