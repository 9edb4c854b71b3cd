-- A node says that it is there, and hears what it needs to know.
-- KEYS: 1 the epoch  2 the nodes that have told all in it  3 the nodes  4 the number of orders
-- ARGV: 1 node  2 its process  3 a name for an epoch  4 its limits
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[3] .. ':' .. string.format('%.0f', now)
  redis.call('SET', KEYS[1], epoch)
  redis.call('DEL', KEYS[2])
end
local other = redis.call('HGET', KEYS[3], ARGV[1]) or ''
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now) .. ' ' .. ARGV[4])
local orders = redis.call('GET', KEYS[4]) or '0'
return {string.format('%.0f', now), epoch, other, orders, redis.call('SMEMBERS', KEYS[2]),
  redis.call('HGETALL', KEYS[3])}
