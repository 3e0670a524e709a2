-- Closes a throttle gate, never for shorter than it is closed already. Run late, it closes it for what
-- is left of the wait.
--
-- KEYS: the gate.
-- ARGV: wait in ms, the instant it ends (for people), the same in ms.

local wait = math.min(tonumber(ARGV[1]), tonumber(ARGV[3]) - now_ms)
if wait > 0 and redis.call('PTTL', KEYS[1]) < wait then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%d', wait))
end
return 1
