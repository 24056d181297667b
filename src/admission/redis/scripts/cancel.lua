#!lua flags=allow-oom
-- Takes a purchase out of the sale that the ledger has as cancelled.
--
-- ARGV  1 user   2 purchase id   3 "1": its unit is withheld; "0": it returns to free
--       4 "1": the user may buy again; "0": the user's one purchase is used up
--       5 identity of the server as its connection knows it
--       6, 7 epoch and highest unit that the caller has seen
-- Reply {"DONE"}
--       {"NONE"}        the user has no such purchase, or it is cancelled here
--       {"NOT_READY"}   no state, or the state of another server
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
--
-- The ledger has committed the cancellation before: until then the unit could not be recorded for
-- someone else. A unit returns to free at most once, because only the step that changes the winner
-- returns it. A user whose right is used up stays in buyers. `revoked` says that the ledger knows
-- more of one who may buy again. Keeps `balance`.
-- Atomic: every key is read, and its type so checked, before the first write. Idempotent.

local sale = call('HMGET', SALE, 'epoch', 'next', 'server')
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[2])
if not epoch or not next_unit or not is_made_here(sale[3], ARGV[5]) then
  return {'NOT_READY'}
end
if is_behind(epoch, next_unit, ARGV[6], ARGV[7]) then
  return {'ROLLED_BACK', sale[1], sale[2]}
end
call('LLEN', FREE)
call('XLEN', OUTBOX)
call('SCARD', DEAD)
local unit, id, entry, mark = string.match(call('HGET', BUYERS, ARGV[1]) or '', WINNER)
if id ~= ARGV[2] or is_used(unit, mark) then
  return {'NONE'}
end
local withheld, again = ARGV[3] == '1', ARGV[4] == '1'
delete_entry(entry)
call('HINCRBY', SALE, 'dead', 0 - call('SREM', DEAD, id))
if again then
  call('HDEL', BUYERS, ARGV[1])
  call('HSET', SALE, 'revoked', 1)
else
  call('HSET', BUYERS, ARGV[1], (withheld and unit or '0') .. ' ' .. id .. ' ' .. entry .. ' C')
end
if not withheld then
  call('RPUSH', FREE, unit)
end
call('HINCRBY', SALE, 'balance', (withheld and 0 or 1) - (again and 1 or 0))
return {'DONE'}
