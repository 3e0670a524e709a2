-- Notes how a part of a cycle ended and takes it off the schedule. When it was the last, the
-- warehouse is due at once, to be sealed.
--
-- KEYS: the due set, the part's shard hash, the cycle hash.
-- ARGV: part as it stands in the due set, fencing token, warehouse, generation, started, number of
--       the part, how it ended.
-- Returns how many parts are still open, -1 if the lease belongs to somebody else by now, -2 if the
-- cycle is over or another one.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2]
  or redis.call('HEXISTS', KEYS[2], 'holder') == 0 then
  return -1
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
if redis.call('HGET', KEYS[3], 'generation') ~= ARGV[4]
  or redis.call('HGET', KEYS[3], 'started') ~= ARGV[5] then
  return -2
end
local open = tonumber(redis.call('HGET', KEYS[3], 'open') or '0')
if redis.call('HSETNX', KEYS[3], 'end:' .. ARGV[6], ARGV[7]) == 1 then
  open = redis.call('HINCRBY', KEYS[3], 'open', -1)
  redis.call('HINCRBY', KEYS[3], 'own_ends', 1)
end
if open <= 0 then
  redis.call('ZADD', KEYS[1], 0, ARGV[3])
end
return open
