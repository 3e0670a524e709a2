#!lua
-- Claims a shard that was seen to be due.
--
-- KEYS: the due set, the shard's hash.
-- ARGV: shard, holder, lease in ms, the due time the caller saw, until when the caller waits.
-- Returns the fencing token, or 0 if the shard is not due any more (somebody else was faster); 'late'
-- if nobody waits for it any more.
--
-- The token is the time in microseconds, and never less than one more than the last: a counter alone
-- begins again when Redis comes back without its latest writes, and a holder from before would pass
-- for the one of today.

local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
if now_ms > tonumber(table.remove(ARGV)) then
  return 'late'
end
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > now_ms or tonumber(due) ~= tonumber(ARGV[4]) then
  return 0
end
local lease_until = now_ms + tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], 'XX', string.format('%d', lease_until), ARGV[1])
local last = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
local token = math.max(tonumber(now[1]) * 1000000 + tonumber(now[2]), last + 1)
redis.call('HSET', KEYS[2], 'token', string.format('%d', token))
redis.call('HINCRBY', KEYS[2], 'taken', 1)
redis.call('HSET', KEYS[2], 'holder', ARGV[2], 'lease_until', string.format('%d', lease_until))
return token
