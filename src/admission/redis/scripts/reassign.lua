#!lua
-- Gives a purchase a unit again: the ledger has given its unit to someone else, or it was admitted by a state that
-- was lost since, so that its unit may have been handed out anew.
--
-- KEYS  1 sale   2 free   3 buyers   4 outbox
-- ARGV  1 user   2 purchase id   3 its unit
--       4 "1": the unit is someone else's; "0": it may be kept if nobody has it
--       5 run id of the server as its connection knows it
-- Reply {"MOVED", unit, purchase id, entry id, epoch}    the same purchase with the unit it has now
--       {"OTHER", unit, purchase id, entry id, epoch}    the user has a later purchase by now: that one stands
--       {"NONE"}        no unit is left
--       {"NOT_READY"}   no state, or state of another incarnation of this server
--
-- Keeps: balance (see sale.lua); the lowest free unit goes first, the buyer has one unit throughout (a unit beyond next that is kept
-- makes those between free, up to a thousand). The window and a pause don't matter: this purchase was
-- admitted before. Running it twice is safe: the second run finds the unit that it has.

local GAP_MAX = 1000
local sale = redis.call('HMGET', KEYS[1], 'epoch', 'total', 'next', 'server')
local total, next_unit = tonumber(sale[2]), tonumber(sale[3])
if not sale[1] or not total or not next_unit or sale[4] ~= ARGV[5] then
  return {'NOT_READY'}
end
local may_keep = ARGV[4] == '0'
local old_entry
local mine = redis.call('HGET', KEYS[3], ARGV[1])
if mine then
  local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
  if id ~= ARGV[2] then
    return {'OTHER', unit, id, entry, sale[1]}
  end
  if unit ~= ARGV[3] or may_keep then
    return {'MOVED', unit, id, entry, sale[1]}
  end
  old_entry = entry
end

local wanted = may_keep and tonumber(ARGV[3])
local chosen
for _, free in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  free = tonumber(free)
  if free == wanted then
    chosen = free
    break
  end
  if not chosen or free < chosen then
    chosen = free
  end
end
local from_free = chosen
if wanted and chosen ~= wanted and wanted > next_unit and wanted <= total and wanted - next_unit <= GAP_MAX then
  chosen, from_free = wanted, nil
end
if not chosen then
  chosen = next_unit + 1
  if chosen > total then
    return {'NONE'}
  end
end

local unit = string.format('%d', chosen)
local entry = redis.call('XADD', KEYS[4], '*', 'user', ARGV[1], 'unit', unit, 'id', ARGV[2], 'epoch', sale[1])
redis.call('HSET', KEYS[3], ARGV[1], unit .. ' ' .. ARGV[2] .. ' ' .. entry)
if from_free then
  redis.call('LREM', KEYS[2], 1, unit)
else
  for between = next_unit + 1, chosen - 1 do
    redis.call('RPUSH', KEYS[2], string.format('%d', between))
  end
  redis.call('HSET', KEYS[1], 'next', unit)
end
if old_entry then
  redis.call('XDEL', KEYS[4], old_entry)
  -- The unit that it had is neither a winner's nor free now.
  redis.call('HINCRBY', KEYS[1], 'balance', -1)
end
return {'MOVED', unit, ARGV[2], entry, sale[1]}
