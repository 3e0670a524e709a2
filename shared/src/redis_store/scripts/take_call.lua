-- Asks for the right to one call to D365 within the budget of an app registration, which all
-- replicas share. Rights that are not renewed lapse, so a killed process holds nothing up for long.
--
-- KEYS: the budget hash, calls under way for prefetching, calls under way for live look-ups,
--       processes.
-- ARGV: 'prefetch' or 'live', id of the call, id of the process, ms until the right lapses, most
--       calls at once, calls kept for live look-ups, how much of a hundred the call may have of what
--       its kind may: the rest is for orders.
-- Returns 1 if granted else 0, the limit of prefetching, how many processes have called in the last
-- minute, how often the limit was halved.

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now_ms)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now_ms)
redis.call('ZADD', KEYS[4], now_ms, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now_ms - 60000)
for at = 2, 4 do
  redis.call('PEXPIRE', KEYS[at], 120000)
end
local most, kept = tonumber(ARGV[5]), tonumber(ARGV[6])
local limit = tonumber(redis.call('HGET', KEYS[1], 'limit') or '2')
limit = math.max(1, math.min(limit, most - kept))
redis.call('HSETNX', KEYS[1], 'limit', limit)
local halvings = tonumber(redis.call('HGET', KEYS[1], 'halvings') or '0')
local prefetch, live = redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])
local granted, calls
if ARGV[1] == 'live' then
  -- What prefetching leaves unused is live's as well; what is kept for live is always there.
  local share = math.max(kept, most - prefetch)
  granted, calls = live < math.max(1, math.floor(share * tonumber(ARGV[7]) / 100)), KEYS[3]
else
  granted, calls = prefetch < limit and prefetch + live < most, KEYS[2]
end
if granted then
  redis.call('ZADD', calls, now_ms + tonumber(ARGV[4]), ARGV[2])
  redis.call('PEXPIRE', calls, 120000)
end
return { granted and 1 or 0, limit, redis.call('ZCARD', KEYS[4]), halvings }
