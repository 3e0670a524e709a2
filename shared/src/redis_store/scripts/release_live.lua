-- Gives leases on live questions back; only where they are still the holder's.
--
-- KEYS: the leases of the SKUs, each once.
-- ARGV: the lease's text.
-- Returns how many were released. A life of 0 ms is a DEL that the API's Redis user may do.

local released = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    released = released + redis.call('PEXPIRE', key, 0)
  end
end
return released
