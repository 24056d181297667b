DROP TABLE revocations;
DROP TABLE purchases;
DROP TABLE products;
DROP TABLE system;
