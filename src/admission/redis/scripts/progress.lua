#!lua flags=allow-oom
-- Notes how far a rebuild is, for whoever asks why the sale is not ready.
--
-- KEYS  1 sale
-- ARGV  1 epoch of the rebuild   2 step, from 1
-- Reply 1 when noted, 0 when this epoch's fence does not stand
--
-- Keeps: only the rebuild whose fence stands says how far it is. Running it twice is safe.

if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'step', ARGV[2])
return 1
