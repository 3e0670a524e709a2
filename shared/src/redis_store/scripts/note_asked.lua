-- Counts SKUs that were asked for. Old counts fade: every five minutes all are halved, by the
-- first call; the lightest fall out. What nobody adds to for a day goes away.
--
-- KEYS: the sorted set of asked SKUs, the demand hash.
-- ARGV: SKUs kept at most; then for each SKU: SKU, weight.
-- Returns how many SKUs are counted now.

local seconds = tonumber(now[1])
local faded = tonumber(redis.call('HGET', KEYS[2], 'faded') or '0')
if seconds - faded >= 300 or seconds < faded then
  redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', '0.5')
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(1')
  redis.call('HSET', KEYS[2], 'faded', seconds)
end
for at = 2, #ARGV, 2 do
  redis.call('ZINCRBY', KEYS[1], ARGV[at + 1], ARGV[at])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[1]) - 1)
redis.call('PEXPIRE', KEYS[1], 86400000)
return redis.call('ZCARD', KEYS[1])
