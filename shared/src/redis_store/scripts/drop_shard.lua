-- Takes a shard off the schedule for good: a part of a cycle that is over, a warehouse nobody knows.
--
-- KEYS: the due set, the shard's hash.
-- ARGV: shard, fencing token.
-- Returns 1, or 0 if the lease belongs to somebody else by now.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2] then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1
