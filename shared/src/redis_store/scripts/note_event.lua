#!lua
-- Notes an event, so that no replica takes it twice. A note that nobody hears of would let the event
-- be lost: its sender comes again, and is told that it was taken.
--
-- KEYS: the event.
-- ARGV: how long it is remembered in ms, until when the caller waits.
-- Returns 1, or 0 if it was noted before; 'late' if nobody waits for it any more.

local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
if now_ms > tonumber(table.remove(ARGV)) then
  return 'late'
end
return redis.call('SET', KEYS[1], 'taken', 'NX', 'PX', ARGV[1]) and 1 or 0
