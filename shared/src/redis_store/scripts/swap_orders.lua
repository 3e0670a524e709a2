-- Changes the records of orders and the holds of SKUs together, if all of them still read as they
-- were read before. Nothing is computed here: texts are compared and replaced.
--
-- KEYS: the hash of holds that everybody reads, the hash of each hold where those are many, the sorted
--       set of their ends, then the records.
-- ARGV: how many records, how many SKUs; for each record its text before ('' = none), its text after
--       and its time to live in ms; for each SKU its name, its two texts before, its two texts after
--       ('' = none) and when to look at it again, in ms.
-- Returns 1 if done, 0 if something has changed meanwhile.

local records, skus = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = 3
for record = 1, records do
  if (redis.call('GET', KEYS[3 + record]) or '') ~= ARGV[at] then
    return 0
  end
  at = at + 3
end
for _ = 1, skus do
  for hash = 1, 2 do
    if (redis.call('HGET', KEYS[hash], ARGV[at]) or '') ~= ARGV[at + hash] then
      return 0
    end
  end
  at = at + 6
end
at = 3
for record = 1, records do
  redis.call('SET', KEYS[3 + record], ARGV[at + 1], 'PX', ARGV[at + 2])
  at = at + 3
end
for _ = 1, skus do
  for hash = 1, 2 do
    local after = ARGV[at + 2 + hash]
    if after == '' then
      redis.call('HDEL', KEYS[hash], ARGV[at])
    else
      redis.call('HSET', KEYS[hash], ARGV[at], after)
    end
  end
  if ARGV[at + 3] == '' then
    redis.call('ZREM', KEYS[3], ARGV[at])
  else
    redis.call('ZADD', KEYS[3], ARGV[at + 5], ARGV[at])
  end
  at = at + 6
end
return 1
