#!lua flags=no-writes
-- Finds a user's purchase.
--
-- ARGV  1 user   2 identity of the server as its connection knows it
--       3, 4 epoch and highest unit that the caller has seen
-- Reply {"FOUND", unit, purchase id, entry id, epoch, state (see state_of)}   unit 0 where the
--       purchase only keeps the user from buying
--       {"NONE", revoked (1|0)}   1: purchases of this sale were taken back; the ledger knows whose
--       {"NOT_READY"}   no state, the state of another server, or a damaged state: a purchase
--       whose entry is lost would pass for recorded
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen

local sale = call('HMGET', SALE, 'epoch', 'next', 'server', 'revoked')
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[2])
if not epoch or not next_unit or sale[3] ~= ARGV[2] then
  return {'NOT_READY'}
end
if is_behind(epoch, next_unit, ARGV[3], ARGV[4]) then
  return {'ROLLED_BACK', sale[1], sale[2]}
end
if damage(next_unit) then
  return {'NOT_READY'}
end
local winner = call('HGET', BUYERS, ARGV[1])
if not winner then
  return {'NONE', sale[4] or '0'}
end
local unit, id, entry, mark = string.match(winner, WINNER)
return {'FOUND', unit, id, entry, sale[1], state_of(id, entry, mark)}
