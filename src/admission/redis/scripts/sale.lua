#!lua flags=no-writes
-- Reads a sale as it stands.
--
-- ARGV  1 identity of the server as its connection knows it
--       2, 3 epoch and highest unit that the caller has seen
-- Reply {epoch, total, next, opens_ms, closes_ms, paused, #free, #outbox, now_ms, #dead,
--       id of the newest outbox entry or ""}
--       {"REBUILDING", step} while a rebuild has stopped the sale
--       {"NOT_READY"}   no state of this server
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
-- Error FOREIGN when a part of the state is gone

local sale = call('HMGET', SALE, 'epoch', 'total', 'next', 'opens_ms', 'closes_ms', 'paused', 'server', 'fence', 'step')
if sale[8] then
  return {'REBUILDING', sale[9] or '1'}
end
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[3])
if not epoch or not sale[2] or not next_unit or not is_made_here(sale[7], ARGV[1]) then
  return {'NOT_READY'}
end
if is_behind(epoch, next_unit, ARGV[2], ARGV[3]) then
  return {'ROLLED_BACK', sale[1], sale[3]}
end
local damaged = damage(next_unit)
if damaged then
  return redis.error_reply('FOREIGN ' .. damaged)
end
local time = call('TIME')
local newest = call('XREVRANGE', OUTBOX, '+', '-', 'COUNT', 1)[1]
return {
  sale[1], sale[2], sale[3], sale[4], sale[5], sale[6], tostring(call('LLEN', FREE)), tostring(call('XLEN', OUTBOX)),
  string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), tostring(call('SCARD', DEAD)),
  newest and newest[1] or '',
}
