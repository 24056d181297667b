#!lua flags=no-writes
-- Reads the heartbeats of all processes.
--
-- KEYS  1 seen   2 reports
-- Reply for each process {age of its heartbeat in ms, heartbeat (JSON)}
--
-- Ages are by the clock of this server, and at least 0 if that clock was set back.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local reply = {}
for i = 1, #seen, 2 do
  local report = redis.call('HGET', KEYS[2], seen[i])
  if report then
    reply[#reply + 1] = { string.format('%.0f', math.max(0, now_ms - tonumber(seen[i + 1]))), report }
  end
end
return reply
