DROP TABLE admission_changes;
DROP TABLE earlier_buyers;
DROP VIEW live_purchases;
DROP TABLE revocations;
DROP TABLE purchases;
DROP TABLE offers;
DROP TABLE products;
DROP TABLE system;
