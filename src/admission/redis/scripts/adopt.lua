#!lua
-- Makes a winner of the owner of a unit in the ledger, where admission does not know that user.
--
-- ARGV  1 user   2 the winner that the ledger has, "unit purchase-id entry-id"
-- Reply 1 when done, 0 when the user has a purchase here, or there is no state
--
-- Keeps `balance`. Idempotent. Epoch, identity and watermark are not checked: the ledger's row is
-- true in each copy of the state, and keeps the unit from being sold there. `next` stays as it is,
-- so that a state which was rolled back is still recognised.

if not call('HGET', SALE, 'epoch') or call('HEXISTS', BUYERS, ARGV[1]) == 1 then
  return 0
end
local unit = string.match(ARGV[2], WINNER)
local taken = call('LREM', FREE, 1, unit)
call('HSET', BUYERS, ARGV[1], ARGV[2])
call('HINCRBY', SALE, 'balance', 1 - taken)
return 1
