#!lua flags=no-writes
-- Reads a sale as it stands.
--
-- ARGV  1 identity of the server as its connection knows it
-- Reply {epoch, total, next, opens_ms, closes_ms, paused, #free, #outbox, now_ms, #dead}
--       {"REBUILDING", step} while a rebuild has stopped the sale
--       {} without a state of this server
-- Error FOREIGN when a part of the state is gone

local sale = call('HMGET', SALE, 'epoch', 'total', 'next', 'opens_ms', 'closes_ms', 'paused', 'server', 'balance',
  'fence', 'step')
if sale[9] then
  return {'REBUILDING', sale[10] or '1'}
end
if not sale[1] or not sale[2] or not sale[3] or sale[7] ~= ARGV[1] then
  return {}
end
local held, expected = integrity(tonumber(sale[3]), sale[8])
if held ~= expected then
  return redis.error_reply('FOREIGN ' .. held .. ' winners and free units, of ' .. sale[3] .. ' that were handed out')
end
return {
  sale[1], sale[2], sale[3], sale[4] or '', sale[5] or '', sale[6] or '', tostring(call('LLEN', FREE)),
  tostring(call('XLEN', OUTBOX)), string.format('%.0f', now_ms()), tostring(call('SCARD', DEAD)),
}
