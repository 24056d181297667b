#!lua flags=allow-oom
-- Puts a staged snapshot in place: the last step of a rebuild, after which the sale is ready.
--
-- KEYS  1 sale   2 free   3 buyers   4 outbox   5 staged free   6 staged buyers   7 dead
-- ARGV  1 epoch   2 total   3 next   4 opens_ms or ""   5 closes_ms or ""   6 paused (1|0)
--       7 run id of the server   8 "1": purchases of this sale were revoked
-- Reply "OPEN" | "STALE": not this epoch's fence stands, but a later one, or none since Redis was lost again
--       | "INCOMPLETE": parts of the snapshot are missing
--
-- Keeps: epochs only rise, and next = buyers + free units. Running it twice is safe: the second run finds
-- its own epoch in place.

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'fence')
if sale[1] == ARGV[1] then
  return 'OPEN'
end
if sale[2] ~= ARGV[1] then
  return 'STALE'
end
if redis.call('LLEN', KEYS[5]) + redis.call('HLEN', KEYS[6]) ~= tonumber(ARGV[3]) then
  return 'INCOMPLETE'
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[7])
for staged, final in pairs({[KEYS[5]] = KEYS[2], [KEYS[6]] = KEYS[3]}) do
  if redis.call('EXISTS', staged) == 1 then
    redis.call('RENAME', staged, final)
    redis.call('PERSIST', final)
  end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'total', ARGV[2], 'next', ARGV[3], 'paused', ARGV[6],
  'server', ARGV[7], 'revoked', ARGV[8])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'opens_ms', ARGV[4])
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'closes_ms', ARGV[5])
end
return 'OPEN'
