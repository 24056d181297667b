-- Shared by all scripts: the program inserts this text behind the first line of each.
--
-- KEYS  1 sale (hash)   2 free (list)   3 buyers (hash)   4 outbox (stream)   5 dead (set);
--       in scripts that make a state also   6 staged free (list)   7 staged buyers (hash)
--
-- sale    while it is open: epoch, total, next, opens_ms, closes_ms, paused, server, balance,
--         revoked; while a rebuild has stopped it: fence, step
-- buyers  user to winner, "unit purchase-id entry-id". Where the purchase came from the ledger, the
--         entry id is one that no stream gives out.
--
-- A state may be sold from only on the server that it was made on (`server`), and only while buyers
-- + free = next + balance: every unit up to `next` has a buyer or is free, apart from the units
-- that settled conflicts have displaced, which `balance` counts (absent or 0 in every sale that
-- never lost data).

local SALE, FREE, BUYERS, OUTBOX, DEAD, STAGED_FREE, STAGED_BUYERS = unpack(KEYS)
local call = redis.call
local WINNER = '^(%d+) (%S+) (%S+)$'

-- These functions are created at each run, and a function that uses no local from outside is
-- cheaper to create. So they use KEYS and redis.call.

-- 1 while the outbox or the dead-letter queue has the purchase, 0 once the ledger has it.
local function pending(id, entry)
  if #redis.call('XRANGE', KEYS[4], entry, entry) > 0 then
    return 1
  end
  return redis.call('SISMEMBER', KEYS[5], id)
end

-- Writes a winner with a new outbox entry, and returns the entry's id.
local function write_winner(user, unit, id, epoch)
  local entry = redis.call('XADD', KEYS[4], '*', 'user', user, 'unit', unit, 'id', id, 'epoch', epoch)
  redis.call('HSET', KEYS[3], user, unit .. ' ' .. id .. ' ' .. entry)
  return entry
end

-- How many units have a buyer or are free, and how many should.
local function integrity(next_unit, balance)
  return redis.call('HLEN', KEYS[3]) + redis.call('LLEN', KEYS[2]), next_unit + (tonumber(balance) or 0)
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

