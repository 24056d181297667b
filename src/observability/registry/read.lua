#!lua flags=no-writes
-- Reads all reports.
--
-- KEYS  1 seen   2 reports
-- Reply {milliseconds since it was posted, report} for each process
--
-- Keeps: writes nothing. Ages are by this server's clock alone, and never below 0, should that be put back.

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
