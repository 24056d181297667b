#!lua flags=allow-oom
-- Changes the terms of a running sale.
--
-- KEYS  1 sale
-- ARGV  1 epoch   2 total   3 opens_ms or ""   4 closes_ms or ""   5 paused (1|0)
-- Reply 1 when done, 0 when the sale is of another epoch, or more units are handed out than the new total
--
-- Keeps: next <= total. Running it twice is safe.

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'next')
if sale[1] ~= ARGV[1] or tonumber(sale[2]) > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'total', ARGV[2], 'paused', ARGV[5])
for field, value in pairs({opens_ms = ARGV[3], closes_ms = ARGV[4]}) do
  if value == '' then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HSET', KEYS[1], field, value)
  end
end
return 1
