-- A node says that it is there, and hears what it needs to know.
-- KEYS: 1 the epoch  2 the nodes that have told all in it  3 the nodes  4 the budgets that are there
--       5 what administrators have ordered
-- ARGV: 1 node  2 its process  3 a name for an epoch  4 its limits  5 how many they are
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- Somebody else wrote there.
for i, kind in ipairs({'string', 'set', 'hash', 'zset', 'hash'}) do
  local is = redis.call('TYPE', KEYS[i]).ok
  if is ~= kind and is ~= 'none' then redis.call('DEL', KEYS[i]) end
end
local epoch = redis.call('GET', KEYS[1])
if not epoch or not redis.call('ZSCORE', KEYS[4], epoch) then
  epoch = ARGV[3] .. ':' .. string.format('%.0f', now)
  redis.call('SET', KEYS[1], epoch)
  redis.call('DEL', KEYS[2], KEYS[4])
  redis.call('ZADD', KEYS[4], '+inf', epoch)
  local all = redis.call('HGETALL', KEYS[3])
  for i = 1, #all, 2 do
    if string.match(all[i + 1], '^forgotten ') then redis.call('SADD', KEYS[2], all[i]) end
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
local other = redis.call('HGET', KEYS[3], ARGV[1]) or ''
-- It was thought to be gone for good: what it knows is to be waited for.
if string.match(other, '^forgotten ') then redis.call('SREM', KEYS[2], ARGV[1]) end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now) .. ' ' .. ARGV[4])
local nodes = redis.call('HGETALL', KEYS[3])
-- One that is gone for good is not waited for by who counts it still: where it is not counted any
-- more, it does not take the place of one that has not told what it knows.
local gone, taken = {}, 0
for i = 1, #nodes, 2 do
  local were = tonumber(string.match(nodes[i + 1], '^forgotten %d+ (%d+)$') or '0')
  if string.match(nodes[i + 1], '^forgotten ') and redis.call('SISMEMBER', KEYS[2], nodes[i]) == 1 then
    taken = taken + 1
    if were > tonumber(ARGV[5]) then gone[#gone + 1] = nodes[i] end
  end
end
if #gone > 0 and redis.call('SCARD', KEYS[2]) - taken < tonumber(ARGV[5]) then
  redis.call('SREM', KEYS[2], unpack(gone))
end
local orders = redis.call('HGET', KEYS[5], '') or ''
return {
  string.format('%.0f', now), epoch, other, orders, redis.call('SMEMBERS', KEYS[2]),
  nodes
}
