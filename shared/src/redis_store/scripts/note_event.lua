-- Notes an event, so that no replica takes it twice. A note that nobody hears of would let the event
-- be lost: its sender comes again, and hears that it was taken.
--
-- KEYS: the event.
-- ARGV: how long it is remembered in ms.
-- Returns 1, or 0 if it was noted before.

return redis.call('SET', KEYS[1], 'taken', 'NX', 'PX', ARGV[1]) and 1 or 0
