-- What a Lua program does all day: small tables, closures, strings put together, tables sorted and thrown away.
local state = 12345
local function number(below)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 256 % below
end

local function tree(depth)
    if depth == 0 then
        return { value = number(1000) }
    end
    return { left = tree(depth - 1), right = tree(depth - 1) }
end

local function sum(node)
    return node.value or sum(node.left) + sum(node.right)
end

local kept, total = {}, 0
for round = 1, 48 do
    kept[round % 5 + 1] = tree(13)
    total = total + sum(kept[round % 5 + 1])
end
local names = {}
for i = 1, 280000 do
    names[#names + 1] = "name-" .. number(100000) .. "-" .. i
end
table.sort(names)
local count = {}
for _, name in ipairs(names) do
    local key = name:match("^name%-(%d+)")
    count[key] = (count[key] or 0) + 1
end
local keys = {}
for key in pairs(count) do
    keys[#keys + 1] = key
end
table.sort(keys)
print(total, #names, #keys, table.concat(keys, " "):sub(1, 2000))
