#!lua flags=allow-oom
-- Takes an admission back that the ledger could not accept.
--
-- ARGV  1 user   2 purchase id
--       3 what stands instead: the winner that the ledger has, "unit purchase-id entry-id";
--         "": nothing does, and this purchase is revoked
--       4 "1": its unit has no owner and returns to free; "0": the unit belongs to someone else
-- Reply 1 when the admission was taken back, 0 when there was none, or no more
--
-- The purchase id says which admission is meant, in whichever epoch. A unit returns to free at most
-- once, because only the step that removes the winner returns it. A revocation is noted also where
-- the admission itself was lost with an earlier state, so that the buyer can learn of it. Keeps
-- `balance`.
-- Atomic: every key is read, and its type so checked, before the first write. Idempotent.

if not call('HGET', SALE, 'epoch') then
  return 0
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
  return 0
end
local unit, id, entry = string.match(winner, WINNER)
if id ~= ARGV[2] then
  return 0
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
return 1
