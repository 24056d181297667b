#!lua
-- Puts a winner's purchase into the outbox again, after its entry was lost.
--
-- KEYS  1 sale   2 buyers   3 outbox
-- ARGV  1 user   2 purchase id
-- Reply 1 when it was put there, 0 when the user has no such purchase, or its entry is there
--
-- Keeps: an entry for each winner who is not settled. Recording a purchase twice is safe, so that this is too.

local epoch = redis.call('HGET', KEYS[1], 'epoch')
local mine = redis.call('HGET', KEYS[2], ARGV[1])
if not epoch or not mine then
  return 0
end
local unit, id, entry = string.match(mine, '^(%d+) (%S+) (%S+)$')
if id ~= ARGV[2] or #redis.call('XRANGE', KEYS[3], entry, entry) > 0 then
  return 0
end
entry = redis.call('XADD', KEYS[3], '*', 'user', ARGV[1], 'unit', unit, 'id', id, 'epoch', epoch)
redis.call('HSET', KEYS[2], ARGV[1], unit .. ' ' .. id .. ' ' .. entry)
return 1
