#!lua
-- Makes a winner of whoever has a unit in the ledger, where admission does not know them.
--
-- KEYS  1 sale   2 free   3 buyers
-- ARGV  1 user   2 the purchase in the ledger as "unit id entry"
-- Reply 1 when it was done, 0 when the user has a purchase here, or there is no state
--
-- Keeps: balance (see sale.lua). Running it twice is safe.

if not redis.call('HGET', KEYS[1], 'epoch') or redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  return 0
end
local unit = string.match(ARGV[2], '^%d+')
local taken = redis.call('LREM', KEYS[2], 1, unit)
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'balance', 1 - taken)
return 1
