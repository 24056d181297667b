#!lua
-- Takes an admission back that the ledger could not accept.
--
-- KEYS  1 sale   2 free   3 buyers   4 outbox
-- ARGV  1 epoch of the admission   2 user   3 purchase id
--       4 what stands instead: the user's purchase in the ledger as "unit id entry", or "" (then it is revoked)
--       5 "1": the unit is nobody's and returns to free; "0": it belongs to someone else
-- Reply 1 when the admission was taken back, 0 when it had been already (or is of another epoch)
--
-- Keeps: a unit returns to free at most once, because only the step that removes the winner returns it.
-- Running it twice is safe.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 0
end
local mine = redis.call('HGET', KEYS[3], ARGV[2])
if not mine then
  return 0
end
local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
if id ~= ARGV[3] then
  return 0
end
redis.call('XDEL', KEYS[4], entry)
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[3], ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'revoked', 1)
else
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
end
if ARGV[5] == '1' then
  redis.call('RPUSH', KEYS[2], unit)
end
return 1
