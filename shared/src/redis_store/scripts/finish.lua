-- Gives a shard back.
--
-- KEYS: the due set, the shard's hash.
-- ARGV: shard, fencing token, ms from now to its next due time, how it went ('well', 'failed' or
--       'later': nothing was done), error text.
-- Returns how often it has failed in a row, or -1 if the lease belongs to somebody else by now.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2]
  or redis.call('HEXISTS', KEYS[2], 'holder') == 0 then
  return -1
end
local next_due = now_ms + tonumber(ARGV[3])
-- A refresh asked for meanwhile stays asked for.
if ARGV[4] ~= 'later' and redis.call('HDEL', KEYS[2], 'again') == 1 then
  next_due = 0
end
redis.call('ZADD', KEYS[1], string.format('%d', next_due), ARGV[1])
redis.call('HDEL', KEYS[2], 'holder', 'lease_until', 'taken')
if ARGV[4] == 'failed' then
  redis.call('HSET', KEYS[2], 'last_error', ARGV[5])
  return redis.call('HINCRBY', KEYS[2], 'failures', 1)
end
if ARGV[4] == 'well' then
  redis.call('HDEL', KEYS[2], 'failures', 'last_error')
end
return tonumber(redis.call('HGET', KEYS[2], 'failures') or '0')
