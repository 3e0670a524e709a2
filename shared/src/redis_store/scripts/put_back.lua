-- Gives a part back before its end, due at once: the worker that takes it goes on where its notes end.
--
-- KEYS: the due set, the part's shard hash.
-- ARGV: part, fencing token.
-- Returns 1, or 0 if the lease belongs to somebody else by now.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2]
  or redis.call('HEXISTS', KEYS[2], 'holder') == 0 then
  return 0
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('HDEL', KEYS[2], 'holder', 'lease_until', 'taken')
return 1
