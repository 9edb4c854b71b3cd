-- A node is gone for good, unless it was there a moment ago.
-- KEYS: 1 the nodes that have told all  2 the nodes
-- ARGV: 1 node  2 a moment, ms  3 how many they were with it
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = redis.call('HGET', KEYS[2], ARGV[1]) or ''
local at = tonumber(string.match(known, '^%S+ (%d+)') or '0')
if not string.match(known, '^forgotten ') and math.abs(now - at) < tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], 'forgotten ' .. string.format('%.0f', now) .. ' ' .. ARGV[3])
return 1
