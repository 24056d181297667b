#!lua flags=allow-oom
-- Takes an admission back that the ledger could not accept.
--
-- ARGV  1 user   2 purchase id
--       3 what stands instead: the winner that the ledger has, "unit purchase-id entry-id";
--         "": nothing does, and this purchase is revoked
--       4 "1": its unit has no owner and returns to free; "0": the unit belongs to someone else
--       5 identity of the server as its connection knows it
--       6, 7 epoch and highest unit that the caller has seen
-- Reply {"DONE"}        the admission was taken back, or there is none (any more), or no state
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
--
-- The purchase id says which admission is meant, in whichever epoch. A unit returns to free at most
-- once, because only the step that removes the winner returns it. A revocation is noted also where
-- the admission itself was lost with an earlier state, so that the buyer can learn of it. Keeps
-- `balance`.
--
-- A state that is behind, as that of a former primary is, refuses: the purchase would be taken back
-- there, its message acknowledged, and the state that sells would keep the winner, and would not
-- tell a buyer to ask the ledger why. Without a state, and in one of another history of the server,
-- which is rebuilt before it sells, nothing is lost: the rebuild finds the revocation in the
-- ledger.
--
-- Atomic: every key is read, and its type so checked, before the first write. Idempotent.

local sale = call('HMGET', SALE, 'epoch', 'next')
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[2])
if not epoch or not next_unit then
  return {'DONE'}
end
if is_behind(epoch, next_unit, ARGV[6], ARGV[7]) then
  return {'ROLLED_BACK', sale[1], sale[2]}
end
call('LLEN', FREE)
call('XLEN', OUTBOX)
call('SCARD', DEAD)
local winner = call('HGET', BUYERS, ARGV[1])
local stands, returns = ARGV[3] ~= '', ARGV[4] == '1'
if not stands then
  call('HSET', SALE, 'revoked', 1)
end
if not winner then
  return {'DONE'}
end
local unit, id, entry, mark = string.match(winner, WINNER)
if id ~= ARGV[2] or is_used(unit, mark) then
  return {'DONE'}
end
delete_entry(entry)
call('HINCRBY', SALE, 'dead', 0 - call('SREM', DEAD, id))
if stands then
  call('HSET', BUYERS, ARGV[1], ARGV[3])
else
  call('HDEL', BUYERS, ARGV[1])
end
if returns then
  call('RPUSH', FREE, unit)
end
call('HINCRBY', SALE, 'balance', (returns and 1 or 0) - (stands and 0 or 1))
return {'DONE'}
