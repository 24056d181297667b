#!lua flags=no-writes
-- Reads a sale as it stands.
--
-- KEYS  1 sale   2 free   3 outbox   4 buyers   5 dead
-- ARGV  1 run id of the server as its connection knows it
-- Reply {epoch, total, next, opens_ms, closes_ms, paused, #free, #outbox, now_ms, #dead}
--       {"REBUILDING", step} while a rebuild has stopped the sale, or {} when not ready
--
-- Keeps: writes nothing. An error when a part of the state is gone or foreign: buyers + free = next + balance, where
-- balance counts the units that a settled conflict has put out of place (0 in every sale that never lost data).

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'total', 'next', 'opens_ms', 'closes_ms', 'paused', 'server', 'balance',
  'fence', 'step')
if sale[9] then
  return {'REBUILDING', sale[10] or '1'}
end
if not sale[1] or not sale[2] or not sale[3] or sale[7] ~= ARGV[1] then
  return {}
end
local held = redis.call('HLEN', KEYS[4]) + redis.call('LLEN', KEYS[2])
if held ~= tonumber(sale[3]) + (tonumber(sale[8]) or 0) then
  return redis.error_reply('FOREIGN ' .. held .. ' winners and free units, of ' .. sale[3] .. ' that were handed out')
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
return {
  sale[1], sale[2], sale[3], sale[4] or '', sale[5] or '', sale[6] or '',
  tostring(redis.call('LLEN', KEYS[2])), tostring(redis.call('XLEN', KEYS[3])), string.format('%.0f', now_ms),
  tostring(redis.call('SCARD', KEYS[5])),
}
