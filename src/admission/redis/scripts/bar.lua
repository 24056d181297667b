#!lua
-- Uses up the rights of users who bought elsewhere, unless they have a purchase here.
--
-- ARGV  pairs: user, "0 purchase-id entry-id", a record without a unit; then
--       identity of the server as its connection knows it
--       epoch and highest unit that the caller has seen
-- Reply {"DONE"}
--       {"NOT_READY"}   no state, or the state of another server
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
--
-- Keeps `balance`. Idempotent.

local pairs_end = #ARGV - 4
local sale = call('HMGET', SALE, 'epoch', 'next', 'server')
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[2])
if not epoch or not next_unit or not is_made_here(sale[3], ARGV[pairs_end + 1]) then
  return {'NOT_READY'}
end
if is_behind(epoch, next_unit, ARGV[pairs_end + 2], ARGV[pairs_end + 3]) then
  return {'ROLLED_BACK', sale[1], sale[2]}
end
local added = 0
for i = 1, pairs_end, 2 do
  if call('HEXISTS', BUYERS, ARGV[i]) == 0 then
    call('HSET', BUYERS, ARGV[i], ARGV[i + 1])
    added = added + 1
  end
end
call('HINCRBY', SALE, 'balance', added)
return {'DONE'}
