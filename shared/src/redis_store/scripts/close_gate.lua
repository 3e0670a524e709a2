#!lua
-- Closes a throttle gate, never for shorter than it is closed already.
--
-- KEYS: the gate.
-- ARGV: wait in ms, the instant it ends (for people).

if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
return 1
