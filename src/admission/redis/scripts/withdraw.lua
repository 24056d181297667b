#!lua flags=allow-oom
-- Takes an admission back that the ledger could not accept.
--
-- KEYS  1 sale   2 free   3 buyers   4 outbox   5 dead
-- ARGV  1 user   2 purchase id
--       3 what stands instead: the user's purchase in the ledger as "unit id entry", or "" (then it is revoked)
--       4 "1": its unit is nobody's and returns to free; "0": it belongs to someone else
-- Reply 1 when the admission was taken back, 0 when there was none, or no more
--
-- Keeps: balance (see sale.lua); a unit returns to free at most once, because only the step that removes the winner returns it; and
-- whoever was revoked can find out, also where the admission itself was lost with an earlier state. The purchase id
-- says which admission is meant, in whichever epoch. Running it twice is safe.

if not redis.call('HGET', KEYS[1], 'epoch') then
  return 0
end
redis.call('LLEN', KEYS[2])
redis.call('SCARD', KEYS[5])
local mine = redis.call('HGET', KEYS[3], ARGV[1])
if ARGV[3] == '' then
  redis.call('HSET', KEYS[1], 'revoked', 1)
end
if not mine then
  return 0
end
local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
if id ~= ARGV[2] then
  return 0
end
local function held()
  return redis.call('HLEN', KEYS[3]) + redis.call('LLEN', KEYS[2])
end
local before = held()
redis.call('XDEL', KEYS[4], entry)
redis.call('SREM', KEYS[5], id)
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[3], ARGV[1])
else
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
end
if ARGV[4] == '1' then
  redis.call('RPUSH', KEYS[2], unit)
end
redis.call('HINCRBY', KEYS[1], 'balance', held() - before)
return 1
