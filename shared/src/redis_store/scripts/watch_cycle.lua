-- Looks after a cycle under way: a part that has neither ended nor is scheduled (its entry was lost)
-- is scheduled again. The warehouse is given back, to be looked after again.
--
-- KEYS: the due set, the warehouse's shard hash, its cycle hash.
-- ARGV: warehouse, fencing token, ms until the next look.
-- Returns how many parts were put back, or -1 if the lease belongs to somebody else by now.

if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2]
  or redis.call('HEXISTS', KEYS[2], 'holder') == 0 then
  return -1
end
local generation = redis.call('HGET', KEYS[3], 'generation')
local put_back, open = 0, 0
for part = 1, tonumber(redis.call('HGET', KEYS[3], 'parts') or '0') do
  if redis.call('HEXISTS', KEYS[3], 'end:' .. part) == 0 then
    open = open + 1
    put_back = put_back + redis.call('ZADD', KEYS[1], 'NX', part,
      ARGV[1] .. '#' .. generation .. '/' .. part)
  end
end
local next_look = 0
if open > 0 then
  next_look = now_ms + tonumber(ARGV[3])
end
redis.call('ZADD', KEYS[1], string.format('%d', next_look), ARGV[1])
redis.call('HDEL', KEYS[2], 'holder', 'lease_until', 'taken')
return put_back
