#!lua
-- Decides one purchase attempt.
--
-- ARGV  1 user   2 purchase id to give if the user wins
--       3 identity of the server as its connection knows it
--       4, 5 epoch and highest unit that the caller has seen   6 the caller's system
-- Reply {"SUCCESS", unit, purchase id, entry id, epoch}
--       {"PURCHASED", unit, purchase id, entry id, epoch, state (see state_of)}   the user's one
--       purchase; unit 0 where it only keeps the user from buying
--       {"SOLD_OUT"} {"UPCOMING"} {"ENDED"} {"PAUSED"}
--       {"NOT_READY"}   no state, the state of another server, or a damaged state
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
--
-- Atomic: a unit is taken, its winner written and its outbox entry made together or not at all. Lua
-- has no rollback: everything that could fail is read before the first write, and the first write
-- (XADD) is the only one whose key was not read before.
-- Idempotent: a second run with the same purchase id answers SUCCESS with the same unit.
--
-- Refusals, of which a stampede has most, come first and use none of the prelude. The server's
-- identity is asked anew only where a unit is about to be sold: the connection's knowledge is up to
-- a second old.

local call = redis.call
local sale = call('HMGET', KEYS[1], 'epoch', 'total', 'next', 'server', 'paused', 'opens_ms', 'closes_ms', 'system')
local epoch, total, next_unit = tonumber(sale[1]), tonumber(sale[2]), tonumber(sale[3])
if sale[8] and sale[8] ~= ARGV[6] and sale[8] ~= '' and ARGV[6] ~= '' then
  return redis.error_reply('OTHER_SYSTEM the sale belongs to the system ' .. sale[8])
end
if not epoch or not total or not next_unit or sale[4] ~= ARGV[3] then
  return {'NOT_READY'}
end
if sale[1] ~= ARGV[4] or sale[3] ~= ARGV[5] then -- equal texts are the cheap case
  local seen = tonumber(ARGV[4])
  if epoch < seen or epoch == seen and next_unit < tonumber(ARGV[5]) then
    return {'ROLLED_BACK', sale[1], sale[3]}
  end
end

local winner, returned = call('HGET', KEYS[3], ARGV[1]), nil
if not winner then
  if sale[5] == '1' then
    return {'PAUSED'}
  end
  if sale[6] ~= '' or sale[7] ~= '' then
    local time = call('TIME')
    local now_ms = time[1] * 1000 + time[2] / 1000
    if sale[6] ~= '' and now_ms < tonumber(sale[6]) then
      return {'UPCOMING'}
    end
    if sale[7] ~= '' and now_ms >= tonumber(sale[7]) then
      return {'ENDED'}
    end
  end
  returned = call('LINDEX', KEYS[2], 0)
  if not returned and next_unit >= total then
    return {'SOLD_OUT'}
  end
end

--@prelude
if damage(next_unit) then
  return {'NOT_READY'}
end
if winner then
  local unit, id, entry, mark = string.match(winner, WINNER)
  if id == ARGV[2] and not is_used(unit, mark) then
    return {'SUCCESS', unit, id, entry, sale[1]}
  end
  return {'PURCHASED', unit, id, entry, sale[1], state_of(id, entry, mark)}
end
if not is_made_here(sale[4], ARGV[3]) then
  return {'NOT_READY'}
end
local unit = returned or next_unit + 1
local entry = write_winner(ARGV[1], unit, ARGV[2], sale[1])
if returned then
  call('LPOP', FREE)
else
  call('HSET', SALE, 'next', unit)
end
return {'SUCCESS', tostring(unit), ARGV[2], entry, sale[1]}
