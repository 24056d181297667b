#!lua
-- Gives an admitted purchase another unit, because the ledger has given its unit to someone else.
--
-- KEYS  1 sale   2 free   3 buyers   4 outbox
-- ARGV  1 user   2 purchase id   3 the unit that is someone else's
-- Reply {"MOVED", unit, purchase id, entry id, epoch}    the same purchase with its new unit
--       {"OTHER", unit, purchase id, entry id, epoch}    the user has a later purchase by now: that one stands
--       {"NONE"}        no unit is left
--       {"NOT_READY"}   no state
--
-- Keeps: the lowest free unit goes first, and the buyer has one unit throughout. The window and a pause don't
-- matter: this purchase was admitted before. Running it twice is safe: the second run finds the unit moved.

local sale = redis.call('HMGET', KEYS[1], 'epoch', 'total', 'next')
local total, next_unit = tonumber(sale[2]), tonumber(sale[3])
if not sale[1] or not total or not next_unit then
  return {'NOT_READY'}
end
local old_entry
local mine = redis.call('HGET', KEYS[3], ARGV[1])
if mine then
  local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
  if id ~= ARGV[2] then
    return {'OTHER', unit, id, entry, sale[1]}
  end
  if unit ~= ARGV[3] then
    return {'MOVED', unit, id, entry, sale[1]}
  end
  old_entry = entry
end

local lowest
for _, unit in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if not lowest or tonumber(unit) < tonumber(lowest) then
    lowest = unit
  end
end
local unit = lowest or next_unit + 1
if not lowest and unit > total then
  return {'NONE'}
end
local entry = redis.call('XADD', KEYS[4], '*', 'user', ARGV[1], 'unit', unit, 'id', ARGV[2], 'epoch', sale[1])
redis.call('HSET', KEYS[3], ARGV[1], unit .. ' ' .. ARGV[2] .. ' ' .. entry)
if lowest then
  redis.call('LREM', KEYS[2], 1, lowest)
else
  redis.call('HSET', KEYS[1], 'next', unit)
end
if old_entry then
  redis.call('XDEL', KEYS[4], old_entry)
end
return {'MOVED', tostring(unit), ARGV[2], entry, sale[1]}
