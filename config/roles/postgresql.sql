-- Database roles with what each process needs, and no more. Run it with psql in flashsale's database,
-- after `flashsale migrate`, as the role that owns the database and may create roles (or as a
-- superuser). It can be run again, and must be after a migration that adds a table:
--
--     psql -d flashsale -f config/roles/postgresql.sql
--     psql -d flashsale -c '\password flashsale_serve'        -- and so on
--
--   flashsale_serve      serve, web: read
--   flashsale_work       work: record purchases, lead
--   flashsale_operator   pause, resume, products, purchases, audit, reconcile, dead-letters, topology
--
-- `flashsale migrate` runs as the owner of the tables.
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['flashsale_serve', 'flashsale_work', 'flashsale_operator']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

GRANT CONNECT ON DATABASE :"DBNAME" TO flashsale_serve, flashsale_work, flashsale_operator;
GRANT USAGE ON SCHEMA public TO flashsale_serve, flashsale_work, flashsale_operator;

-- All of them read everything, except that only operators read discarded dead letters.
GRANT SELECT ON
    __diesel_schema_migrations, system, products, offers, purchases, live_purchases, revocations,
    earlier_buyers, admission_changes
TO flashsale_serve, flashsale_work, flashsale_operator;

-- The row of the system is written once; later writes of it only probe whether the database takes any.
GRANT INSERT, UPDATE ON system TO flashsale_work;
-- New products of a catalogue file; epochs, and a stock that admission has agreed to.
GRANT INSERT, UPDATE ON products TO flashsale_work;
GRANT INSERT ON offers TO flashsale_work;
-- Purchases; UPDATE completes the erasure of a buyer.
GRANT INSERT, UPDATE ON purchases, revocations TO flashsale_work;
GRANT UPDATE ON earlier_buyers TO flashsale_work;
-- Decisions of operators that are carried over.
GRANT DELETE ON admission_changes TO flashsale_work;

-- pause, resume, products apply (a new name or price is a new offer), reconcile --fix
GRANT INSERT, UPDATE ON products TO flashsale_operator;
GRANT INSERT ON offers TO flashsale_operator;
-- purchases cancel, erase, import
GRANT UPDATE ON purchases TO flashsale_operator;
GRANT INSERT ON admission_changes TO flashsale_operator;
GRANT INSERT, UPDATE ON earlier_buyers TO flashsale_operator;
-- dead-letters discard; UPDATE is for purchases erase
GRANT INSERT, UPDATE ON revocations TO flashsale_operator;
GRANT SELECT, INSERT, UPDATE ON discards TO flashsale_operator;
