#!lua
-- Decides one purchase attempt.
--
-- KEYS  1 sale (hash)   2 free (list)   3 buyers (hash)   4 outbox (stream)   5 dead (set)
-- ARGV  1 user   2 purchase id to give if the user wins   3 run id of the server as its connection knows it
-- Reply {"SUCCESS", unit, purchase id, entry id, epoch}
--       {"PURCHASED", unit, purchase id, entry id, epoch, in flight (1|0)}   the user's one purchase
--       {"SOLD_OUT"} {"UPCOMING"} {"ENDED"} {"PAUSED"}
--       {"NOT_READY"}   no state, or state of another incarnation of this server: nothing may be sold from it
--
-- Keeps: a unit is taken, its winner written and its outbox entry made together or not at all. Everything that could fail is read before the first write, and the first
-- write (XADD) is the only one whose key was not read: Lua has no rollback.
-- Running it twice is safe: the second run answers PURCHASED with the purchase id of the first.

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'total', 'next', 'opens_ms', 'closes_ms', 'paused', 'server', 'balance')
local epoch, total, next_unit = tonumber(sale[1]), tonumber(sale[2]), tonumber(sale[3])
if not epoch or not total or not next_unit or sale[7] ~= ARGV[3] then
  return {'NOT_READY'}
end

local mine = redis.call('HGET', KEYS[3], ARGV[1])
if mine then
  local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
  local in_flight = #redis.call('XRANGE', KEYS[4], entry, entry)
  if in_flight == 0 then
    in_flight = redis.call('SISMEMBER', KEYS[5], id)
  end
  return {'PURCHASED', unit, id, entry, sale[1], in_flight}
end

if sale[6] == '1' then
  return {'PAUSED'}
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if sale[4] and now_ms < (tonumber(sale[4]) or 0) then
  return {'UPCOMING'}
end
if sale[5] and now_ms >= (tonumber(sale[5]) or math.huge) then
  return {'ENDED'}
end

local returned = redis.call('LINDEX', KEYS[2], 0)
local unit = returned or next_unit + 1
if not returned and unit > total then
  return {'SOLD_OUT'}
end
-- A part of the state is gone: who has a unit is not known any more.
if redis.call('HLEN', KEYS[3]) + redis.call('LLEN', KEYS[2]) ~= next_unit + (tonumber(sale[8]) or 0) then
  return {'NOT_READY'}
end

local entry = redis.call('XADD', KEYS[4], '*', 'user', ARGV[1], 'unit', unit, 'id', ARGV[2], 'epoch', sale[1])
redis.call('HSET', KEYS[3], ARGV[1], unit .. ' ' .. ARGV[2] .. ' ' .. entry)
if returned then
  redis.call('LPOP', KEYS[2])
else
  redis.call('HSET', KEYS[1], 'next', unit)
end
return {'SUCCESS', tostring(unit), ARGV[2], entry, sale[1]}
