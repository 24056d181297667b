#!lua flags=no-writes
-- Reads a sale as it stands.
--
-- KEYS  1 sale   2 free   3 outbox
-- ARGV  1 run id of the server as its connection knows it
-- Reply {epoch, total, next, opens_ms, closes_ms, paused, #free, #outbox, now_ms}, or {} when not ready
--
-- Keeps: writes nothing.

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'total', 'next', 'opens_ms', 'closes_ms', 'paused', 'server')
if not sale[1] or not sale[2] or not sale[3] or sale[7] ~= ARGV[1] then
  return {}
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
return {
  sale[1], sale[2], sale[3], sale[4] or '', sale[5] or '', sale[6] or '',
  tostring(redis.call('LLEN', KEYS[2])), tostring(redis.call('XLEN', KEYS[3])), string.format('%.0f', now_ms),
}
