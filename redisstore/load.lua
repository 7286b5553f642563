-- Reads a record and the clock in one step.
-- KEYS: 1 the record, a hash
-- ARGV: none
-- Result: {seconds, microseconds, {field, value, field, value ...}}
local now = redis.call('TIME')
return {now[1], now[2], redis.call('HGETALL', KEYS[1])}
