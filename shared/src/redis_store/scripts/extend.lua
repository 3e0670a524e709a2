-- Extends a lease and notes how far the holder is, so that another can go on from there.
--
-- KEYS: the due set, the shard's hash.
-- ARGV: shard, fencing token, lease in ms; then, if there is something new: rows so far, cursor,
--       notes.
-- Returns 1, or 0 if the lease belongs to somebody else by now.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2]
  or redis.call('HEXISTS', KEYS[2], 'holder') == 0 then
  return 0
end
local lease_until = now_ms + tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], string.format('%d', lease_until), ARGV[1])
redis.call('HSET', KEYS[2], 'lease_until', string.format('%d', lease_until))
if ARGV[4] then
  redis.call('HSET', KEYS[2], 'rows', ARGV[4], 'cursor', ARGV[5], 'notes', ARGV[6])
  -- A part that gets on is not poison, however often it changes hands.
  redis.call('HDEL', KEYS[2], 'taken')
end
return 1
