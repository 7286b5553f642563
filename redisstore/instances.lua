-- Reads which processes are alive.
-- KEYS: 1 the instances, a sorted set by the time at which each was heard of
-- ARGV: 1 for how many milliseconds an instance is remembered, 2 how many to read
-- Result: {instance, milliseconds, instance, milliseconds ...}
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (ms - ARGV[1]), '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
