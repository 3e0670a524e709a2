-- Takes calls out of the budget of demand: a bucket that fills at a rate and overflows at its size.
--
-- KEYS: the demand hash.
-- ARGV: calls a second, size in calls, calls wanted.
-- Returns the calls granted.

local rate, size, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at = tonumber(redis.call('HGET', KEYS[1], 'filled_at') or now_ms)
local calls = tonumber(redis.call('HGET', KEYS[1], 'calls') or '0')
calls = math.min(size, calls + math.max(0, now_ms - at) / 1000 * rate)
local granted = math.min(wanted, math.floor(calls))
redis.call('HSET', KEYS[1], 'filled_at', string.format('%d', now_ms),
  'calls', string.format('%.3f', calls - granted))
redis.call('HINCRBY', KEYS[1], 'calls_made', granted)
return granted
