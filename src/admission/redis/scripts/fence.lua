#!lua flags=allow-oom
-- Stops admission for a rebuild: of the hash `sale` only the epoch that may open the sale, and the
-- rebuild's step, are left.
--
-- ARGV  1 epoch of the rebuild
--       2 the caller's system, which owns the state from now on
-- Reply 0 when stopped, or the epoch, not an earlier one, that has stopped or opened the sale
--       already, or that a process has seen
--
-- An epoch stops a sale once: a ledger that was restored gives out numbers again that it has given
-- out before, and two rebuilds must not share one. Winners, and purchases that are not yet in the
-- ledger, stay: the rebuild records them. What this program did not write, and would stop every
-- rebuild, is deleted: a key of another type, an epoch that is no number. Allowed when Redis is
-- full, so that a rebuild can empty it.
-- A second run finds its own epoch in place, and replies it.

local EPOCH_DIGITS = 15 -- a Lua number holds these exactly

local function has_type(key, kind)
  return call('TYPE', key).ok == kind
end
local function epoch_of(text)
  return text and #text <= EPOCH_DIGITS and string.match(text, '^%d+$') and tonumber(text) or 0
end

if has_type(SALE, 'hash') then
  local sale = call('HMGET', SALE, 'epoch', 'fence', 'seen')
  local found = math.max(epoch_of(sale[1]), epoch_of(sale[2]), epoch_of(sale[3]))
  if found >= tonumber(ARGV[1]) then
    return found
  end
end
call('DEL', SALE)
call('HSET', SALE, 'fence', ARGV[1], 'step', 1, 'system', ARGV[2])
for key, kind in pairs({[FREE] = 'list', [BUYERS] = 'hash', [OUTBOX] = 'stream', [DEAD] = 'set'}) do
  if not has_type(key, kind) then
    call('DEL', key)
  end
end
return 0
