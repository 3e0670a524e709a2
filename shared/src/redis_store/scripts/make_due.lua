-- Makes a warehouse due at once; one whose cycle is under way becomes due when that has ended.
--
-- KEYS: the due set, the shard's hash, the cycle hash.
-- ARGV: shard.

if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('HSET', KEYS[2], 'again', '1')
  return 1
end
if redis.call('HEXISTS', KEYS[2], 'holder') == 1 then
  if tonumber(redis.call('HGET', KEYS[2], 'lease_until') or '0') > now_ms then
    redis.call('HSET', KEYS[2], 'again', '1')
    return 1
  end
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 1
