-- A stock that the catalogue asks for and that is below `total_stock`: units above it may be on their way. The leader
-- lowers admission first, and then `total_stock`, or clears this if more units are handed out.
ALTER TABLE products ADD COLUMN lower_stock_to integer CHECK (lower_stock_to >= 1);
