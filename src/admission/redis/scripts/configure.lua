#!lua flags=allow-oom
-- Changes the terms of a running sale.
--
-- ARGV  1 epoch   2 total   3 opens_ms or ""   4 closes_ms or ""   5 paused (1|0)
-- Reply 1 when done, 0 when the sale is of another epoch, or more units are handed out than the
--       new total
--
-- Keeps next <= total. Idempotent.

local sale = call('HMGET', SALE, 'epoch', 'next')
if sale[1] ~= ARGV[1] or tonumber(sale[2]) > tonumber(ARGV[2]) then
  return 0
end
call('HSET', SALE, 'total', ARGV[2], 'opens_ms', ARGV[3], 'closes_ms', ARGV[4], 'paused', ARGV[5])
return 1
