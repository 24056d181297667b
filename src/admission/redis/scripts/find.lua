#!lua flags=no-writes
-- Finds a user's purchase.
--
-- ARGV  1 user   2 identity of the server as its connection knows it
-- Reply {"FOUND", unit, purchase id, entry id, epoch, pending (1|0)}
--       {"NONE", revoked (1|0)}   1: purchases of this sale were revoked; the ledger knows whose
--       {"NOT_READY"}   no state, or the state of another server

local sale = call('HMGET', SALE, 'epoch', 'server', 'revoked')
if not sale[1] or sale[2] ~= ARGV[2] then
  return {'NOT_READY'}
end
local winner = call('HGET', BUYERS, ARGV[1])
if not winner then
  return {'NONE', sale[3] or '0'}
end
local unit, id, entry = string.match(winner, WINNER)
return {'FOUND', unit, id, entry, sale[1], pending(id, entry)}
