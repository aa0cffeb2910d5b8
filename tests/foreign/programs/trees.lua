-- A Lua program: binary trees, string buffers, closures, coroutines, weak tables, both collectors.
local depth = tonumber(arg[1]) or 14

local function tree(d)
  if d == 0 then return {} end
  return { tree(d - 1), tree(d - 1) }
end

local function count(t)
  return t[1] and 1 + count(t[1]) + count(t[2]) or 1
end

local kept = tree(depth)
for _, mode in ipairs { "incremental", "generational" } do
  collectgarbage(mode)
  local total = 0
  for d = 4, depth, 2 do
    for _ = 1, 1 << (depth - d) do total = total + count(tree(d)) end
  end
  print(mode, total)
end
print("kept", count(kept))

local parts = {}
for i = 1, 50000 do parts[#parts + 1] = ("%d:%s"):format(i, ("x"):rep(i % 37)) end
local text = table.concat(parts, ",")
print(#text, select(2, text:gsub("x+", "y")), text:find("4999:", 1, true))

local words = {}
for n in text:gmatch("(%d+):xxx,") do words[#words + 1] = tonumber(n) * 7919 % 10007 end
table.sort(words)
print(#words, words[1], words[#words])

local weak = setmetatable({}, { __mode = "v" })
for i = 1, 10000 do weak[i] = { i } end
collectgarbage()
collectgarbage()
local left = 0
for _ in pairs(weak) do left = left + 1 end
print("weak left", left)

local sum = 0
for i = 1, 3000 do
  local co = coroutine.wrap(function(a) for j = 1, i % 20 do a = coroutine.yield(a + j) end return a end)
  local v = co(i)
  for _ = 1, i % 20 do v = co(v) end
  sum = sum + v
end
print("coroutines", sum)
print(pcall(error, { code = 7 }) == false, pcall(string.rep, "x", 1 << 40))
