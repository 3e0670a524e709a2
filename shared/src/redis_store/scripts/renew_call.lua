-- Keeps the right to a call that takes long. One that has lapsed already is taken again: the call
-- is under way, whatever is written here. Run late it may be over, and nothing is written.
--
-- KEYS: the calls under way of its kind.
-- ARGV: id of the call, ms until the right lapses.
-- Returns 1.

redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], 120000)
return 1
