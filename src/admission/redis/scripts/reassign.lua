#!lua
-- Gives a purchase a unit again: the ledger has given its unit to someone else, or the state that
-- admitted it was lost since, so that its unit may have been handed out anew.
--
-- ARGV  1 user   2 purchase id   3 its unit
--       4 "1": the unit is someone else's; "0": the purchase may keep it if it is free
--       5 identity of the server as its connection knows it
--       6, 7 epoch and highest unit that the caller has seen
-- Reply {"MOVED", unit, purchase id, entry id, epoch}   the same purchase with its unit now
--       {"OTHER", unit, purchase id, entry id, epoch}   the user's other purchase, which stands, or
--       one that only keeps the user from buying
--       {"NONE"}        no unit is left
--       {"NOT_READY"}   no state, or the state of another server
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
--
-- The lowest free unit goes first. A unit beyond `next` that is kept makes the units between free,
-- up to GAP_MAX. Window and pause do not matter, since the purchase was admitted before. Keeps
-- `balance`.
-- Atomic: the buyer has one unit throughout. Idempotent: a second run finds the unit that the
-- purchase has.

local GAP_MAX = 1000
local sale = call('HMGET', SALE, 'epoch', 'total', 'next', 'server')
local epoch, total, next_unit = tonumber(sale[1]), tonumber(sale[2]), tonumber(sale[3])
if not epoch or not total or not next_unit or not is_made_here(sale[4], ARGV[5]) then
  return {'NOT_READY'}
end
if is_behind(epoch, next_unit, ARGV[6], ARGV[7]) then
  return {'ROLLED_BACK', sale[1], sale[3]}
end
local may_keep = ARGV[4] == '0'
local old_entry
local winner = call('HGET', BUYERS, ARGV[1])
if winner then
  local unit, id, entry, mark = string.match(winner, WINNER)
  if id ~= ARGV[2] or is_used(unit, mark) then
    return {'OTHER', unit, id, entry, sale[1]}
  end
  if unit ~= ARGV[3] or may_keep then
    return {'MOVED', unit, id, entry, sale[1]}
  end
  old_entry = entry
end

local wanted = may_keep and tonumber(ARGV[3])
local chosen
for _, free in ipairs(call('LRANGE', FREE, 0, -1)) do
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
local entry = write_winner(ARGV[1], unit, ARGV[2], sale[1])
if from_free then
  call('LREM', FREE, 1, unit)
else
  for between = next_unit + 1, chosen - 1 do
    call('RPUSH', FREE, string.format('%d', between))
  end
  call('HSET', SALE, 'next', unit)
end
if old_entry then
  delete_entry(old_entry)
  -- The old unit has no buyer now, and is not free.
  call('HINCRBY', SALE, 'balance', -1)
end
return {'MOVED', unit, ARGV[2], entry, sale[1]}
