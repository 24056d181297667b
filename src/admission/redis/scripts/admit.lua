#!lua
-- Decides one purchase attempt.
--
-- ARGV  1 user   2 purchase id to give if the user wins
--       3 identity of the server as its connection knows it
-- Reply {"SUCCESS", unit, purchase id, entry id, epoch}
--       {"PURCHASED", unit, purchase id, entry id, epoch, pending (1|0)}   the user's one purchase
--       {"SOLD_OUT"} {"UPCOMING"} {"ENDED"} {"PAUSED"}
--       {"NOT_READY"}   no state, the state of another server, or a damaged state
--
-- Atomic: a unit is taken, its winner written and its outbox entry made together or not at all. Lua
-- has no rollback: everything that could fail is read before the first write, and the first write
-- (XADD) is the only one whose key was not read before.
-- Idempotent: a second run with the same purchase id answers SUCCESS with the same unit.

local sale = call('HMGET', SALE, 'epoch', 'total', 'next', 'opens_ms', 'closes_ms', 'paused', 'server', 'balance')
local epoch, total, next_unit = tonumber(sale[1]), tonumber(sale[2]), tonumber(sale[3])
if not epoch or not total or not next_unit or sale[7] ~= ARGV[3] then
  return {'NOT_READY'}
end

local winner = call('HGET', BUYERS, ARGV[1])
if winner then
  local unit, id, entry = string.match(winner, WINNER)
  if id == ARGV[2] then
    return {'SUCCESS', unit, id, entry, sale[1]}
  end
  return {'PURCHASED', unit, id, entry, sale[1], pending(id, entry)}
end

if sale[6] == '1' then
  return {'PAUSED'}
end
local now = now_ms()
if sale[4] and now < (tonumber(sale[4]) or 0) then
  return {'UPCOMING'}
end
if sale[5] and now >= (tonumber(sale[5]) or math.huge) then
  return {'ENDED'}
end

local returned = call('LINDEX', FREE, 0)
local unit = returned or next_unit + 1
if not returned and unit > total then
  return {'SOLD_OUT'}
end
local held, expected = integrity(next_unit, sale[8])
if held ~= expected then
  return {'NOT_READY'}
end

local entry = write_winner(ARGV[1], unit, ARGV[2], sale[1])
if returned then
  call('LPOP', FREE)
else
  call('HSET', SALE, 'next', unit)
end
return {'SUCCESS', tostring(unit), ARGV[2], entry, sale[1]}
