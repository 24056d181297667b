#!lua
-- Stops admission for a rebuild: the sale is left with nothing but the epoch that may open it.
--
-- KEYS  1 sale   2 outbox   3 dead
-- ARGV  1 epoch of the rebuild
-- Reply 1 when stopped, 0 when a later rebuild has stopped or opened it already
--
-- Keeps: what is not yet in the ledger stays in the outbox. A key of the wrong type is nothing of ours, and would
-- stop every rebuild; it is deleted. Running it twice is safe.

local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end
if is(KEYS[1], 'hash') then
  local sale = redis.call('HMGET', KEYS[1], 'epoch', 'fence')
  if math.max(tonumber(sale[1]) or 0, tonumber(sale[2]) or 0) > tonumber(ARGV[1]) then
    return 0
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
if not is(KEYS[2], 'stream') then
  redis.call('DEL', KEYS[2])
end
if not is(KEYS[3], 'set') then
  redis.call('DEL', KEYS[3])
end
return 1
