#!lua flags=allow-oom
-- Stops admission for a rebuild: the sale is left with nothing but the epoch that may open it, and the rebuild's step.
--
-- KEYS  1 sale   2 outbox   3 dead
-- ARGV  1 epoch of the rebuild
-- Reply 0 when stopped, or the later epoch that stopped or opened it already
--
-- Keeps: what is not yet in the ledger stays in the outbox. What is nothing of ours, and would stop every rebuild, is
-- deleted: a key of another type, an epoch that is no number. A full Redis must not be kept full by this. Running it
-- twice before open.lua is safe; after it, it stops the sale again.

local EPOCH_DIGITS = 15 -- what a number holds exactly

local function is(key, kind)
  return redis.call('TYPE', key).ok == kind
end
local function epoch_of(text)
  return text and #text <= EPOCH_DIGITS and string.match(text, '^%d+$') and tonumber(text) or 0
end

if is(KEYS[1], 'hash') then
  local sale = redis.call('HMGET', KEYS[1], 'epoch', 'fence')
  local found = math.max(epoch_of(sale[1]), epoch_of(sale[2]))
  if found > tonumber(ARGV[1]) then
    return found
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'step', 1)
if not is(KEYS[2], 'stream') then
  redis.call('DEL', KEYS[2])
end
if not is(KEYS[3], 'set') then
  redis.call('DEL', KEYS[3])
end
return 0
