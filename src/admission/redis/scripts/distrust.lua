#!lua flags=allow-oom
-- Ends the use of a state that lacks what the caller has seen, for every process, so that the
-- leader finds no usable state and rebuilds it, under an epoch above all that was seen.
--
-- ARGV  1, 2 epoch and highest unit that the caller has seen
-- Reply 1 when the state lacks that, 0 when it does not, or there is none
--
-- Idempotent.

local sale = call('HMGET', SALE, 'epoch', 'next', 'seen')
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[2])
if not epoch or not next_unit or not is_behind(epoch, next_unit, ARGV[1], ARGV[2]) then
  return 0
end
call('HDEL', SALE, 'server')
-- A new state of the epoch that was seen lacks nothing where no unit of it was seen.
local seen = tonumber(ARGV[1]) - (tonumber(ARGV[2]) == 0 and 1 or 0)
if (tonumber(sale[3]) or 0) < seen then
  call('HSET', SALE, 'seen', string.format('%.0f', seen))
end
return 1
