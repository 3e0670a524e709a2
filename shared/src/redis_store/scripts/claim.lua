-- Claims a shard that was seen to be due.
--
-- KEYS: the due set, the shard's hash.
-- ARGV: shard, holder, lease in ms, the due time the caller saw.
-- Returns the fencing token, or 0 if the shard is not due any more (somebody else was faster).
--
-- The token is the time in microseconds, and never less than one more than the last: a counter alone
-- begins again when Redis comes back without its latest writes, and a holder from before would pass
-- for the one of today.

local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > now_ms or tonumber(due) ~= tonumber(ARGV[4]) then
  return 0
end
-- What a holder of a version with another rule for names has read of a part stands under names nobody
-- looks for: it is read again from its beginning.
if redis.call('HGET', KEYS[2], 'token') ~= redis.call('HGET', KEYS[2], 'own_token') then
  redis.call('HDEL', KEYS[2], 'rows', 'cursor', 'notes')
end
local lease_until = now_ms + tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], 'XX', string.format('%d', lease_until), ARGV[1])
local last = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
local token = math.max(tonumber(now[1]) * 1000000 + tonumber(now[2]), last + 1)
redis.call('HSET', KEYS[2], 'token', string.format('%d', token),
  'own_token', string.format('%d', token))
redis.call('HINCRBY', KEYS[2], 'taken', 1)
redis.call('HSET', KEYS[2], 'holder', ARGV[2], 'lease_until', string.format('%d', lease_until))
return token
