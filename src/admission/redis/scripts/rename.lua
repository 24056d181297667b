#!lua flags=allow-oom
-- Gives what a user has to another name.
--
-- ARGV  1 user   2 the other name, which must be new
--       3 identity of the server as its connection knows it
--       4, 5 epoch and highest unit that the caller has seen
-- Reply {"DONE"}        also where the user has nothing
--       {"KEPT"}        nothing has changed: the purchase is in the outbox or dead-lettered, where it
--                       has the present name, or the other name is not new
--       {"NOT_READY"}   no state, or the state of another server
--       {"ROLLED_BACK", epoch, next}   the state lacks what the caller has seen
--
-- Atomic: the right of the user is held throughout. Idempotent.

local sale = call('HMGET', SALE, 'epoch', 'next', 'server')
local epoch, next_unit = tonumber(sale[1]), tonumber(sale[2])
if not epoch or not next_unit or not is_made_here(sale[3], ARGV[3]) then
  return {'NOT_READY'}
end
if is_behind(epoch, next_unit, ARGV[4], ARGV[5]) then
  return {'ROLLED_BACK', sale[1], sale[2]}
end
local winner = call('HGET', BUYERS, ARGV[1])
if not winner then
  return {'DONE'}
end
local _, id, entry, mark = string.match(winner, WINNER)
local state = state_of(id, entry, mark)
if state == 1 or state == 3 or call('HEXISTS', BUYERS, ARGV[2]) == 1 then
  return {'KEPT'}
end
call('HDEL', BUYERS, ARGV[1])
call('HSET', BUYERS, ARGV[2], winner)
return {'DONE'}
