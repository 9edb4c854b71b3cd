-- An epoch ends: all nodes tell anew, but for those that are gone for good.
-- KEYS: 1 the epoch  2 the nodes that have told all in it  3 the budgets that are there  4 the nodes
-- ARGV: 1 the epoch that ends  2 a name for the next
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local epoch = ARGV[2] .. ':' .. string.format('%.0f', now)
redis.call('SET', KEYS[1], epoch)
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZADD', KEYS[3], '+inf', epoch)
local nodes = redis.call('TYPE', KEYS[4]).ok == 'hash' and redis.call('HGETALL', KEYS[4]) or {}
for i = 1, #nodes, 2 do
  if string.match(nodes[i + 1], '^forgotten ') then redis.call('SADD', KEYS[2], nodes[i]) end
end
return 1
