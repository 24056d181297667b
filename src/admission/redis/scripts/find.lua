#!lua flags=no-writes
-- Finds a user's purchase.
--
-- KEYS  1 sale   2 buyers   3 outbox   4 dead
-- ARGV  1 user   2 run id of the server as its connection knows it
-- Reply {"NOT_READY"} | {"FOUND", unit, purchase id, entry id, epoch, in flight (1|0)}
--       {"NONE", revoked (1|0)}   1: purchases of this sale were revoked, and the ledger knows whose
--
-- Keeps: writes nothing.

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'server', 'revoked')
if not sale[1] or sale[2] ~= ARGV[2] then
  return {'NOT_READY'}
end
local mine = redis.call('HGET', KEYS[2], ARGV[1])
if not mine then
  return {'NONE', sale[3] or '0'}
end
local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
local in_flight = #redis.call('XRANGE', KEYS[3], entry, entry)
if in_flight == 0 then
  in_flight = redis.call('SISMEMBER', KEYS[4], id)
end
return {'FOUND', unit, id, entry, sale[1], in_flight}
