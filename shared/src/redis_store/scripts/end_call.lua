-- Gives the right to a call back and learns from how it went: one more call at once after 20 good
-- ones, half after a 429 or a timeout. Calls that were under way at the last halving met the same
-- trouble and do not halve again.
--
-- KEYS: the budget hash, the calls under way of its kind.
-- ARGV: id of the call, 'well', 'overload' or 'neither', how often the limit had been halved when
--       the right was given, most prefetching calls at once.
-- Returns the limit of prefetching.

redis.call('ZREM', KEYS[2], ARGV[1])
local limit = tonumber(redis.call('HGET', KEYS[1], 'limit') or '2')
if ARGV[2] == 'well' then
  if redis.call('HINCRBY', KEYS[1], 'good', 1) >= 20 then
    limit = math.max(1, math.min(limit + 1, tonumber(ARGV[4])))
    redis.call('HSET', KEYS[1], 'good', 0, 'limit', limit)
  end
elseif ARGV[2] == 'overload'
  and (redis.call('HGET', KEYS[1], 'halvings') or '0') == ARGV[3] then
  limit = math.max(1, math.floor(limit / 2))
  redis.call('HSET', KEYS[1], 'good', 0, 'limit', limit)
  redis.call('HINCRBY', KEYS[1], 'halvings', 1)
end
return limit
