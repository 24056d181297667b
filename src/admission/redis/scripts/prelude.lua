-- Shared by all scripts: the program inserts this text behind the first line of each, or in the
-- place of the line `--@prelude` where a script has one.
--
-- KEYS  1 sale (hash)   2 free (list)   3 buyers (hash)   4 outbox (stream)   5 dead (set);
--       in scripts that make a state also   6 staged free (list)   7 staged buyers (hash)
--       8 staged dead (set)
-- ARGV  the script's own, and the last one of each: the id of the caller's system, "" while the
--       caller does not know it
-- Error OTHER_SYSTEM, of each script: the state is another system's. Nothing was read or changed.
--
-- sale    while it is open: epoch, total, next, opens_ms, closes_ms, paused, system, server,
--         balance, in_flight, dead, revoked; once it is found to be rolled back: seen, the epoch
--         that the next one must be above; while a rebuild has stopped it: fence, step, system
-- buyers  user to winner, "unit purchase-id entry-id". Where a rebuild has put the winner there,
--         the entry id is one that no stream gives out. Unit 0, or " C" behind it, marks what only
--         keeps the user from buying: a purchase that was made elsewhere and imported (unit 0), or
--         one that was cancelled ("C"; its unit is 0 unless it is withheld).
--
-- A state belongs to the system that fenced or opened it (`system`; "" where that was not known).
--
-- A state may be used only on the server that it was made on: `server` is run_id and master_replid,
-- of 40 hexadecimal digits each, and a space between. A restart changes the first; a promotion
-- changes the second, also that of a server which was demoted before. And only while it is whole:
--   buyers + free = next + balance: every unit up to `next` has a buyer or is free, and every buyer
--     has a unit. `balance` counts the exceptions: plus the users who only may not buy and have no
--     unit, less the units that are withheld and have no buyer, plus what settled conflicts have
--     added
--   the outbox has `in_flight` entries and `dead` has as many members as the field of that name:
--     each script that adds or removes one counts it

local SALE, FREE, BUYERS, OUTBOX, DEAD, STAGED_FREE, STAGED_BUYERS, STAGED_DEAD = unpack(KEYS)
local call = redis.call
local WINNER = '^(%d+) (%S+) (%S+) ?(C?)$' -- unit, purchase id, entry id, mark

-- These functions are created at each run, and a function that uses no local from outside is
-- cheaper to create. So they use KEYS and redis.call.

-- Whether this server is a primary, and a state whose field `server` is this was made on it.
-- `known` is the identity as the connection knows it. Its process is right for as long as the
-- connection lives; the history of its data may have changed since (the server was demoted and
-- promoted again), and is asked.
local function is_made_here(server, known)
  local info = redis.call('INFO', 'replication')
  return string.sub(server or '', 1, 40) == string.sub(known, 1, 40)
    and string.find(info, 'role:master', 1, true)
    and string.find(info, 'master_replid:' .. string.sub(server, -40), 1, true)
end

-- Whether a state whose field `system` is this is another system's than the caller's.
local function is_of_another(system)
  local own = ARGV[#ARGV]
  return system and system ~= '' and own ~= '' and system ~= own
end

-- Whether a state of this epoch and `next` lacks what the caller has seen before: the state was
-- rolled back.
local function is_behind(epoch, next_unit, seen_epoch, seen_unit)
  seen_epoch = tonumber(seen_epoch)
  return epoch < seen_epoch or epoch == seen_epoch and next_unit < tonumber(seen_unit)
end

-- What is missing of a state, or false: it is whole.
local function damage(next_unit)
  local counted = redis.call('HMGET', KEYS[1], 'balance', 'in_flight', 'dead')
  local held = redis.call('HLEN', KEYS[3]) + redis.call('LLEN', KEYS[2])
  if held ~= next_unit + (tonumber(counted[1]) or 0) then
    return held .. ' winners and free units, of ' .. next_unit .. ' that were handed out'
  end
  local entries, dead = redis.call('XLEN', KEYS[4]), redis.call('SCARD', KEYS[5])
  if entries ~= tonumber(counted[2]) or dead ~= tonumber(counted[3]) then
    return entries .. ' outbox entries and ' .. dead .. ' dead-lettered purchases, of ' ..
      tostring(counted[2]) .. ' and ' .. tostring(counted[3])
  end
  return false
end

-- Whether a winner only keeps its user from buying.
local function is_used(unit, mark)
  return unit == '0' or mark == 'C'
end

-- 1 while the outbox has the purchase, 3 while the dead-letter queue alone has it, 0 once the
-- ledger has it, 2 once it is cancelled.
local function state_of(id, entry, mark)
  if mark == 'C' then
    return 2
  end
  if #redis.call('XRANGE', KEYS[4], entry, entry) > 0 then
    return 1
  end
  return 3 * redis.call('SISMEMBER', KEYS[5], id)
end

-- Writes a winner with a new outbox entry, and returns the entry's id.
local function write_winner(user, unit, id, epoch)
  local entry = redis.call('XADD', KEYS[4], '*', 'user', user, 'unit', unit, 'id', id, 'epoch', epoch)
  redis.call('HSET', KEYS[3], user, unit .. ' ' .. id .. ' ' .. entry)
  redis.call('HINCRBY', KEYS[1], 'in_flight', 1)
  return entry
end

-- Deletes an outbox entry, if it is there. (The sign alone would make a zero "-0", which Redis does
-- not take for an integer.)
local function delete_entry(entry)
  redis.call('HINCRBY', KEYS[1], 'in_flight', 0 - redis.call('XDEL', KEYS[4], entry))
end

